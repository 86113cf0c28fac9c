/* observe_fixture.c - numbered samples, and what a store that takes them must hold. */
#include "tests/unit/store/observe_fixture.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/aggregate/aggregate.h"
#include "daemon/aggregate/history.h"
#include "daemon/store/admin/admin.h"
#include "daemon/store/log/positions.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/observe/observe.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/state/reader.h"

enum { USERS = 13, ITEMS = 7, HISTORY = 3 };

/* ---- samples, numbered; all that is known of one follows from its number ---- */

static uint64_t user_of(uint64_t number)
{
	return number * 5 % USERS * 1000;
}

static size_t item_of(uint64_t number, uint8_t out[16])
{
	out[0] = (uint8_t)snprintf((char *)out + 1, 15, "item-%d", (int)(number * number % ITEMS));
	return (size_t)out[0] + 1;
}

/* Every ninth one is late. */
static int64_t time_of(uint64_t number)
{
	return SCRATCH_NOW_MS / 2 + (int64_t)(number * 100) - (number % 9 == 4 ? 20000 : 0);
}

/* Values that every dtype but bit holds: multiples of 1/8 up to 8. */
static float value_of(uint64_t number, uint32_t element)
{
	return (float)((int)(number * 31 % 127) - 63 + (int)element) / 8;
}

struct observation *samples_make(struct sample_batch *batch, uint64_t first, uint32_t count)
{
	size_t end = 0;
	assert_true(count <= SAMPLE_BATCH_MAX);
	for (uint32_t i = 0; i < count; i++) {
		batch->users[i] = user_of(first + i);
		batch->item_at[i] = (uint32_t)end;
		end += item_of(first + i, batch->items + end);
		batch->times[i] = time_of(first + i);
		for (uint32_t j = 0; j < SAMPLE_DIM; j++) {
			batch->rows[i][j] = value_of(first + i, j);
		}
	}
	batch->given = (struct observation){
		.release = "r1",
		.layer = "fm",
		.count = count,
		.users = {KEY_U64, count, (const uint8_t *)batch->users, NULL},
		.items = {KEY_BYTES, count, batch->items, batch->item_at},
		.times = (const uint8_t *)batch->times,
		.dtype = DTYPE_F32,
		.rows = (const uint8_t *)batch->rows,
		.rows_bytes = count * sizeof batch->rows[0],
		.source = "s",
		.position = first,
		.first = true,
		.now_ms = SCRATCH_NOW_MS,
	};
	return &batch->given;
}

/* ---- a store of two tables ---- */

struct table_spec samples_spec(enum entity entity)
{
	struct table_spec spec = scratch_spec(entity == ENTITY_USER ? "cr_user@fm" : "cr_item@fm",
		DTYPE_F32, entity == ENTITY_USER ? KEY_U64 : KEY_BYTES, SAMPLE_DIM);
	spec.entity = entity;
	spec.kind = KIND_CR;
	spec.decay_events = 0.9;
	spec.half_life_ms = 30000;
	spec.reading = READING_SUM;
	spec.state = entity == ENTITY_USER ? STATE_F32X2 : STATE_F32;
	return spec;
}

struct table_spec samples_history_spec(void)
{
	struct table_spec spec = scratch_spec("seen@fm", DTYPE_F32, KEY_U64, SAMPLE_DIM);
	spec.entity = ENTITY_USER;
	spec.kind = KIND_CR;
	spec.history = HISTORY;
	return spec;
}

void samples_release(struct scratch *scratch, const char *id)
{
	struct error err = {0};
	struct name name = {0};
	uint64_t number;
	const struct release_labels labels = {0};
	const struct table_spec users = samples_spec(ENTITY_USER);
	const struct table_spec items = samples_spec(ENTITY_ITEM);
	(void)snprintf(name.text, sizeof name.text, "%s", id);
	scratch_must(store_release_create(scratch->store, &name, &labels, &number, &err), &err);
	scratch_must(store_table_create(scratch->store, id, &users, NULL, &err), &err);
	scratch_must(store_table_create(scratch->store, id, &items, NULL, &err), &err);
	scratch_seal(scratch, id);
}

int samples_setup(void **state)
{
	(void)scratch_setup_small_store(state);
	samples_release(*state, "r1");
	return 0;
}

enum status samples_try(struct scratch *scratch, const struct observation *given,
	struct observe_result *result, struct error *err)
{
	struct write_ticket *ticket;
	const enum status status = store_observe(scratch->store, given, result, &ticket, err);
	return status == STATUS_OK ? store_write_wait(ticket, err) : status;
}

void samples_send(struct scratch *scratch, uint64_t first, uint32_t count, uint64_t applied)
{
	static struct sample_batch batch;
	struct observe_result result = {0};
	struct error err = {0};
	scratch_must(samples_try(scratch, samples_make(&batch, first, count), &result, &err), &err);
	assert_int_equal(result.write.count, applied);
	assert_true(result.next >= first + count);
	assert_string_equal(result.write.release.text, "r1");
}

uint64_t samples_next(struct scratch *scratch, const char *source)
{
	struct position_list positions;
	struct error err = {0};
	uint64_t next = UINT64_MAX;
	scratch_must(store_positions(scratch->store, "r1", &positions, &err), &err);
	for (size_t i = 0; i < positions.count; i++) {
		assert_string_equal(positions.all[i].layer.text, "fm");
		if (strcmp(positions.all[i].source.text, source) == 0) {
			next = positions.all[i].next;
		}
	}
	free(positions.all);
	return next;
}

/* ---- what must be there ---- */

/* A row as it is read in full. */
struct sums {
	double sums[SAMPLE_DIM];
	double weight;
};

/* Looks up one key of a table: its sums and time; false: absent. */
static bool look_up(struct scratch *scratch, const char *name, struct keys keys, struct sums *sums,
	int64_t *time_ms)
{
	struct error err = {0};
	const struct release *release;
	const struct table *table;
	uint8_t found;
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(snapshot_release(snapshot, "r1", &release, &err), &err);
	scratch_must(release_table(release, name, &table, &err), &err);
	struct lookup lookup = {
		.table = table,
		.keys = keys,
		.dtype = DTYPE_F64,
		.visible = store_visible(scratch->store),
		.now_ms = SCRATCH_NOW_MS,
		.raw = true,
		.may_block = true,
		.rows = (uint8_t *)sums->sums,
		.found = &found,
		.times = (uint8_t *)time_ms,
		.weights = (uint8_t *)&sums->weight,
	};
	scratch_must(table_lookup(&lookup, &err), &err);
	snapshot_end(scratch->store);
	return found != 0;
}

static void expect_key(struct scratch *scratch, const struct table_spec *spec, struct keys keys,
	const struct aggregate *expected)
{
	struct sums sums;
	struct sums wanted;
	int64_t time_ms;
	assert_int_equal(look_up(scratch, spec->name.text, keys, &sums, &time_ms),
		expected->is_there);
	if (expected->is_there) {
		const uint8_t *state = (const uint8_t *)expected->state;
		aggregate_read_sums(spec, state, spec_low_behind(spec, state),
			(uint8_t *)wanted.sums);
		wanted.weight = aggregate_weight(spec, state);
		assert_memory_equal(&sums, &wanted, sizeof sums);
		assert_int_equal(time_ms, expected->last_ms);
	}
}

void samples_expect(struct scratch *scratch, uint64_t from, uint64_t to)
{
	float states[USERS + ITEMS][2 * SAMPLE_DIM + 2];
	struct aggregate expected[USERS + ITEMS] = {0};
	const struct table_spec users = samples_spec(ENTITY_USER);
	const struct table_spec items = samples_spec(ENTITY_ITEM);
	for (size_t i = 0; i < USERS + ITEMS; i++) {
		expected[i].state = states[i];
	}
	for (uint64_t number = from; number < to; number++) {
		float row[SAMPLE_DIM];
		for (uint32_t j = 0; j < SAMPLE_DIM; j++) {
			row[j] = value_of(number, j);
		}
		aggregate_add(&expected[user_of(number) / 1000], &users, time_of(number), row);
		aggregate_add(&expected[USERS + number * number % ITEMS], &items, time_of(number),
			row);
	}
	for (uint64_t i = 0; i < USERS; i++) {
		const uint64_t key = i * 1000;
		expect_key(scratch, &users, (struct keys){KEY_U64, 1, (const uint8_t *)&key, NULL},
			&expected[i]);
	}
	for (int i = 0; i < ITEMS; i++) {
		const uint32_t at = 0;
		uint8_t key[16];
		key[0] = (uint8_t)snprintf((char *)key + 1, sizeof key - 1, "item-%d", i);
		expect_key(scratch, &items, (struct keys){KEY_BYTES, 1, key, &at},
			&expected[USERS + i]);
	}
}

/* A row of the third table, as it is read. */
struct seen {
	float rows[HISTORY][SAMPLE_DIM];
	int64_t times[HISTORY];
	uint32_t count;
};

static bool look_up_seen(struct scratch *scratch, uint64_t key, struct seen *seen)
{
	struct error err = {0};
	uint8_t found;
	struct lookup lookup = {
		.table = scratch_table(scratch, "seen@fm"),
		.keys = {KEY_U64, 1, (const uint8_t *)&key, NULL},
		.dtype = DTYPE_F32,
		.visible = store_visible(scratch->store),
		.now_ms = SCRATCH_NOW_MS,
		.may_block = true,
		.rows = (uint8_t *)seen->rows,
		.found = &found,
		.history_counts = (uint8_t *)&seen->count,
		.history_times = (uint8_t *)seen->times,
	};
	scratch_must(table_lookup(&lookup, &err), &err);
	snapshot_end(scratch->store);
	return found != 0;
}

void samples_expect_history(struct scratch *scratch, uint64_t from, uint64_t to)
{
	const struct table_spec spec = samples_history_spec();
	uint64_t states[USERS][64] = {0};
	struct aggregate expected[USERS] = {0};
	assert_true(spec_row_bytes(&spec) <= sizeof states[0]);
	for (uint64_t number = from; number < to; number++) {
		float row[SAMPLE_DIM];
		struct aggregate *of = &expected[user_of(number) / 1000];
		of->state = (float *)(void *)states[of - expected];
		for (uint32_t j = 0; j < SAMPLE_DIM; j++) {
			row[j] = value_of(number, j);
		}
		assert_true(history_add(of, &spec, time_of(number), row));
	}
	for (uint64_t i = 0; i < USERS; i++) {
		struct seen seen = {0};
		const uint8_t *state = (const uint8_t *)states[i];
		assert_int_equal(look_up_seen(scratch, i * 1000, &seen), expected[i].is_there);
		if (expected[i].is_there) {
			assert_int_equal(seen.count, history_count(&spec, state));
			assert_memory_equal(seen.rows, state, sizeof seen.rows);
			assert_memory_equal(seen.times, history_times(&spec, state),
				sizeof seen.times);
		}
	}
}

void samples_merge(struct scratch *scratch)
{
	struct merge_result result;
	struct error err = {0};
	scratch_must(store_merge(scratch->store, NULL, &result, &err), &err);
}
