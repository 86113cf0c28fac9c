/* bench_local.c - requests of random keys to a folder that is read in process, against copying the same rows.
 *
 *   bench_local [ROWS [KEYS [DIM]]]       default 1000000 500 64, f32
 *
 * Whole requests and answers, as they would go over a socket. Then two threads ask side by side. At last rows are put
 * beside the reader, and each put is waited for when it is acknowledged.
 */
#include "daemon/local/local.h"
#include "daemon/store/store.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/write/write.h"
#include "schema/rpc.h"
#include "tests/bench/bench_fill.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	WARM_ROUNDS = 3000,
	ROUNDS = 5000,
	THREADS = 2,
	THREAD_ROUNDS = 20000,
	PUTS = 2000,
	PUT_ROWS = 256
};

struct bench {
	struct local *local;
	struct local_handle *handle;
	uint64_t rows;
	uint32_t count;
	uint32_t dim;
	uint64_t *keys;
	uint8_t *out;
	float *plain;
	uint64_t state;
	struct wire_writer request;
};

static void draw_keys(struct bench *bench)
{
	struct wire_writer *request = &bench->request;
	for (uint32_t i = 0; i < bench->count; i++) {
		bench->keys[i] = bench_next_random(&bench->state) % bench->rows;
	}
	wire_writer_clear(request);
	rpc_write_request(request, 1, "fetch");
	wire_write_map(request, 1);
	wire_write_str(request, "parts");
	wire_write_array(request, 1);
	wire_write_map(request, 2);
	wire_write_str(request, "table");
	wire_write_str(request, "ir");
	wire_write_str(request, "keys");
	wire_write_bin(request, bench->keys, bench->count * sizeof *bench->keys);
}

static double time_call(struct bench *bench)
{
	struct error err = {0};
	struct wire_bytes response;
	draw_keys(bench);
	const double start = bench_now_s();
	bench_must(local_call(bench->handle, bench->request.data, bench->request.len, 0, &response,
			   &err),
		&err);
	const double elapsed = bench_now_s() - start;
	/* The rows are the last that an answer has. */
	const size_t bytes = (size_t)bench->count * bench->dim * sizeof(float);
	float value = -1;
	if (response.len > bytes) {
		memcpy(&value, response.data + response.len - sizeof value, sizeof value);
	}
	if (value != (float)bench->keys[bench->count - 1]) {
		(void)fprintf(stderr, "bench_local: a wrong row\n");
		exit(1);
	}
	return elapsed;
}

static double time_memcpy(struct bench *bench)
{
	const size_t stride = (size_t)bench->dim * sizeof(float);
	draw_keys(bench);
	const double start = bench_now_s();
	for (uint32_t i = 0; i < bench->count; i++) {
		memcpy(bench->out + i * stride, bench->plain + bench->keys[i] * bench->dim, stride);
	}
	return bench_now_s() - start;
}

static void report(const char *name, double *times, size_t count)
{
	bench_sort(times, count);
	printf("%s_p50 %.1f us\n%s_p99 %.1f us\n", name, times[count / 2] * 1e6, name,
		times[count * 99 / 100] * 1e6);
}

static void *get(size_t bytes)
{
	void *memory = malloc(bytes);
	if (memory == NULL) {
		exit(1);
	}
	return memory;
}

/* In turns, so that a busy machine slows both. */
static void measure(struct bench *bench)
{
	const size_t stride = (size_t)bench->dim * sizeof(float);
	double *calls = get(ROUNDS * sizeof *calls);
	double *copies = get(ROUNDS * sizeof *copies);
	bench->out = get(bench->count * stride);
	bench->plain = get(bench->rows * stride);
	memset(bench->plain, 1, bench->rows * stride);
	for (int round = 0; round < WARM_ROUNDS; round++) {
		(void)time_call(bench);
	}
	for (int round = 0; round < ROUNDS; round++) {
		calls[round] = time_call(bench);
		copies[round] = time_memcpy(bench);
	}
	report("local", calls, ROUNDS);
	report("memcpy", copies, ROUNDS);
	printf("local_per_memcpy %.2f ratio\n", calls[ROUNDS / 2] / copies[ROUNDS / 2]);
	free(calls);
	free(copies);
	free(bench->out);
	free(bench->plain);
}

/* ---- threads ---- */

static void *ask(void *arg)
{
	struct bench *bench = arg;
	for (int round = 0; round < THREAD_ROUNDS; round++) {
		(void)time_call(bench);
	}
	return NULL;
}

static double calls_per_s(const struct bench *from, size_t threads)
{
	struct error err = {0};
	struct bench benches[THREADS];
	pthread_t ids[THREADS];
	for (size_t i = 0; i < threads; i++) {
		benches[i] = (struct bench){
			.local = from->local,
			.rows = from->rows,
			.count = from->count,
			.dim = from->dim,
			.state = 100 + i,
			.keys = get(from->count * sizeof *from->keys),
		};
		bench_must(local_handle_open(from->local, &benches[i].handle, &err), &err);
	}
	const double start = bench_now_s();
	for (size_t i = 0; i < threads; i++) {
		if (pthread_create(&ids[i], NULL, ask, &benches[i]) != 0) {
			exit(1);
		}
	}
	for (size_t i = 0; i < threads; i++) {
		(void)pthread_join(ids[i], NULL);
	}
	const double elapsed = bench_now_s() - start;
	for (size_t i = 0; i < threads; i++) {
		local_handle_close(benches[i].handle);
		wire_writer_fini(&benches[i].request);
		free(benches[i].keys);
	}
	return (double)threads * THREAD_ROUNDS / elapsed;
}

/* ---- lag ---- */

static uint64_t put_rows(struct store *store, struct bench *bench, float *rows)
{
	struct error err = {0};
	for (uint32_t i = 0; i < PUT_ROWS; i++) {
		bench->keys[i] = bench_next_random(&bench->state) % bench->rows;
		for (uint32_t j = 0; j < bench->dim; j++) {
			rows[(size_t)i * bench->dim + j] = (float)bench->keys[i];
		}
	}
	const struct table_write part = {.table = "ir",
		.batch = {.keys = {KEY_U64, PUT_ROWS, (const uint8_t *)bench->keys, NULL},
			.dtype = DTYPE_F32,
			.rows = (const uint8_t *)rows,
			.rows_bytes = (size_t)PUT_ROWS * bench->dim * sizeof *rows}};
	const struct row_write put = {.release = "r1",
		.parts = &part,
		.part_count = 1,
		.now_ms = 1};
	struct write_result result;
	struct write_ticket *ticket;
	bench_must(store_put(store, &put, &result, &ticket, &err), &err);
	bench_must(store_write_wait(ticket, &err), &err);
	return result.sequence;
}

/* How long after it was acknowledged a write is seen. */
static void measure_lag(struct store *store, struct bench *bench)
{
	double *lags = get(PUTS * sizeof *lags);
	float *rows = get((size_t)PUT_ROWS * bench->dim * sizeof *rows);
	const double began = bench_now_s();
	bench->count = PUT_ROWS;
	for (size_t i = 0; i < PUTS; i++) {
		const uint64_t sequence = put_rows(store, bench, rows);
		const double start = bench_now_s();
		local_set_min_sequence(bench->handle, sequence);
		(void)time_call(bench);
		lags[i] = bench_now_s() - start;
	}
	printf("put_rows %.0f /s\n", (double)PUTS * PUT_ROWS / (bench_now_s() - began));
	report("lag", lags, PUTS);
	free(lags);
	free(rows);
}

int main(int argc, char **argv)
{
	struct bench bench = {
		.rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000,
		.count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 500,
		.dim = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 64,
		.state = 1,
	};
	char folder[] = "/tmp/bench_local.XXXXXX";
	char spelt[64]; /* as the reader names it, so that it opens the folder itself */
	if (bench.rows == 0 || bench.count == 0 || bench.dim == 0 || mkdtemp(folder) == NULL) {
		return 2;
	}
	struct error err = {0};
	struct store *store = NULL;
	const struct store_options options = {.folder = folder,
		.load_memory_bytes = 512u << 20,
		.catalog_bytes = 64u << 20};
	grace_register();
	bench_must(store_open(&options, &store, &err), &err);
	bench_fill(store, bench.rows, bench.dim);
	store_close(store);
	(void)snprintf(spelt, sizeof spelt, "/./%s", folder + 1);
	const struct local_options local_options = {.folder = spelt};
	const double start = bench_now_s();
	bench_must(local_open(&local_options, &bench.local, &err), &err);
	printf("open %.3f s\n", bench_now_s() - start);
	bench_must(local_handle_open(bench.local, &bench.handle, &err), &err);
	bench.keys = get((bench.count + PUT_ROWS) * sizeof *bench.keys);
	measure(&bench);
	const double one = calls_per_s(&bench, 1);
	const double two = calls_per_s(&bench, THREADS);
	printf("calls_of_1 %.0f /s\ncalls_of_2 %.0f /s\n2_per_1 %.2f ratio\n", one, two, two / one);
	bench_must(store_open(&options, &store, &err), &err);
	measure_lag(store, &bench);
	local_handle_close(bench.handle);
	local_close(bench.local);
	store_close(store);
	grace_unregister();
	wire_writer_fini(&bench.request);
	free(bench.keys);
	char command[64];
	(void)snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) == 0 ? 0 : 1;
}
