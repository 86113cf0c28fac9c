/* test_model_history.c - random vectors into histories, held against plain lists.
 *
 *   test_model_history [OPERATIONS [SEEDS]]    vectors written, rows read; 60,000 and 1 unless told
 *
 * The first seed is REPSTORE_SEED, or 1. It is printed.
 *
 * Two releases have two tables that vectors are appended to and two of a layer that observes: of each type of
 * key, with and without a ttl, of several dtypes. Vectors come late, and of the same time as others;
 * sources send again what was counted, and leave numbers out; rows are deleted, expire by a clock that
 * the test sets, are merged, and go through restarts and publishes. After each step what the store answers
 * must be what the lists hold.
 */
#include "daemon/store/admin/admin.h"
#include "daemon/store/log/positions.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/observe/observe.h"
#include "daemon/store/observe/sources.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/clock.h"
#include "tests/unit/store/plain.h"
#include "tests/unit/store/scratch.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	RELEASES = 2,
	TABLES = 4,
	LAYER_FIRST = 2, /* the two tables of layer "fm": of users, of items */
	KEYS = 150,
	BATCH_MAX = 64,
	ELEMENTS = 6, /* of a vector, in all tables */
	PLACES_MAX = 5,
	SOURCES = 2,
	FED = LAYER_FIRST + 1, /* the tables that are appended to, and the layer */
	KEY_BYTES_MAX = 16,
	MINUTE_MS = 60 * 1000,
	TTL_MS = 30 * MINUTE_MS,
};

/* The vectors of a key, oldest first. */
struct cell {
	uint32_t count; /* 0: it has no row */
	int64_t times[PLACES_MAX];
	float vectors[PLACES_MAX][ELEMENTS];
};

struct model {
	struct scratch *scratch;
	uint64_t random;
	int64_t now_ms;
	struct table_spec specs[TABLES];
	struct cell cells[RELEASES][TABLES][KEYS];
	uint64_t next[RELEASES][FED][SOURCES]; /* of each source; 0: it is not known */
	unsigned live;
	uint64_t operations;
	unsigned merges;
	unsigned restarts;
	unsigned expired;
	unsigned repeated;
	unsigned gaps;
};

static uint64_t operations_max = 60000;
static uint64_t first_seed = 1;
static uint64_t seeds = 1;
static const char *const sources[SOURCES] = {"a", "b"};

static uint32_t below(struct model *model, uint32_t bound)
{
	return (uint32_t)(plain_random(&model->random) % bound);
}

static const char *release_name(unsigned release)
{
	return release == 0 ? "r0" : "r1";
}

/* ---- setup ---- */

static void make_specs(struct model *model)
{
	static const struct {
		const char *name;
		enum dtype dtype;
		enum key_type key_type;
		uint32_t history;
		uint32_t views;
		uint64_t ttl_ms;
	} tables[TABLES] = {
		{"last", DTYPE_F32, KEY_U64, 4, 1, 0},
		{"seen", DTYPE_F16, KEY_BYTES, 3, 2, TTL_MS},
		{"cr_user@fm", DTYPE_BF16, KEY_BYTES, 2, 1, 0},
		{"cr_item@fm", DTYPE_F32, KEY_U64, PLACES_MAX, 1, TTL_MS},
	};
	for (unsigned i = 0; i < TABLES; i++) {
		struct table_spec *spec = &model->specs[i];
		*spec = scratch_spec(tables[i].name, tables[i].dtype, tables[i].key_type,
			ELEMENTS / tables[i].views);
		spec->views = tables[i].views;
		spec->history = tables[i].history;
		spec->ttl_ms = tables[i].ttl_ms;
		spec->entity = i <= LAYER_FIRST ? ENTITY_USER : ENTITY_ITEM;
		spec->kind = i < LAYER_FIRST ? KIND_UR : KIND_CR;
	}
}

static void make_releases(struct model *model)
{
	struct error err = {0};
	for (unsigned release = 0; release < RELEASES; release++) {
		const char *id = release_name(release);
		const struct name name = {.text = {id[0], id[1]}};
		const struct release_labels labels = {0};
		uint64_t number;
		scratch_must(store_release_create(model->scratch->store, &name, &labels, &number,
				     &err),
			&err);
		for (unsigned i = 0; i < TABLES; i++) {
			scratch_must(store_table_create(model->scratch->store, id, &model->specs[i],
					     NULL, &err),
				&err);
		}
		scratch_seal(model->scratch, id);
	}
	scratch_publish(model->scratch, release_name(0));
}

/* ---- the lists ---- */

/* A row goes as a whole, when its newest vector is too old. */
static bool is_there(const struct model *model, unsigned table, const struct cell *cell)
{
	const uint64_t ttl_ms = model->specs[table].ttl_ms;
	return cell->count > 0 &&
	       (ttl_ms == 0 || model->now_ms - cell->times[cell->count - 1] < (int64_t)ttl_ms);
}

/* Behind all that are not younger; then the oldest one goes, if there are too many. */
static void add(struct model *model, unsigned table, struct cell *cell, int64_t time_ms,
	const float vector[ELEMENTS])
{
	int64_t times[PLACES_MAX + 1];
	float vectors[PLACES_MAX + 1][ELEMENTS];
	if (cell->count > 0 && !is_there(model, table, cell)) {
		cell->count = 0;
		model->expired++;
	}
	uint32_t at = 0;
	while (at < cell->count && cell->times[at] <= time_ms) {
		at++;
	}
	for (uint32_t i = 0; i <= cell->count; i++) {
		const uint32_t from = i > at ? i - 1 : i;
		times[i] = i == at ? time_ms : cell->times[from];
		memcpy(vectors[i], i == at ? vector : cell->vectors[from], sizeof vectors[i]);
	}
	const uint32_t gone = cell->count == model->specs[table].history ? 1 : 0;
	cell->count += 1 - gone;
	memcpy(cell->times, times + gone, cell->count * sizeof *times);
	memcpy(cell->vectors, vectors + gone, cell->count * sizeof *vectors);
}

/* ---- keys ---- */

static void pack_key(const struct table_spec *spec, uint32_t number, uint8_t *packed, size_t *end)
{
	const uint64_t key = number;
	if (spec->key_type == KEY_U64) {
		memcpy(packed + *end, &key, sizeof key);
		*end += sizeof key;
		return;
	}
	const int len = snprintf((char *)packed + *end + 1, KEY_BYTES_MAX - 1, "key-%u", number);
	packed[*end] = (uint8_t)len;
	*end += 1 + (size_t)len;
}

/* Keys of one table, by their numbers. */
struct packed {
	uint8_t bytes[BATCH_MAX * KEY_BYTES_MAX];
	uint32_t at[BATCH_MAX];
	struct keys keys;
};

static void pack(const struct table_spec *spec, const uint32_t *numbers, uint32_t count,
	struct packed *out)
{
	size_t end = 0;
	for (uint32_t i = 0; i < count; i++) {
		out->at[i] = (uint32_t)end;
		pack_key(spec, numbers[i], out->bytes, &end);
	}
	out->keys = (struct keys){spec->key_type, count, out->bytes,
		spec->key_type == KEY_U64 ? NULL : out->at};
}

/* ---- samples ---- */

struct batch {
	unsigned release;
	unsigned fed; /* a table, or LAYER_FIRST: the layer */
	unsigned source;
	uint32_t count;
	uint32_t numbers[2][BATCH_MAX]; /* keys of users, or of the table; keys of items */
	int64_t times[BATCH_MAX];
	float vectors[BATCH_MAX][ELEMENTS];
	struct packed packed[2];
	struct observation given;
};

static void make_samples(struct model *model, struct batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		/* Some keys come often. */
		batch->numbers[0][i] = below(model, 1 + below(model, KEYS));
		batch->numbers[1][i] = below(model, 1 + below(model, KEYS));
		/* Of one time are many; one in ten is late, some of these from before a ttl. */
		const uint32_t late = below(model, 10) == 0 ? 4 * 60 : 3;
		batch->times[i] = model->now_ms - (int64_t)below(model, late) * MINUTE_MS;
		for (unsigned j = 0; j < ELEMENTS; j++) {
			/* Integers that all dtypes hold. */
			batch->vectors[i][j] = (float)below(model, 256) - 128;
		}
	}
}

static void make_batch(struct model *model, struct batch *batch)
{
	batch->release = below(model, RELEASES);
	batch->fed = below(model, FED);
	batch->source = below(model, SOURCES);
	batch->count = 1 + below(model, BATCH_MAX);
	make_samples(model, batch);
	const bool is_layer = batch->fed == LAYER_FIRST;
	const unsigned second = is_layer ? LAYER_FIRST + 1 : batch->fed;
	memcpy(batch->numbers[1], batch->numbers[is_layer ? 1 : 0], sizeof batch->numbers[1]);
	pack(&model->specs[batch->fed], batch->numbers[0], batch->count, &batch->packed[0]);
	pack(&model->specs[second], batch->numbers[1], batch->count, &batch->packed[1]);
	const bool is_live = batch->release == model->live && below(model, 2) == 0;
	batch->given = (struct observation){
		.release = is_live ? "live" : release_name(batch->release),
		.layer = is_layer ? "fm" : NULL,
		.table = is_layer ? NULL : model->specs[batch->fed].name.text,
		.count = batch->count,
		.users = batch->packed[0].keys,
		.items = batch->packed[1].keys,
		.times = (const uint8_t *)batch->times,
		.dtype = DTYPE_F32,
		.rows = (const uint8_t *)batch->vectors,
		.rows_bytes = batch->count * sizeof *batch->vectors,
		.now_ms = model->now_ms,
	};
	model->operations += batch->count;
}

static void add_samples(struct model *model, const struct batch *batch, uint32_t skipped)
{
	struct cell(*cells)[KEYS] = model->cells[batch->release];
	const unsigned tables = batch->fed == LAYER_FIRST ? 2 : 1;
	for (unsigned side = 0; side < tables; side++) {
		const unsigned table = batch->fed + side;
		for (uint32_t i = skipped; i < batch->count; i++) {
			add(model, table, &cells[table][batch->numbers[side][i]], batch->times[i],
				batch->vectors[i]);
		}
	}
}

/* Sends samples: one batch in four has no source, of the others some begin too early or too late. */
static void send(struct model *model)
{
	static struct batch batch;
	struct observe_result result = {0};
	struct write_ticket *ticket;
	struct error err = {0};
	make_batch(model, &batch);
	uint64_t *next = &model->next[batch.release][batch.fed][batch.source];
	uint64_t skipped = 0;
	if (below(model, 4) > 0) {
		const uint32_t back = below(model, 3) == 0 ? below(model, 2 * BATCH_MAX) : 0;
		skipped = back < *next ? back : *next;
		batch.given.source = sources[batch.source];
		batch.given.position = *next - skipped;
		if (below(model, 20) == 0) {
			batch.given.position = *next + 1 + below(model, 5);
			assert_int_equal(store_observe(model->scratch->store, &batch.given, &result,
						 &ticket, &err),
				STATUS_GAP);
			model->gaps++;
			return;
		}
	}
	scratch_must(store_observe(model->scratch->store, &batch.given, &result, &ticket, &err),
		&err);
	scratch_must(store_write_wait(ticket, &err), &err);
	skipped = skipped < batch.count ? skipped : batch.count;
	assert_int_equal(result.write.count, batch.count - skipped);
	if (batch.given.source != NULL) {
		const uint64_t behind = batch.given.position + batch.count;
		*next = behind > *next ? behind : *next;
		assert_int_equal(result.next, *next);
		model->repeated += skipped > 0;
	}
	add_samples(model, &batch, (uint32_t)skipped);
}

static void delete_some(struct model *model)
{
	struct packed packed;
	uint32_t numbers[BATCH_MAX];
	struct write_result result;
	struct write_ticket *ticket;
	struct error err = {0};
	const unsigned release = below(model, RELEASES);
	const unsigned table = below(model, TABLES);
	const uint32_t count = 1 + below(model, BATCH_MAX);
	for (uint32_t i = 0; i < count; i++) {
		numbers[i] = below(model, KEYS);
		model->cells[release][table][numbers[i]].count = 0;
	}
	pack(&model->specs[table], numbers, count, &packed);
	const struct table_write part = {.table = model->specs[table].name.text,
		.batch = {.keys = packed.keys}};
	const struct row_write write = {.release = release_name(release),
		.parts = &part,
		.part_count = 1,
		.now_ms = model->now_ms};
	scratch_must(store_delete(model->scratch->store, &write, &result, &ticket, &err), &err);
	scratch_must(store_write_wait(ticket, &err), &err);
	model->operations += count;
}

/* ---- answers ---- */

/* Reads keys [first, first + count) of a table and compares all that is known of them. */
static void expect_keys(struct model *model, unsigned release, unsigned table, uint32_t first,
	uint32_t count)
{
	const struct table_spec *spec = &model->specs[table];
	static float rows[BATCH_MAX][PLACES_MAX * ELEMENTS];
	static const float nothing[PLACES_MAX * ELEMENTS];
	struct packed packed;
	uint32_t numbers[BATCH_MAX];
	uint8_t found[BATCH_MAX / 8];
	uint32_t counts[BATCH_MAX];
	int64_t times[BATCH_MAX];
	int64_t places[BATCH_MAX * PLACES_MAX];
	struct error err = {0};
	const struct release *of;
	for (uint32_t i = 0; i < count; i++) {
		numbers[i] = first + i;
	}
	pack(spec, numbers, count, &packed);
	const struct snapshot *snapshot = snapshot_begin(model->scratch->store);
	scratch_must(snapshot_release(snapshot, release_name(release), &of, &err), &err);
	struct lookup lookup = {
		.keys = packed.keys,
		.dtype = DTYPE_F32,
		.visible = store_visible(model->scratch->store),
		.now_ms = model->now_ms,
		.may_block = true,
		.rows = (uint8_t *)rows,
		.found = found,
		.times = (uint8_t *)times,
		.history_counts = (uint8_t *)counts,
		.history_times = (uint8_t *)places,
	};
	scratch_must(release_table(of, spec->name.text, &lookup.table, &err), &err);
	scratch_must(table_lookup(&lookup, &err), &err);
	snapshot_end(model->scratch->store);
	const size_t row = (size_t)spec->history * ELEMENTS;
	for (uint32_t i = 0; i < count; i++) {
		const struct cell *cell = &model->cells[release][table][first + i];
		const bool there = is_there(model, table, cell);
		const size_t taken = there ? cell->count : 0;
		const float *vectors = (const float *)rows + i * row;
		assert_int_equal(found[i / 8] >> i % 8 & 1, there);
		assert_int_equal(counts[i], taken);
		assert_memory_equal(vectors, cell->vectors, taken * sizeof *cell->vectors);
		assert_memory_equal(vectors + taken * ELEMENTS, nothing,
			(row - taken * ELEMENTS) * sizeof(float));
		assert_memory_equal(places + (size_t)i * spec->history, cell->times,
			taken * sizeof *cell->times);
		assert_true(!there || times[i] == cell->times[taken - 1]);
	}
	model->operations += count;
}

static void fetch(struct model *model)
{
	const uint32_t count = 1 + below(model, BATCH_MAX);
	expect_keys(model, below(model, RELEASES), below(model, TABLES),
		below(model, KEYS - count + 1), count);
}

/* All rows of all tables, and all positions. */
static void expect_all(struct model *model)
{
	for (unsigned release = 0; release < RELEASES; release++) {
		struct position_list list;
		struct error err = {0};
		uint64_t sum = 0;
		for (unsigned table = 0; table < TABLES; table++) {
			for (uint32_t first = 0; first < KEYS; first += BATCH_MAX) {
				const uint32_t left = KEYS - first;
				expect_keys(model, release, table, first,
					left < BATCH_MAX ? left : BATCH_MAX);
			}
		}
		scratch_must(store_positions(model->scratch->store, release_name(release), &list,
				     &err),
			&err);
		for (size_t i = 0; i < list.count; i++) {
			sum += list.all[i].next;
		}
		free(list.all);
		for (unsigned i = 0; i < FED * SOURCES; i++) {
			sum -= model->next[release][i / SOURCES][i % SOURCES];
		}
		assert_int_equal(sum, 0);
	}
}

static void step(struct model *model)
{
	struct merge_result result;
	struct error err = {0};
	const uint32_t what = below(model, 1000);
	model->now_ms += below(model, 4) == 0 ? below(model, 2 * MINUTE_MS) : 0;
	if (what < 550) {
		send(model);
	} else if (what < 600) {
		delete_some(model);
	} else if (what < 975) {
		fetch(model);
	} else if (what < 980) {
		model->live = below(model, RELEASES);
		scratch_publish(model->scratch, release_name(model->live));
	} else if (what < 992) {
		scratch_must(store_merge(model->scratch->store, NULL, &result, &err), &err);
		model->merges++;
		expect_all(model);
	} else {
		scratch_reopen(model->scratch);
		model->restarts++;
		expect_all(model);
	}
}

static void histories_are_the_newest_vectors(void **state)
{
	struct model *model = calloc(1, sizeof *model);
	assert_non_null(model);
	for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
		print_message("seed %" PRIu64 ": ", seed);
		(void)scratch_setup_small_store(state);
		memset(model, 0, sizeof *model);
		model->scratch = *state;
		model->random = seed;
		/* A merge goes by the real clock, which this one is ahead of. */
		model->now_ms = clock_unix_ms() + MINUTE_MS;
		make_specs(model);
		make_releases(model);
		while (model->operations < operations_max) {
			step(model);
		}
		expect_all(model);
		print_message("%" PRIu64 " operations, %u merges, %u restarts, %u expired, %u "
			      "batches repeated, %u gaps\n",
			model->operations, model->merges, model->restarts, model->expired,
			model->repeated, model->gaps);
		if (operations_max >= 60000) {
			/* Else the store was held against the lists in one state only. */
			assert_true(model->merges > 0 && model->restarts > 0);
			assert_true(model->expired > 0 && model->repeated > 0 && model->gaps > 0);
		}
		(void)scratch_teardown(state);
	}
	free(model);
}

int main(int argc, char **argv)
{
	const char *seed = getenv("REPSTORE_SEED");
	first_seed = seed != NULL ? strtoull(seed, NULL, 10) : first_seed;
	operations_max = argc > 1 ? strtoull(argv[1], NULL, 10) : operations_max;
	seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : seeds;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histories_are_the_newest_vectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
