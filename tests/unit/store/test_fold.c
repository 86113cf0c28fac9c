/* test_fold.c - samples of a batch become new states: each key once, whatever it had before. */
#include "daemon/aggregate/history.h"
#include "daemon/store/fold/fold.h"
#include "daemon/store/log/frame.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/system/grace.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/seed.h"
#include "tests/unit/store/plain.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	DIM = 3,
	VIEWS = 2,
	ELEMENTS = DIM * VIEWS,
	STATE_FLOATS = 2 * ELEMENTS + 2, /* the high parts, the weight, the low parts */
	KEYS = 40,                       /* that samples are of */
	SAMPLES = 1000,
	HOUR_MS = 3600 * 1000,
	NOW_MS = 100 * HOUR_MS,
};

static struct table_spec spec_of(enum key_type key_type)
{
	return (struct table_spec){
		.name = {"cr_user@fm"},
		.entity = ENTITY_USER,
		.kind = KIND_CR,
		.dtype = DTYPE_F32,
		.key_type = key_type,
		.dim = DIM,
		.views = VIEWS,
		.decay_events = 0.75,
		.half_life_ms = HOUR_MS,
		.reading = READING_SUM,
		.state = STATE_F32X2,
	};
}

/* A table without files, and what it must hold. */
struct world {
	struct table *table; /* owned */
	struct memtable_usage usage;
	uint64_t sequence;
	uint32_t numbers[SAMPLES]; /* of each sample that of its key, below KEYS */
	float rows[SAMPLES][ELEMENTS];
	int64_t times[SAMPLES];
	uint8_t packed[SAMPLES * 16]; /* the keys */
	uint32_t at[SAMPLES];
	float states[KEYS][STATE_FLOATS]; /* of each key, one sample after the other */
	struct aggregate expected[KEYS];
};

static size_t write_key(enum key_type type, uint32_t number, uint8_t *out)
{
	if (type == KEY_U64) {
		const uint64_t key = (uint64_t)number << 40 | 7;
		memcpy(out, &key, sizeof key);
		return sizeof key;
	}
	/* Some begin as others do. */
	const int len = snprintf((char *)out + 1, 15, "key%.*s", (int)(number % 8), "-------");
	out[1 + len] = (uint8_t)('0' + number / 8);
	out[0] = (uint8_t)(len + 1);
	return (size_t)out[0] + 1;
}

static struct world *make_world(enum key_type type)
{
	struct world *world = calloc(1, sizeof *world);
	const struct table_spec spec = spec_of(type);
	uint64_t random = seed_from(5);
	assert_non_null(world);
	world->table = table_new(&spec, 1);
	assert_non_null(world->table);
	world->table->seed = scratch_seed;
	size_t end = 0;
	for (uint32_t i = 0; i < SAMPLES; i++) {
		/* Some keys are frequent, and one in eight samples is late. */
		const uint64_t drawn = plain_random(&random);
		world->numbers[i] = (uint32_t)(drawn % KEYS * (drawn >> 20 & 0xff) >> 8);
		world->times[i] = (int64_t)(i * UINT64_C(60000) + (drawn >> 32) % 1000) -
				  (i % 8 == 3 ? INT64_C(2) : 0) * HOUR_MS + INT64_C(5) * HOUR_MS;
		for (uint32_t j = 0; j < ELEMENTS; j++) {
			world->rows[i][j] = (float)(plain_random(&random) % 2000) / 1000 - 1;
		}
		world->at[i] = (uint32_t)end;
		end += write_key(type, world->numbers[i], world->packed + end);
	}
	for (uint32_t i = 0; i < KEYS; i++) {
		world->expected[i].state = world->states[i];
	}
	return world;
}

static void free_world(struct world *world)
{
	table_drop(world->table);
	free(world);
}

/* Keys of samples [first, first + count). */
static struct keys keys_of(const struct world *world, uint32_t first, uint32_t count)
{
	const enum key_type type = world->table->spec.key_type;
	return type == KEY_U64 ? (struct keys){type, count, world->packed + (size_t)first * 8, NULL}
			       : (struct keys){type, count, world->packed, world->at + first};
}

static enum status fold_samples(struct world *world, struct fold *fold, uint32_t first,
	uint32_t count)
{
	struct error err = {0};
	const struct keys keys = keys_of(world, first, count);
	const struct samples samples = {
		.count = count,
		.rows = world->rows[first],
		.times = (const uint8_t *)&world->times[first],
	};
	const struct memtable_change change = {
		.spec = &world->table->spec,
		.usage = &world->usage,
		.sequence = world->sequence + 1,
	};
	const enum status status = fold_init(fold, world->table, &keys, &err);
	return status == STATUS_OK ? fold_run(fold, &change, &samples, NOW_MS, &err) : status;
}

/* As a write does: what was folded becomes the newest versions. */
static void fold_and_link(struct world *world, uint32_t first, uint32_t count)
{
	struct fold fold;
	uint32_t linked;
	assert_int_equal(fold_samples(world, &fold, first, count), STATUS_OK);
	assert_true(fold.keys.count <= count && fold.keys.count <= KEYS);
	assert_int_equal(memtable_room_link(&fold.room, &linked), STATUS_OK);
	assert_int_equal(linked, fold.keys.count);
	world->sequence++;
	fold_end(&fold);
	fold_fini(&fold);
}

static const struct row_version *version_of(const struct world *world, uint32_t number)
{
	uint8_t key[16];
	const enum key_type type = world->table->spec.key_type;
	const size_t len = write_key(type, number, key);
	uint64_t id;
	memcpy(&id, key, sizeof id);
	return type == KEY_U64
		       ? memtable_newest(world->table->memtable, siphash_u64(&scratch_seed, id),
				 key, len)
		       : memtable_newest(world->table->memtable,
				 siphash(&scratch_seed, key + 1, len - 1), key + 1, len - 1);
}

static void expect_states(const struct world *world)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		const struct row_version *version = version_of(world, i);
		assert_int_equal(version != NULL, world->expected[i].is_there);
		if (version != NULL) {
			assert_memory_equal(version->row, world->states[i],
				sizeof world->states[i]);
			assert_int_equal(version->time_ms, world->expected[i].last_ms);
		}
	}
}

/* ---- states ---- */

static void the_cut_into_batches_changes_no_bit(void **state)
{
	static const enum key_type types[] = {KEY_U64, KEY_BYTES};
	(void)state;
	for (unsigned type = 0; type < 2; type++) {
		struct world *world = make_world(types[type]);
		uint64_t random = seed_from(11);
		for (uint32_t i = 0; i < SAMPLES; i++) {
			aggregate_add(&world->expected[world->numbers[i]], &world->table->spec,
				world->times[i], world->rows[i]);
		}
		for (uint32_t first = 0, count; first < SAMPLES; first += count) {
			count = (uint32_t)(plain_random(&random) % 300);
			count = count < SAMPLES - first ? count : SAMPLES - first;
			fold_and_link(world, first, count);
		}
		expect_states(world);
		free_world(world);
	}
}

static void histories_are_the_same_however_samples_are_cut(void **state)
{
	static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16};
	(void)state;
	for (unsigned dtype = 0; dtype < 2; dtype++) {
		struct world *world = make_world(KEY_U64);
		struct table_spec *spec = (struct table_spec *)&world->table->spec;
		uint64_t random = seed_from(13);
		spec->history = 4;
		spec->dtype = dtypes[dtype];
		spec->reading = READING_NONE;
		spec->state = STATE_NONE;
		const size_t bytes = spec_row_bytes(spec);
		uint8_t *expected = calloc(KEYS, bytes);
		assert_non_null(expected);
		assert_int_equal(spec_stored_bytes(spec), bytes);
		for (uint32_t i = 0; i < SAMPLES; i++) {
			struct aggregate *row = &world->expected[world->numbers[i]];
			row->state = (float *)(void *)(expected + world->numbers[i] * bytes);
			assert_true(history_add(row, spec, world->times[i], world->rows[i]));
		}
		for (uint32_t first = 0, count; first < SAMPLES; first += count) {
			count = (uint32_t)(plain_random(&random) % 300);
			count = count < SAMPLES - first ? count : SAMPLES - first;
			fold_and_link(world, first, count);
		}
		for (uint32_t i = 0; i < KEYS; i++) {
			const struct row_version *version = version_of(world, i);
			assert_int_equal(version != NULL, world->expected[i].is_there);
			if (version != NULL) {
				assert_memory_equal(version->row, expected + i * bytes, bytes);
				assert_int_equal(version->time_ms, world->expected[i].last_ms);
			}
		}
		free(expected);
		free_world(world);
	}
}

static void keys_come_once_in_the_order_of_their_first_samples(void **state)
{
	static const enum key_type types[] = {KEY_U64, KEY_BYTES};
	(void)state;
	for (unsigned type = 0; type < 2; type++) {
		struct world *world = make_world(types[type]);
		struct fold fold;
		struct error err = {0};
		uint32_t met = 0;
		bool seen[KEYS] = {false};
		const struct keys keys = keys_of(world, 0, SAMPLES);
		assert_int_equal(fold_init(&fold, world->table, &keys, &err), STATUS_OK);
		for (uint32_t i = 0; i < SAMPLES; i++) {
			if (!seen[world->numbers[i]]) {
				seen[world->numbers[i]] = true;
				assert_int_equal(fold.key_of[i], met++);
			}
			size_t len;
			size_t other_len;
			const uint8_t *key = keys_bytes(&keys, i, &len);
			const uint8_t *other = keys_bytes(&fold.keys, fold.key_of[i], &other_len);
			assert_int_equal(len, other_len);
			assert_memory_equal(key, other, len);
		}
		assert_int_equal(fold.keys.count, met);
		assert_true(met > KEYS / 2);
		fold_fini(&fold);
		free_world(world);
	}
}

static void no_samples_are_no_keys(void **state)
{
	struct world *world = make_world(KEY_BYTES);
	struct fold fold;
	(void)state;
	assert_int_equal(fold_samples(world, &fold, 0, 0), STATUS_OK);
	assert_int_equal(fold.keys.count, 0);
	fold_end(&fold);
	assert_true(memtable_is_empty(world->table->memtable));
	assert_int_equal(world->usage.bytes, 0);
	fold_fini(&fold);
	fold_fini(&fold); /* it is zeroed */
	free_world(world);
}

/* A version's first and last sum and its weight. */
static void expect_state(const struct world *world, const struct row_version *version, double sum,
	double weight)
{
	const struct table_spec *spec = &world->table->spec;
	double sums[ELEMENTS];
	aggregate_read_sums(spec, version->row, row_version_low(version, spec), (uint8_t *)sums);
	assert_true(sums[0] == sum && sums[ELEMENTS - 1] == sum);
	assert_true(aggregate_weight(spec, version->row) == weight);
}

static void a_late_sample_fades_and_leaves_the_time(void **state)
{
	struct world *world = make_world(KEY_U64);
	(void)state;
	world->table->spec.decay_events = 1;
	for (uint32_t i = 0; i < 4; i++) {
		static const int64_t hours[] = {10, 9, 11, 8};
		write_key(KEY_U64, 1, world->packed + (size_t)i * 8);
		world->times[i] = hours[i] * HOUR_MS;
		for (uint32_t j = 0; j < ELEMENTS; j++) {
			world->rows[i][j] = 8;
		}
	}
	/* 8; and 8 an hour late: 4; all an hour on, and 8; and 8 three hours late: 1. */
	static const double sums[] = {8, 12, 14, 15};
	static const double weights[] = {1, 1.5, 1.75, 1.875};
	static const int64_t last_hours[] = {10, 10, 11, 11};
	for (uint32_t i = 0; i < 4; i++) {
		fold_and_link(world, i, 1);
		const struct row_version *version = version_of(world, 1);
		assert_non_null(version);
		expect_state(world, version, sums[i], weights[i]);
		assert_int_equal(version->time_ms, last_hours[i] * HOUR_MS);
	}
	free_world(world);
}

/* ---- what is not there any more ---- */

/* Puts a row of sum 5 and weight 2, of a time, under key 1; NULL: deletes it. */
static void put_state(struct world *world, const int64_t *time_ms)
{
	const struct table_spec *spec = &world->table->spec;
	uint8_t row[STATE_FLOATS * sizeof(float)];
	double sums[ELEMENTS];
	uint8_t key[16];
	uint64_t id;
	for (uint32_t j = 0; j < ELEMENTS; j++) {
		sums[j] = 5;
	}
	aggregate_make(spec, (const uint8_t *)sums, 2, row);
	const size_t len = write_key(KEY_U64, 1, key);
	memcpy(&id, key, sizeof id);
	const struct frame_row put = {
		.key = key,
		.key_len = len,
		.time_ms = time_ms == NULL ? NOW_MS : *time_ms,
		.tags = 9,
		.data = time_ms == NULL ? NULL : row,
		.low = time_ms == NULL ? NULL : row + spec_row_bytes(spec),
	};
	const struct memtable_change change = {
		.spec = &world->table->spec,
		.usage = &world->usage,
		.sequence = ++world->sequence,
	};
	assert_int_equal(memtable_put(world->table->memtable, &change,
				 siphash_u64(&scratch_seed, id), &put),
		STATUS_OK);
}

/* A sample of ones at NOW_MS under key 1 makes this sum, weight and these tags. */
static void expect_after_sample(struct world *world, double sum, double weight, uint64_t tags)
{
	write_key(KEY_U64, 1, world->packed);
	world->times[0] = NOW_MS;
	for (uint32_t j = 0; j < ELEMENTS; j++) {
		world->rows[0][j] = 1;
	}
	fold_and_link(world, 0, 1);
	const struct row_version *version = version_of(world, 1);
	assert_non_null(version);
	expect_state(world, version, sum, weight);
	assert_int_equal(version->time_ms, NOW_MS);
	assert_int_equal(version->tags, tags);
}

static struct world *make_world_with_ttl(void)
{
	struct world *world = make_world(KEY_U64);
	world->table->spec.ttl_ms = HOUR_MS;
	world->table->spec.tags = true;
	world->table->spec.half_life_ms = 0;
	world->table->spec.decay_events = 1;
	return world;
}

static void an_expired_row_begins_anew(void **state)
{
	struct world *world = make_world_with_ttl();
	int64_t time_ms = NOW_MS - HOUR_MS;
	(void)state;
	put_state(world, &time_ms);
	expect_after_sample(world, 1, 1, 0);
	time_ms++; /* it lives for a millisecond more */
	put_state(world, &time_ms);
	expect_after_sample(world, 6, 3, 9);
	time_ms = NOW_MS + 5; /* of the future, so the sample is late */
	put_state(world, &time_ms);
	write_key(KEY_U64, 1, world->packed);
	world->times[0] = NOW_MS;
	fold_and_link(world, 0, 1);
	assert_int_equal(version_of(world, 1)->time_ms, NOW_MS + 5);
	free_world(world);
}

static void what_a_batch_begins_expires_in_it_too(void **state)
{
	struct world *world = make_world_with_ttl();
	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		/* Each by itself would find no row: the first two are older than a row may be. */
		static const int64_t hours[] = {40, 60, 100};
		write_key(KEY_U64, 1, world->packed + (size_t)i * 8);
		world->times[i] = hours[i] * HOUR_MS;
		for (uint32_t j = 0; j < ELEMENTS; j++) {
			world->rows[i][j] = (float)(i + 1);
		}
	}
	fold_and_link(world, 0, 3);
	expect_state(world, version_of(world, 1), 3, 1);
	free_world(world);
}

static void a_deleted_row_begins_anew(void **state)
{
	struct world *world = make_world_with_ttl();
	const int64_t time_ms = NOW_MS - 1;
	(void)state;
	put_state(world, &time_ms);
	put_state(world, NULL);
	expect_after_sample(world, 1, 1, 0);
	expect_after_sample(world, 2, 2, 0);
	free_world(world);
}

/* ---- memory ---- */

static bool fold_all(void *arg)
{
	struct world *world = arg;
	struct fold fold;
	const uint64_t bytes = world->usage.bytes;
	const enum status status = fold_samples(world, &fold, 0, SAMPLES);
	assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
	fold_end(&fold);
	assert_int_equal(world->usage.bytes, bytes);
	fold_fini(&fold);
	return status == STATUS_OK;
}

static void refused_memory_is_told(void **state)
{
	(void)state;
	struct world *world = make_world(KEY_BYTES);
	world->table->spec.tags = true;
	fold_and_link(world, 0, SAMPLES / 2);
	assert_int_equal(alloc_fail_each(fold_all, world), 8);
	free_world(world);
	world = make_world(KEY_U64);
	assert_int_equal(alloc_fail_each(fold_all, world), 9);
	free_world(world);
}

static int begin(void **state)
{
	(void)state;
	grace_register();
	grace_enter(); /* a fold runs within a snapshot */
	return 0;
}

static int end(void **state)
{
	(void)state;
	grace_leave();
	grace_unregister();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cut_into_batches_changes_no_bit),
		cmocka_unit_test(histories_are_the_same_however_samples_are_cut),
		cmocka_unit_test(keys_come_once_in_the_order_of_their_first_samples),
		cmocka_unit_test(no_samples_are_no_keys),
		cmocka_unit_test(a_late_sample_fades_and_leaves_the_time),
		cmocka_unit_test(an_expired_row_begins_anew),
		cmocka_unit_test(what_a_batch_begins_expires_in_it_too),
		cmocka_unit_test(a_deleted_row_begins_anew),
		cmocka_unit_test(refused_memory_is_told),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
