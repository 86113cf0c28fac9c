/* bench_wire.c - what a request costs before anything is looked up, and rows and keys. */
#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/rpc.h"
#include "schema/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
	ROUNDS = 7, /* of each, the best counts: the machine is shared */
	KEYS = 500, /* of one fetch */
	DIM = 256,  /* of the rows that are converted */
	ELEMENTS = KEYS * DIM,
};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Nanoseconds of one call, of `calls` at a time. */
static double best_of(void (*run)(void *arg), void *arg, unsigned calls)
{
	uint64_t best = UINT64_MAX;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t begin = now_ns();
		for (unsigned i = 0; i < calls; i++) {
			run(arg);
		}
		uint64_t taken = now_ns() - begin;
		best = taken < best ? taken : best;
	}
	return (double)best / calls;
}

static void *allocate(size_t bytes)
{
	void *memory = malloc(bytes);
	if (memory == NULL) {
		abort();
	}
	uint8_t *at = memory;
	for (size_t i = 0; i < bytes; i++) {
		at[i] = (uint8_t)(i * 7 + i / 251) & 0x3f; /* finite in every dtype */
	}
	return memory;
}

static void skim(void *arg)
{
	const struct wire_writer *request = arg;
	struct wire_skim state = {0};
	if (wire_skim(&state, request->data, request->len) != STATUS_OK) {
		abort();
	}
}

static void skim_open_read(void *arg)
{
	const struct wire_writer *request = arg;
	struct wire_message *message = NULL;
	struct rpc_envelope envelope;
	skim(arg);
	if (wire_open(request->data, request->len, &message) != STATUS_OK ||
		rpc_read(wire_root(message), &envelope, NULL) != STATUS_OK) {
		abort();
	}
	wire_close(message);
}

static void write_request(struct wire_writer *writer)
{
	static uint64_t keys[KEYS];
	rpc_write_request(writer, 1, "fetch");
	wire_write_map(writer, 1);
	wire_write_str(writer, "parts");
	wire_write_array(writer, 1);
	wire_write_map(writer, 3);
	wire_write_str(writer, "table");
	wire_write_str(writer, "ur");
	wire_write_str(writer, "keys");
	wire_write_bin(writer, keys, sizeof keys);
	wire_write_str(writer, "times");
	wire_write_bool(writer, true);
}

static void write_again(void *arg)
{
	struct wire_writer *writer = arg;
	wire_writer_clear(writer);
	write_request(writer);
}

static void bench_requests(void)
{
	struct wire_writer writer = {0};
	write_request(&writer);
	printf("request_bytes %zu bytes\n", writer.len);
	printf("request_skim %.1f ns\n", best_of(skim, &writer, 100000));
	printf("request_skim_open_read %.1f ns\n", best_of(skim_open_read, &writer, 100000));
	printf("request_write %.1f ns\n", best_of(write_again, &writer, 100000));
	wire_writer_clear(&writer);
	wire_write_array(&writer, 1000000);
	for (unsigned i = 0; i < 1000000; i++) {
		wire_write_uint(&writer, i);
	}
	printf("numbers_skim %.2f ns/element\n", best_of(skim, &writer, 1) / 1e6);
	wire_writer_fini(&writer);
}

struct conversion {
	struct dtype_rows source;
	struct dtype_rows target;
};

static void convert(void *arg)
{
	const struct conversion *conversion = arg;
	dtype_convert(&conversion->target, &conversion->source, KEYS, DIM, 1);
}

static void bench_conversions(void)
{
	static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_I8, DTYPE_BIT};
	static float scales[ELEMENTS];
	static float more_scales[ELEMENTS];
	void *source = allocate(ELEMENTS * sizeof(float));
	void *target = allocate(ELEMENTS * sizeof(float));
	for (size_t i = 0; i < ELEMENTS; i++) {
		scales[i] = 0.5f;
	}
	for (size_t from = 0; from < 5; from++) {
		for (size_t to = 0; to < 5; to++) {
			if (from == to || !dtype_convertible(dtypes[from], dtypes[to])) {
				continue;
			}
			struct conversion conversion = {.source = {dtypes[from], source, scales},
				.target = {dtypes[to], target, more_scales}};
			double ns = best_of(convert, &conversion, 50);
			size_t bytes = dtype_row_bytes(dtypes[from], ELEMENTS, 1) +
				       dtype_row_bytes(dtypes[to], ELEMENTS, 1);
			printf("convert_%s_%s %.1f GB/s read and written, %.3f ns/element\n",
				dtype_name(dtypes[from]), dtype_name(dtypes[to]),
				(double)bytes / ns, ns / ELEMENTS);
		}
	}
	free(source);
	free(target);
}

static size_t sink; /* what the compiler must not drop */

static void scan_f32(void *arg)
{
	sink += dtype_first_nonfinite(DTYPE_F32, arg, ELEMENTS);
}

static void scan_f16(void *arg)
{
	sink += dtype_first_nonfinite(DTYPE_F16, arg, ELEMENTS);
}

static void bench_scans(void)
{
	void *elements = allocate(ELEMENTS * sizeof(float));
	printf("nonfinite_f32 %.1f GB/s\n", 4.0 * ELEMENTS / best_of(scan_f32, elements, 50));
	printf("nonfinite_f16 %.1f GB/s\n", 2.0 * ELEMENTS / best_of(scan_f16, elements, 50));
	free(elements);
}

static void hash(void *arg)
{
	static uint64_t hashes[KEYS];
	const struct keys *keys = arg;
	keys_hash(keys, key_seed_of_process(), 0, keys->count, hashes);
	sink += hashes[KEYS - 1];
}

static void bench_keys(void)
{
	enum { KEY_LEN = 20 };
	uint8_t *packed = allocate(KEYS * (1 + (size_t)KEY_LEN));
	uint32_t at[KEYS];
	struct keys keys = {.type = KEY_U64, .count = KEYS, .packed = packed, .at = at};
	printf("hash_u64 %.2f ns/key\n", best_of(hash, &keys, 10000) / KEYS);
	for (size_t i = 0; i < KEYS; i++) {
		packed[i * (1 + KEY_LEN)] = KEY_LEN;
	}
	keys_find_offsets(packed, KEYS, at);
	keys.type = KEY_BYTES;
	printf("hash_bytes_20 %.2f ns/key\n", best_of(hash, &keys, 10000) / KEYS);
	free(packed);
}

int main(void)
{
	bench_requests();
	bench_conversions();
	bench_scans();
	bench_keys();
	return sink == 1; /* never */
}
