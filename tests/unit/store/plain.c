/* plain.c - random rows in plain arrays. */
#include "tests/unit/store/plain.h"

#include "daemon/store/admin/admin.h"
#include "daemon/store/load/load.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint64_t plain_random(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = *state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void *must_calloc(size_t count, size_t size)
{
	void *memory = calloc(count + 1, size);
	assert_non_null(memory);
	return memory;
}

/* Key number i: different for each i, of any length for byte strings. Returns its packed size. */
static size_t put_key(enum key_type type, uint32_t i, uint8_t *out)
{
	uint64_t state = i;
	if (type == KEY_U64) {
		const uint64_t key = i % 3 == 0 ? i : plain_random(&state) << 32 | i;
		memcpy(out, &key, 8);
		return 8;
	}
	const size_t len = i < 255 ? 1 : 4 + plain_random(&state) % (LIMIT_KEY_BYTES - 3);
	out[0] = (uint8_t)len;
	memset(out + 1, (int)(i & 0xff), len);
	memcpy(out + 1, &i, len < 4 ? len : 4);
	return len + 1;
}

static void make_rows(struct plain *plain, uint64_t *state)
{
	const struct table_spec *spec = &plain->spec;
	const size_t bytes = plain->count * spec_row_bytes(spec);
	const size_t width = (size_t)spec->dim * spec->views;
	float *floats = must_calloc(plain->count * width, sizeof *floats);
	for (size_t i = 0; i < plain->count * width; i++) {
		floats[i] = ((float)(plain_random(state) % 2000001) - 1000000) / 7919;
	}
	for (size_t i = 0; i < bytes; i++) {
		plain->rows[i] = (uint8_t)plain_random(state);
	}
	for (uint32_t i = 0; i < plain->count; i++) {
		plain->scales[i] = (float)(plain_random(state) % 1000) / 256;
		plain->times[i] = SCRATCH_NOW_MS - 1000 - (int64_t)(plain_random(state) % 100000);
		plain->tags[i] = spec->tags ? plain_random(state) : 0;
	}
	if (spec->dtype != DTYPE_I8 && spec->dtype != DTYPE_BIT) {
		const struct dtype_rows from = {.dtype = DTYPE_F32, .rows = floats};
		const struct dtype_rows to = {.dtype = spec->dtype, .rows = plain->rows};
		dtype_convert(&to, &from, plain->count, spec->dim, spec->views);
	}
	free(floats);
}

void plain_make(struct plain *plain, const struct table_spec *spec, uint32_t count)
{
	uint64_t state = count;
	*plain = (struct plain){
		.spec = *spec,
		.count = count,
		.packed = must_calloc(count, LIMIT_KEY_BYTES + 1),
		.at = must_calloc(count, sizeof *plain->at),
		.rows = must_calloc(count, spec_row_bytes(spec)),
		.scales = must_calloc(count, sizeof *plain->scales),
		.times = must_calloc(count, sizeof *plain->times),
		.tags = must_calloc(count, sizeof *plain->tags),
	};
	size_t end = 0;
	for (uint32_t i = 0; i < count; i++) {
		plain->at[i] = (uint32_t)end;
		end += put_key(spec->key_type, i, plain->packed + end);
	}
	make_rows(plain, &state);
}

void plain_fini(struct plain *plain)
{
	free(plain->packed);
	free(plain->at);
	free(plain->rows);
	free(plain->scales);
	free(plain->times);
	free(plain->tags);
}

void plain_batch(const struct plain *plain, const uint32_t *numbers, uint32_t count,
	struct keys *batch)
{
	uint8_t *packed = must_calloc(count, LIMIT_KEY_BYTES + 1);
	uint32_t *at = must_calloc(count, sizeof *at);
	size_t end = 0;
	for (uint32_t i = 0; i < count; i++) {
		at[i] = (uint32_t)end;
		end += put_key(plain->spec.key_type, numbers[i], packed + end);
	}
	*batch = (struct keys){.type = plain->spec.key_type,
		.count = count,
		.packed = packed,
		.at = at};
}

void plain_load(const struct plain *plain, struct scratch *scratch, const char *release,
	uint32_t chunk_rows)
{
	struct error err = {0};
	const struct table_spec *spec = &plain->spec;
	scratch_must(store_table_create(scratch->store, release, spec, NULL, &err), &err);
	struct load_chunk chunk = {
		.release = release,
		.table = spec->name.text,
		.load = {"plain"},
		.batch.dtype = spec->dtype,
		.now_ms = SCRATCH_NOW_MS,
	};
	for (uint32_t first = 0; first < plain->count; first += chunk_rows, chunk.chunk++) {
		const uint32_t left = plain->count - first;
		const uint32_t count = left < chunk_rows ? left : chunk_rows;
		struct load_progress progress;
		uint32_t *at = must_calloc(count, sizeof *at);
		for (uint32_t i = 0; i < count; i++) {
			at[i] = plain->at[first + i] - plain->at[first];
		}
		chunk.batch.keys =
			(struct keys){spec->key_type, count, plain->packed + plain->at[first], at};
		chunk.batch.rows = plain->rows + first * spec_row_bytes(spec);
		chunk.batch.rows_bytes = count * spec_row_bytes(spec);
		chunk.batch.scales =
			spec->dtype == DTYPE_I8 ? (void *)(plain->scales + first) : NULL;
		chunk.batch.times = (void *)(plain->times + first);
		chunk.batch.tags = spec->tags ? (void *)(plain->tags + first) : NULL;
		scratch_must(store_load_chunk(scratch->store, &chunk, &progress, &err), &err);
		scratch_must(store_load_sync(scratch->store, &err), &err);
		free(at);
	}
	if (plain->count > 0) {
		scratch_must(store_load_end(scratch->store, &chunk, chunk.chunk, plain->count,
				     &err),
			&err);
	}
}

void plain_seal(struct plain *plain, struct scratch *scratch, const struct table_spec *spec,
	uint32_t count, uint32_t chunk_rows)
{
	plain_make(plain, spec, count);
	scratch_release(scratch, "r1");
	plain_load(plain, scratch, "r1", chunk_rows);
	scratch_seal(scratch, "r1");
}

void plain_row(const struct plain *plain, uint32_t i, enum dtype dtype, uint8_t *row, float *scale)
{
	const struct table_spec *spec = &plain->spec;
	const struct dtype_rows from = {
		.dtype = spec->dtype,
		.rows = plain->rows + i * spec_row_bytes(spec),
		.scales = &plain->scales[i],
	};
	const struct dtype_rows to = {.dtype = dtype, .rows = row, .scales = scale};
	dtype_convert(&to, &from, 1, spec->dim, spec->views);
}
