/* search_fixture.c - writes rows and notes them in the model; scores all rows of the model, and compares. */
#include "tests/unit/search/search_fixture.h"

#include "daemon/search/search.h"
#include "daemon/store/admin/admin.h"
#include "daemon/store/load/load.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/write/write.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/seed.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

enum {
	K = 40,
	QUERIES = 4,
};

static uint64_t next_random(struct search_model *model)
{
	model->random += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = model->random;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void draw(struct search_model *model, float *out)
{
	for (uint32_t d = 0; d < SEARCH_DIM; d++) {
		out[d] = (float)(int32_t)next_random(model) * 0x1p-31f;
	}
}

/* ---- writes ---- */

static void load(struct scratch *scratch, struct search_model *model)
{
	struct error err = {0};
	struct name id = {"r"};
	uint64_t number;
	static uint64_t keys[SEARCH_LOADED];
	const struct release_labels labels = {.model = "m", .checkpoint = "c"};
	struct table_spec spec = scratch_spec("t", DTYPE_F32, KEY_U64, SEARCH_DIM);
	spec.index = INDEX_BALLS;
	spec.tags = true;
	scratch_must(store_release_create(scratch->store, &id, &labels, &number, &err), &err);
	scratch_must(store_table_create(scratch->store, "r", &spec, NULL, &err), &err);
	for (uint64_t key = 0; key < SEARCH_LOADED; key++) {
		keys[key] = key;
		draw(model, model->rows[key]);
		model->tags[key] = next_random(model) % 4;
		model->there[key] = true;
	}
	const struct load_chunk chunk = {.release = "r",
		.table = "t",
		.load = {"all"},
		.batch = {.keys = {KEY_U64, SEARCH_LOADED, (const uint8_t *)keys, NULL},
			.dtype = DTYPE_F32,
			.rows = (const uint8_t *)model->rows,
			.rows_bytes = sizeof model->rows[0] * SEARCH_LOADED,
			.tags = (const uint8_t *)model->tags},
		.now_ms = SCRATCH_NOW_MS};
	struct load_progress progress;
	scratch_must(store_load_chunk(scratch->store, &chunk, &progress, &err), &err);
	scratch_must(store_load_end(scratch->store, &chunk, 1, SEARCH_LOADED, &err), &err);
	scratch_seal(scratch, "r");
	scratch_publish(scratch, "r");
}

static void write_some(struct scratch *scratch, const uint64_t *keys, uint32_t count,
	const struct search_model *model, bool deletes)
{
	static float rows[SEARCH_PUT_ROWS][SEARCH_DIM];
	static uint64_t tags[SEARCH_PUT_ROWS];
	struct error err = {0};
	for (uint32_t i = 0; i < count; i++) {
		memcpy(rows[i], model->rows[keys[i]], sizeof rows[i]);
		tags[i] = model->tags[keys[i]];
	}
	struct table_write part = {.table = "t",
		.batch = {.keys = {KEY_U64, count, (const uint8_t *)keys, NULL}}};
	if (!deletes) {
		part.batch.dtype = DTYPE_F32;
		part.batch.rows = (const uint8_t *)rows;
		part.batch.rows_bytes = sizeof rows[0] * count;
		part.batch.tags = (const uint8_t *)tags;
	}
	const struct row_write write = {.release = "r",
		.parts = &part,
		.part_count = 1,
		.now_ms = SCRATCH_NOW_MS};
	struct write_result result;
	struct write_ticket *ticket;
	scratch_must(deletes ? store_delete(scratch->store, &write, &result, &ticket, &err)
			     : store_put(scratch->store, &write, &result, &ticket, &err),
		&err);
	scratch_must(store_write_wait(ticket, &err), &err);
}

void search_change(struct scratch *scratch, struct search_model *model, uint32_t count,
	uint64_t from, uint64_t some)
{
	uint64_t keys[SEARCH_PUT_ROWS];
	for (uint32_t done = 0; done < count; done += SEARCH_PUT_ROWS) {
		const uint32_t rows =
			count - done < SEARCH_PUT_ROWS ? count - done : SEARCH_PUT_ROWS;
		for (uint32_t i = 0; i < rows; i++) {
			keys[i] = from + next_random(model) % some;
			draw(model, model->rows[keys[i]]);
			model->tags[keys[i]] = next_random(model) % 4;
			model->there[keys[i]] = true;
		}
		write_some(scratch, keys, rows, model, false);
		const uint32_t kept = rows - rows / 10;
		write_some(scratch, keys + kept, rows - kept, model, true);
		for (uint32_t i = kept; i < rows; i++) {
			model->there[keys[i]] = false;
		}
	}
}

/* ---- what there is ---- */

const struct table *search_table(const struct snapshot *snapshot)
{
	const struct table *table = NULL;
	assert_int_equal(release_table(snapshot->live, "t", &table, NULL), STATUS_OK);
	return table;
}

void search_await_index(struct scratch *scratch)
{
	struct wait wait = {0};
	bool is_there = false;
	while (!is_there) {
		wait_a_moment(&wait);
		const struct table *table = search_table(snapshot_begin(scratch->store));
		is_there = table_has_index(table) && !table_index_is_partial(table);
		snapshot_end(scratch->store);
	}
}

/* ---- searches ---- */

struct scored {
	float score;
	uint64_t key;
};

static int compare(const void *a, const void *b)
{
	const struct scored *left = a;
	const struct scored *right = b;
	if (left->score != right->score) {
		return left->score > right->score ? -1 : 1;
	}
	return (left->key > right->key) - (left->key < right->key);
}

/* Scores all rows of the model that pass, the best first; returns how many there are. */
static size_t score_all(const struct search_model *model, enum metric metric, const float *query,
	const struct filter *filter, struct scored *out)
{
	struct scorer scorer;
	const struct scorer_shape shape = {metric, SEARCH_DIM, 1, 1, 1};
	size_t count = 0;
	assert_int_equal(scorer_init(&scorer, &shape, query, NULL), STATUS_OK);
	for (uint64_t key = 0; key < SEARCH_KEYS; key++) {
		if (model->there[key] &&
			(!filter->has_tags || filter_passes_tags(filter, model->tags[key]))) {
			scorer_run(&scorer, model->rows[key], 1, &out[count].score);
			out[count++].key = key;
		}
	}
	scorer_fini(&scorer);
	qsort(out, count, sizeof *out, compare);
	return count;
}

/* One search; returns how many of the best K it has found. */
static uint32_t search_one(struct scratch *scratch, const struct snapshot *snapshot,
	const struct search_options *asked, const struct scored *expected)
{
	struct error err = {0};
	struct search search = {0};
	struct search_place place = *asked->place;
	struct search_options options = *asked;
	uint32_t found = 0;
	place.items = search_table(snapshot);
	place.visible = store_visible(scratch->store);
	options.place = &place;
	scratch_must(search_begin(&search, &options, &err), &err);
	scratch_must(search_run(&search, &err), &err);
	const struct topk *top = search_hits(&search, 0);
	assert_int_equal(top->count, K);
	assert_true(options.recall < 1 || search.is_exact);
	for (size_t i = 0; i < K; i++) {
		const uint8_t *bytes;
		size_t len;
		struct scored hit = {.score = top->hits[i].score};
		assert_int_equal(search_key(&search, top->hits[i].id, &bytes, &len), STATUS_OK);
		memcpy(&hit.key, bytes, sizeof hit.key);
		/* Who is not among the best is a row of the model all the same. */
		size_t rank = 0;
		while (expected[rank].key != hit.key || expected[rank].score != hit.score) {
			rank++;
			assert_true(rank < SEARCH_KEYS);
		}
		assert_true(options.recall < 1 || rank == i);
		found += rank < K;
	}
	search_end(&search);
	return found;
}

void search_expect_in(struct scratch *scratch, const struct snapshot *snapshot,
	struct search_model *model)
{
	static const enum metric metrics[] = {METRIC_INNER_PRODUCT, METRIC_COSINE, METRIC_L2};
	static const struct filter filters[] = {{0}, {.has_tags = true, .tags_all = 1}};
	static struct scored expected[SEARCH_KEYS + 1];
	uint32_t found = 0;
	uint32_t asked = 0;
	for (size_t i = 0; i < (size_t)QUERIES * 6; i++) {
		float vector[SEARCH_DIM];
		draw(model, vector);
		const struct query query = {.count = 1,
			.parts = 1,
			.dim = SEARCH_DIM,
			.vectors = vector};
		const struct search_place place = {.metric = metrics[i % 3],
			.now_ms = SCRATCH_NOW_MS};
		struct search_options options = {.place = &place,
			.query = &query,
			.filter = &filters[i / 3 % 2],
			.k = K,
			.min_score = -INFINITY,
			.recall = 1,
			.may_block = true};
		memset(expected, 0, sizeof expected);
		assert_true(score_all(model, place.metric, vector, options.filter, expected) > K);
		assert_int_equal(search_one(scratch, snapshot, &options, expected), K);
		options.recall = 0.9;
		found += search_one(scratch, snapshot, &options, expected);
		asked += K;
	}
	assert_true(found >= asked * 9 / 10);
}

void search_expect(struct scratch *scratch, struct search_model *model)
{
	search_expect_in(scratch, snapshot_begin(scratch->store), model);
	snapshot_end(scratch->store);
}

struct search_model *search_model_begin(struct scratch *scratch)
{
	struct search_model *model = calloc(1, sizeof *model);
	assert_non_null(model);
	model->random = seed_from(41);
	load(scratch, model);
	search_await_index(scratch);
	search_expect(scratch, model);
	return model;
}
