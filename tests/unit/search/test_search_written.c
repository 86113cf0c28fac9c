/* test_search_written.c - searches beside what was written since an index was built: they find what a model
 * has, with its scores, bit for bit, and no row that was superseded. */
#include "daemon/search/search.h"
#include "daemon/store/index/indexes.h"
#include "daemon/store/index/written.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/memtable/memtable_stream.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/read/rows.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/grace.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/search/search_fixture.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

enum { IMAGE_ROWS = 256 }; /* what the follower waits for */

/* Until fewer places than the follower waits for have no image; returns how many images there are. */
static size_t await_images(struct scratch *scratch)
{
	struct wait wait = {0};
	uint64_t left = IMAGE_ROWS;
	size_t count = 0;
	while (left >= IMAGE_ROWS) {
		struct memtable_stream stream;
		wait_a_moment(&wait);
		const struct table *table = search_table(snapshot_begin(scratch->store));
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

/* ---- the tests ---- */

static void what_has_no_image_is_found(void **state)
{
	struct scratch *scratch = *state;
	struct search_model *model = search_model_begin(scratch);
	search_change(scratch, model, IMAGE_ROWS / 3, 0, SEARCH_KEYS);
	search_expect(scratch, model);
	search_change(scratch, model, IMAGE_ROWS / 3, 0, SEARCH_KEYS);
	search_expect(scratch, model);
	free(model);
}

static void images_and_what_came_after_them_are_searched_together(void **state)
{
	struct scratch *scratch = *state;
	struct search_model *model = search_model_begin(scratch);
	search_change(scratch, model, 5000, 0, SEARCH_KEYS);
	assert_true(await_images(scratch) > 0);
	search_expect(scratch, model);
	/* These supersede rows of the image, and some are deleted. */
	search_change(scratch, model, 1000, 0, SEARCH_KEYS);
	search_expect(scratch, model);
	/* The image takes in what came. */
	search_change(scratch, model, 5000, SEARCH_LOADED / 2, SEARCH_LOADED);
	assert_true(await_images(scratch) > 0);
	search_expect(scratch, model);
	free(model);
}

/* The older generation is merged meanwhile: keys of it are written again. */
static void both_generations_have_images(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct merge_result merged;
	struct search_model *model = search_model_begin(scratch);
	search_change(scratch, model, 3000, 0, SEARCH_KEYS);
	assert_true(await_images(scratch) > 0);
	const struct table *table = search_table(snapshot_begin(scratch->store));
	assert_true(memtable_freeze(table->memtable, store_visible(scratch->store)));
	snapshot_end(scratch->store);
	search_expect(scratch, model);
	search_change(scratch, model, SEARCH_PUT_ROWS, 0, SEARCH_KEYS);
	search_expect(scratch, model);
	search_change(scratch, model, 3000, 0, SEARCH_KEYS);
	assert_true(await_images(scratch) > 1);
	search_expect(scratch, model);
	scratch_must(store_merge(scratch->store, NULL, &merged, &err), &err);
	search_expect(scratch, model);
	scratch_reopen(scratch);
	search_await_index(scratch);
	search_expect(scratch, model);
	free(model);
}

/* What another thread does while this one reads. */
struct writing {
	struct scratch *scratch;
	struct search_model *model;
};

static void *write_and_merge(void *arg)
{
	const struct writing *writing = arg;
	struct error err = {0};
	struct merge_result merged;
	grace_register();
	for (uint32_t i = 0; i < 2; i++) {
		search_change(writing->scratch, writing->model, 3000, 0, SEARCH_KEYS);
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
	struct search_model *model = search_model_begin(scratch);
	search_change(scratch, model, 3000, 0, SEARCH_KEYS);
	assert_true(await_images(scratch) > 0);
	struct search_model *now = malloc(sizeof *now);
	assert_non_null(now);
	memcpy(now, model, sizeof *now);
	const struct snapshot *snapshot = snapshot_begin_long(scratch->store, "r");
	assert_non_null(snapshot);
	const struct written_images *held = atomic_load(&search_table(snapshot)->memtable->images);
	assert_non_null(held);
	struct writing writing = {scratch, now};
	assert_int_equal(pthread_create(&thread, NULL, write_and_merge, &writing), 0);
	search_expect_in(scratch, snapshot, model);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_ptr_equal(atomic_load(&search_table(snapshot)->memtable->images), held);
	search_expect_in(scratch, snapshot, model);
	snapshot_end(scratch->store);
	search_await_index(scratch);
	search_expect(scratch, now);
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
	struct search_model *model = search_model_begin(scratch);
	search_change(scratch, model, 5000, 0, SEARCH_KEYS);
	assert_true(await_images(scratch) > 0);
	scratch_must(store_merge(scratch->store, NULL, &merged, &err), &err);
	while (atomic_load(&scratch->store->usage.bytes) > 0) {
		wait_a_moment(&wait);
	}
	search_expect(scratch, model);
	free(model);
}

/* ---- an index that is swapped ---- */

/* In the middle of a search: from when its images are chosen until the next search. */
static struct {
	struct table *table;     /* NULL: nothing is swapped */
	struct indexes *indexes; /* that it has */
	struct indexes *other;
	unsigned times;
} swap;

enum status __real_rows_next(struct rows *rows);
enum status __wrap_rows_next(struct rows *rows);
enum status __wrap_rows_next(struct rows *rows)
{
	if (swap.table != NULL && rows->table == swap.table) {
		atomic_store(&swap.table->index, swap.other);
		swap.times++;
	}
	return __real_rows_next(rows);
}

enum status __real_search_begin(struct search *search, const struct search_options *options,
	struct error *err);
enum status __wrap_search_begin(struct search *search, const struct search_options *options,
	struct error *err);
enum status __wrap_search_begin(struct search *search, const struct search_options *options,
	struct error *err)
{
	if (swap.table != NULL) {
		atomic_store(&swap.table->index, swap.indexes);
	}
	return __real_search_begin(search, options, err);
}

/* It may have other axes than the images that were chosen. */
static void a_search_goes_on_with_the_index_that_it_began_with(void **state)
{
	enum { FEWER = 16 };
	struct scratch *scratch = *state;
	struct search_model *model = search_model_begin(scratch);
	search_change(scratch, model, 3000, 0, SEARCH_KEYS);
	assert_true(await_images(scratch) > 0);
	const struct snapshot *snapshot = snapshot_begin_long(scratch->store, "r");
	assert_non_null(snapshot);
	struct table *table = (struct table *)search_table(snapshot);
	swap.indexes = atomic_load(&table->index);
	struct index other;
	struct index *const of[] = {&other};
	assert_int_equal(swap.indexes->count, 1);
	memcpy(&other, swap.indexes->of[0], sizeof other);
	other.axes++;
	assert_true(other.balls.balls > FEWER);
	other.balls.balls -= FEWER;
	swap.other = indexes_new(of, 1, NULL);
	assert_non_null(swap.other);
	swap.table = table;
	search_expect_in(scratch, snapshot, model);
	swap.table = NULL;
	atomic_store(&table->index, swap.indexes);
	atomic_store(&other.refs, 2); /* it is never closed */
	indexes_close(swap.other);
	assert_true(swap.times > 0);
	snapshot_end(scratch->store);
	free(model);
}

/* Of one file, so that an image is of one, too. */
static int setup(void **state)
{
	(void)scratch_setup_small(state);
	struct scratch *scratch = *state;
	scratch->sizes.file_bytes = 1 << 30;
	scratch_open(scratch);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_has_no_image_is_found, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(
			images_and_what_came_after_them_are_searched_together, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(both_generations_have_images, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_long_reader_keeps_its_images, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(images_go_with_their_generation, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_search_goes_on_with_the_index_that_it_began_with,
			setup, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
