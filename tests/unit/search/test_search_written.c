/* test_search_written.c - searches beside what was written since an index was built: they find what a model
 * has, with its scores, bit for bit, and no row that was superseded. */
#include "daemon/search/search.h"
#include "daemon/store/admin/admin.h"
#include "daemon/store/index/written.h"
#include "daemon/store/load/load.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/write/write.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/seed.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

enum {
	KEYS = 12000,
	LOADED = 6000, /* keys [0, LOADED) are in the base */
	DIM = 8,
	K = 40,
	QUERIES = 4,
	PUT_ROWS = 500,
	IMAGE_ROWS = 2048, /* what the follower waits for */
};

struct model {
	uint64_t random;
	float rows[KEYS][DIM];
	uint64_t tags[KEYS];
	bool there[KEYS];
};

static uint64_t next_random(struct model *model)
{
	model->random += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = model->random;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void draw(struct model *model, float *out)
{
	for (uint32_t d = 0; d < DIM; d++) {
		out[d] = (float)(int32_t)next_random(model) * 0x1p-31f;
	}
}

/* ---- writes ---- */

static void load(struct scratch *scratch, struct model *model)
{
	struct error err = {0};
	struct name id = {"r"};
	uint64_t number;
	static uint64_t keys[LOADED];
	const struct release_labels labels = {.model = "m", .checkpoint = "c"};
	struct table_spec spec = scratch_spec("t", DTYPE_F32, KEY_U64, DIM);
	spec.index = INDEX_BALLS;
	spec.tags = true;
	scratch_must(store_release_create(scratch->store, &id, &labels, &number, &err), &err);
	scratch_must(store_table_create(scratch->store, "r", &spec, NULL, &err), &err);
	for (uint64_t key = 0; key < LOADED; key++) {
		keys[key] = key;
		draw(model, model->rows[key]);
		model->tags[key] = next_random(model) % 4;
		model->there[key] = true;
	}
	const struct load_chunk chunk = {.release = "r",
		.table = "t",
		.load = {"all"},
		.batch = {.keys = {KEY_U64, LOADED, (const uint8_t *)keys, NULL},
			.dtype = DTYPE_F32,
			.rows = (const uint8_t *)model->rows,
			.rows_bytes = sizeof model->rows[0] * LOADED,
			.tags = (const uint8_t *)model->tags},
		.now_ms = SCRATCH_NOW_MS};
	struct load_progress progress;
	scratch_must(store_load_chunk(scratch->store, &chunk, &progress, &err), &err);
	scratch_must(store_load_end(scratch->store, &chunk, 1, LOADED, &err), &err);
	scratch_seal(scratch, "r");
	scratch_publish(scratch, "r");
}

static void write_some(struct scratch *scratch, const uint64_t *keys, uint32_t count,
	const struct model *model, bool deletes)
{
	static float rows[PUT_ROWS][DIM];
	static uint64_t tags[PUT_ROWS];
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

/* Writes rows of random keys of [from, from + some); of PUT_ROWS the last tenth is deleted again. */
static void change(struct scratch *scratch, struct model *model, uint32_t count, uint64_t from,
	uint64_t some)
{
	uint64_t keys[PUT_ROWS];
	for (uint32_t done = 0; done < count; done += PUT_ROWS) {
		for (uint32_t i = 0; i < PUT_ROWS; i++) {
			keys[i] = from + next_random(model) % some;
			draw(model, model->rows[keys[i]]);
			model->tags[keys[i]] = next_random(model) % 4;
			model->there[keys[i]] = true;
		}
		write_some(scratch, keys, PUT_ROWS, model, false);
		const uint32_t kept = PUT_ROWS - PUT_ROWS / 10;
		write_some(scratch, keys + kept, PUT_ROWS - kept, model, true);
		for (uint32_t i = kept; i < PUT_ROWS; i++) {
			model->there[keys[i]] = false;
		}
	}
}

/* ---- what there is ---- */

static const struct table *table_of(const struct snapshot *snapshot)
{
	const struct table *table = NULL;
	assert_int_equal(release_table(snapshot->live, "t", &table, NULL), STATUS_OK);
	return table;
}

static void await_index(struct scratch *scratch)
{
	struct wait wait = {0};
	bool is_there = false;
	while (!is_there) {
		wait_a_moment(&wait);
		const struct table *table = table_of(snapshot_begin(scratch->store));
		is_there = atomic_load(&((struct table *)table)->index) != NULL;
		snapshot_end(scratch->store);
	}
}

/* Until fewer places than the follower waits for have no image; returns how many images there are. */
static size_t await_images(struct scratch *scratch)
{
	struct wait wait = {0};
	uint64_t left = IMAGE_ROWS;
	size_t count = 0;
	while (left >= IMAGE_ROWS) {
		struct memtable_stream stream;
		wait_a_moment(&wait);
		const struct table *table = table_of(snapshot_begin(scratch->store));
		const struct written_images *images = atomic_load(&table->memtable->images);
		memtable_stream_begin(table->memtable, store_visible(scratch->store), &stream);
		count = images == NULL ? 0 : images->count;
		for (size_t i = 0; i < count; i++) {
			(void)memtable_stream_skip(&stream, images->images[i]->generation,
				images->images[i]->from, images->images[i]->end);
		}
		left = memtable_stream_left(&stream);
		snapshot_end(scratch->store);
	}
	return count;
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
static size_t score_all(const struct model *model, enum metric metric, const float *query,
	const struct filter *filter, struct scored *out)
{
	struct scorer scorer;
	const struct scorer_shape shape = {metric, DIM, 1, 1, 1};
	size_t count = 0;
	assert_int_equal(scorer_init(&scorer, &shape, query, NULL), STATUS_OK);
	for (uint64_t key = 0; key < KEYS; key++) {
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
	place.items = table_of(snapshot);
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
			assert_true(rank < KEYS);
		}
		assert_true(options.recall < 1 || rank == i);
		found += rank < K;
	}
	search_end(&search);
	return found;
}

static void expect_in(struct scratch *scratch, const struct snapshot *snapshot, struct model *model)
{
	static const enum metric metrics[] = {METRIC_INNER_PRODUCT, METRIC_COSINE, METRIC_L2};
	static const struct filter filters[] = {{0}, {.has_tags = true, .tags_all = 1}};
	static struct scored expected[KEYS + 1];
	uint32_t found = 0;
	uint32_t asked = 0;
	for (size_t i = 0; i < (size_t)QUERIES * 6; i++) {
		float vector[DIM];
		draw(model, vector);
		const struct query query = {.count = 1, .parts = 1, .dim = DIM, .vectors = vector};
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

static void expect(struct scratch *scratch, struct model *model)
{
	expect_in(scratch, snapshot_begin(scratch->store), model);
	snapshot_end(scratch->store);
}

/* ---- the tests ---- */

static struct model *begin(struct scratch *scratch)
{
	struct model *model = calloc(1, sizeof *model);
	assert_non_null(model);
	model->random = seed_from(41);
	load(scratch, model);
	await_index(scratch);
	expect(scratch, model);
	return model;
}

static void what_has_no_image_is_found(void **state)
{
	struct scratch *scratch = *state;
	struct model *model = begin(scratch);
	change(scratch, model, PUT_ROWS, 0, KEYS);
	expect(scratch, model);
	change(scratch, model, PUT_ROWS, 0, KEYS);
	expect(scratch, model);
	free(model);
}

static void images_and_what_came_after_them_are_searched_together(void **state)
{
	struct scratch *scratch = *state;
	struct model *model = begin(scratch);
	change(scratch, model, 5000, 0, KEYS);
	assert_true(await_images(scratch) > 0);
	expect(scratch, model);
	/* These supersede rows of the image, and some are deleted. */
	change(scratch, model, 1000, 0, KEYS);
	expect(scratch, model);
	/* The image takes in what came. */
	change(scratch, model, 5000, LOADED / 2, LOADED);
	assert_true(await_images(scratch) > 0);
	expect(scratch, model);
	free(model);
}

/* The older generation is merged meanwhile: keys of it are written again. */
static void both_generations_have_images(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct merge_result merged;
	struct model *model = begin(scratch);
	change(scratch, model, 3000, 0, KEYS);
	assert_true(await_images(scratch) > 0);
	const struct table *table = table_of(snapshot_begin(scratch->store));
	assert_true(memtable_freeze(table->memtable, store_visible(scratch->store)));
	snapshot_end(scratch->store);
	expect(scratch, model);
	change(scratch, model, PUT_ROWS, 0, KEYS);
	expect(scratch, model);
	change(scratch, model, 3000, 0, KEYS);
	assert_true(await_images(scratch) > 1);
	expect(scratch, model);
	scratch_must(store_merge(scratch->store, NULL, &merged, &err), &err);
	expect(scratch, model);
	scratch_reopen(scratch);
	await_index(scratch);
	expect(scratch, model);
	free(model);
}

/* What another thread does while this one reads. */
struct writing {
	struct scratch *scratch;
	struct model *model;
};

static void *write_and_merge(void *arg)
{
	const struct writing *writing = arg;
	struct error err = {0};
	struct merge_result merged;
	grace_register();
	for (uint32_t i = 0; i < 2; i++) {
		change(writing->scratch, writing->model, 3000, 0, KEYS);
		(void)await_images(writing->scratch);
	}
	scratch_must(store_merge(writing->scratch->store, NULL, &merged, &err), &err);
	grace_unregister();
	return NULL;
}

/* A reader that needs long sees what it began with, though images come and go. */
static void a_long_reader_keeps_its_images(void **state)
{
	struct scratch *scratch = *state;
	pthread_t thread;
	struct model *model = begin(scratch);
	change(scratch, model, 3000, 0, KEYS);
	assert_true(await_images(scratch) > 0);
	struct model *now = malloc(sizeof *now);
	assert_non_null(now);
	memcpy(now, model, sizeof *now);
	const struct snapshot *snapshot = snapshot_begin_long(scratch->store, "r");
	assert_non_null(snapshot);
	const struct written_images *held = atomic_load(&table_of(snapshot)->memtable->images);
	assert_non_null(held);
	struct writing writing = {scratch, now};
	assert_int_equal(pthread_create(&thread, NULL, write_and_merge, &writing), 0);
	expect_in(scratch, snapshot, model);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_ptr_equal(atomic_load(&table_of(snapshot)->memtable->images), held);
	expect_in(scratch, snapshot, model);
	snapshot_end(scratch->store);
	await_index(scratch);
	expect(scratch, now);
	free(model);
	free(now);
}

/* With the generation that a merge has taken over its images go, and their memory. */
static void images_go_with_their_generation(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct wait wait = {0};
	struct merge_result merged;
	struct model *model = begin(scratch);
	change(scratch, model, 5000, 0, KEYS);
	assert_true(await_images(scratch) > 0);
	scratch_must(store_merge(scratch->store, NULL, &merged, &err), &err);
	while (atomic_load(&scratch->store->usage.bytes) > 0) {
		wait_a_moment(&wait);
	}
	expect(scratch, model);
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_has_no_image_is_found,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(
			images_and_what_came_after_them_are_searched_together,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(both_generations_have_images,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_long_reader_keeps_its_images,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(images_go_with_their_generation,
			scratch_setup_small_store, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
