/* test_local_images.c - a reader makes images of rows that wait for a merge, of those tables that are searched: what it
 * finds is what the store finds, whatever goes on beside.
 */
#include "tests/unit/local/local_items.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fixture.h"
#include "tests/unit/seed.h"
#include "tests/unit/wait.h"

enum { SEARCHERS = 3, ROUNDS = 16, STAR = ITEMS_KEYS + 1 };

static struct local_stats stats_of(const struct pair *pair)
{
	struct local_stats stats;
	local_stats(pair->local, &stats);
	return stats;
}

/* Release "items" with these tables, and a reader that has their indexes. */
static struct items begin(struct pair *pair, const char *const *tables, uint64_t memory_max)
{
	struct items items = {.pair = pair, .random = seed_from(43)};
	const struct local_options options = {.memory_max = memory_max};
	items_make_release(&items, "items", tables);
	pair_open_as(pair, &options);
	items_await_indexes(&items, "items");
	return items;
}

static const char *const one_table[] = {"ir", NULL};

/* Searches until there is an image that was not there before. */
static void await_image(struct items *items, const char *table, uint64_t before)
{
	struct wait wait = {0};
	while (stats_of(items->pair).images <= before) {
		items_search(items, table);
		wait_a_moment(&wait);
	}
}

static void await_no_memory(const struct pair *pair)
{
	struct wait wait = {0};
	while (stats_of(pair).memory_bytes > 0) {
		wait_a_moment(&wait);
	}
	assert_int_equal(stats_of(pair).rows, 0);
}

static void tables_that_are_searched_get_images_and_others_do_not(void **state)
{
	/* In this order they are looked at. */
	static const char *const tables[] = {"ir", "ir_searched", NULL};
	struct pair *pair = *state;
	struct items items = begin(pair, tables, 0);
	(void)items_write(&items, "ir", 3000, 0, ITEMS_KEYS);
	pair_await(pair, items_write(&items, "ir_searched", 3000, 0, ITEMS_KEYS));
	assert_int_equal(stats_of(pair).images, 0);
	await_image(&items, "ir_searched", 0);
	assert_int_equal(stats_of(pair).images, 1);
	items_expect(&items, "ir_searched");
	items_expect(&items, "ir");
	await_image(&items, "ir", 1);
	items_expect(&items, "ir");
}

static void what_is_found_beside_images_is_what_the_store_finds(void **state)
{
	struct pair *pair = *state;
	struct items items = begin(pair, one_table, 0);
	pair_await(pair, items_write(&items, "ir", 3000, 0, ITEMS_KEYS));
	items_expect(&items, "ir");
	await_image(&items, "ir", 0);
	items_expect(&items, "ir");
	/* These supersede rows of the image, and some are deleted. */
	pair_await(pair, items_write(&items, "ir", 200, 0, ITEMS_KEYS));
	items_expect(&items, "ir");
	/* An image takes them in. */
	const uint64_t before = stats_of(pair).images;
	pair_await(pair, items_write(&items, "ir", 3000, ITEMS_LOADED / 2, ITEMS_LOADED));
	await_image(&items, "ir", before);
	items_expect(&items, "ir");
	pair_merge(pair);
	pair_await_current(pair);
	items_expect(&items, "ir");
	pair_await(pair, items_write(&items, "ir", 1000, 0, ITEMS_KEYS));
	items_expect(&items, "ir");
}

/* Of a folder that nobody writes to, too. */
static void a_reader_that_was_opened_later_makes_images(void **state)
{
	struct pair *pair = *state;
	struct items items = begin(pair, one_table, 0);
	const uint64_t sequence = items_write(&items, "ir", 3000, 0, ITEMS_KEYS);
	pair_close(pair);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	items_await_indexes(&items, "items");
	await_image(&items, "ir", 0);
	items_expect(&items, "ir");
	pair_close_store(pair);
	pair_close(pair);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	assert_int_equal(stats_of(pair).sequence, sequence);
	await_image(&items, "ir", 0);
	pair_open_store(pair);
	pair_await_current(pair);
	items_await_indexes(&items, "items");
	items_expect(&items, "ir");
}

static void images_go_with_what_they_are_of(void **state)
{
	static const char *const tables[] = {"ir", NULL};
	struct pair *pair = *state;
	struct world *world = pair->world;
	struct items items = begin(pair, one_table, 0);
	pair_await(pair, items_write(&items, "ir", 3000, 0, ITEMS_KEYS));
	await_image(&items, "ir", 0);
	pair_merge(pair);
	await_no_memory(pair);
	items_await_indexes(&items, "items");
	/* Of a release that is not live any more, and then dropped. */
	const uint64_t before = stats_of(pair).images;
	pair_await(pair, items_write(&items, "ir", 3000, 0, ITEMS_KEYS));
	await_image(&items, "ir", before);
	items_make_release(&items, "other", tables);
	pair_await_current(pair);
	items_expect(&items, "ir");
	(void)world_run(world, "release.rollback");
	pair_await_current(pair);
	items_expect(&items, "ir");
	world_arg_str(world, "release", "r1");
	(void)world_run(world, "release.publish");
	(void)world_run_on(world, "release.drop", "items");
	await_no_memory(pair);
}

/* ---- memory_max ---- */

/* Another reader, which searches nothing, has the rows alone. */
static uint64_t bytes_of_rows(const struct local *plain, uint64_t sequence)
{
	struct wait wait = {0};
	struct local_stats stats;
	local_stats(plain, &stats);
	while (stats.sequence < sequence) {
		wait_a_moment(&wait);
		local_stats(plain, &stats);
	}
	return stats.memory_bytes;
}

static void where_memory_is_bounded_rows_come_first(void **state)
{
	static const float vector[ITEMS_DIM] = {1, 2, 3, 4};
	enum { ROWS = 500, FIRST = 6, ALL = 60 };
	struct pair *pair = *state;
	struct items items = {.pair = pair, .random = seed_from(44)};
	struct local *plain = NULL;
	struct error err;
	struct wait wait = {0};
	const struct local_options unbounded = {.folder = pair->folder};
	uint64_t sequence = 0;
	items_make_release(&items, "items", one_table);
	assert_int_equal(local_open(&unbounded, &plain, &err), STATUS_OK);
	for (uint64_t i = 0; i < FIRST; i++) {
		sequence = items_put(&items, "ir", i * ROWS, ROWS, vector);
	}
	/* Memory is taken in pieces that double: twice so much, and then four times, which is between three quarters of the
	 * bound and all of it. */
	const struct local_options bounded = {
		.memory_max = bytes_of_rows(plain, sequence) / 2 * 9,
	};
	pair_open_as(pair, &bounded);
	items_await_indexes(&items, "items");
	await_image(&items, "ir", 0);
	assert_true(stats_of(pair).memory_bytes > bytes_of_rows(plain, sequence));
	uint64_t bytes = 0;
	for (uint64_t i = FIRST; i < ALL && bytes <= bounded.memory_max / 4 * 3; i++) {
		sequence = items_put(&items, "ir", i * ROWS, ROWS, vector);
		bytes = bytes_of_rows(plain, sequence);
	}
	assert_true(bytes > bounded.memory_max / 4 * 3 && bytes < bounded.memory_max);
	while (stats_of(pair).memory_bytes != bytes) {
		wait_a_moment(&wait);
	}
	pair_await(pair, sequence);
	assert_int_equal(stats_of(pair).memory_bytes, bytes);
	items_expect(&items, "ir");
	local_close(plain);
}

/* ---- beside writes, merges and releases ---- */

struct searcher {
	pthread_t thread;
	struct pair *pair;
	const struct wire_writer *exact; /* for the star, as the next */
	const struct wire_writer *approximate;
	atomic_bool *stop;
	_Atomic uint64_t answers;
	_Atomic(const char *) wrong; /* what; NULL: nothing was */
};

static const char *ask(struct local_handle *handle, const struct wire_writer *request,
	struct items_found *found)
{
	struct wire_bytes response;
	if (local_call(handle, request->data, request->len, 0, &response, NULL) != STATUS_OK) {
		return "no answer";
	}
	if (!items_read(response, found)) {
		print_error("%.*s\n", (int)response.len, (const char *)response.data);
		return "an error";
	}
	return found->count > 0 ? NULL : "nothing";
}

/* The star is the best by far, and each write makes it better. */
static void *search_star(void *arg)
{
	struct searcher *searcher = arg;
	struct local_handle *handle = NULL;
	const char *wrong = local_handle_open(searcher->pair->local, &handle, NULL) == STATUS_OK
				    ? NULL
				    : "no handle";
	float last = 0;
	while (wrong == NULL && !atomic_load(searcher->stop)) {
		struct items_found found = {0};
		pair_calls_begin(searcher->pair);
		wrong = ask(handle, searcher->approximate, &found);
		wrong = wrong == NULL ? ask(handle, searcher->exact, &found) : wrong;
		pair_calls_end(searcher->pair);
		if (wrong == NULL && found.keys[0] != STAR) {
			wrong = "another row is the best";
		} else if (wrong == NULL && found.scores[0] < last) {
			wrong = "an older row than before";
		}
		last = found.scores[0];
		atomic_fetch_add(&searcher->answers, 1);
	}
	local_handle_close(handle);
	atomic_store(&searcher->wrong, wrong);
	return NULL;
}

static void change(struct items *items, uint32_t round)
{
	static const char *const tables[] = {"ir", NULL};
	struct pair *pair = items->pair;
	struct world *world = pair->world;
	const float vector[ITEMS_DIM] = {100 + (float)round};
	(void)items_write(items, "ir", 400, 0, ITEMS_KEYS);
	(void)items_put(items, "ir", STAR, 1, vector);
	if (round % 4 == 1) {
		pair_merge(pair);
	}
	if (round % 8 == 2) {
		items_make_release(items, "other", tables);
	}
	if (round % 8 == 5) {
		(void)world_run(world, "release.rollback");
		(void)world_run_on(world, "release.drop", "other");
	}
	if (round % 16 == 7) {
		pair_close_store(pair);
		pair_open_store(pair);
	}
	(void)items_write(items, "ir", 400, 0, ITEMS_KEYS);
}

/* Until each has had an answer more. */
static void await_answers(struct searcher *searchers)
{
	uint64_t before[SEARCHERS];
	struct wait wait = {0};
	for (size_t i = 0; i < SEARCHERS; i++) {
		before[i] = atomic_load(&searchers[i].answers);
	}
	for (size_t i = 0; i < SEARCHERS; i++) {
		while (atomic_load(&searchers[i].answers) == before[i] &&
			atomic_load(&searchers[i].wrong) == NULL) {
			wait_a_moment(&wait);
		}
	}
}

static void request_star(struct items *items, double recall, struct wire_writer *out)
{
	static const float vector[ITEMS_DIM] = {1};
	items_request(items, "items", "ir", vector, "inner_product", recall);
	wire_write_raw(out, items->pair->request.data, items->pair->request.len);
}

static void searches_find_the_best_while_everything_changes(void **state)
{
	struct pair *pair = *state;
	atomic_bool stop = false;
	struct searcher searchers[SEARCHERS] = {0};
	struct wire_writer exact = {0};
	struct wire_writer approximate = {0};
	struct items items = begin(pair, one_table, 0);
	const float vector[ITEMS_DIM] = {99};
	pair_await(pair, items_put(&items, "ir", STAR, 1, vector));
	request_star(&items, 1, &exact);
	request_star(&items, 0.9, &approximate);
	for (size_t i = 0; i < SEARCHERS; i++) {
		searchers[i].pair = pair;
		searchers[i].exact = &exact;
		searchers[i].approximate = &approximate;
		searchers[i].stop = &stop;
		assert_int_equal(pthread_create(&searchers[i].thread, NULL, search_star,
					 &searchers[i]),
			0);
	}
	for (uint32_t round = 0; round < ROUNDS; round++) {
		change(&items, round);
		await_answers(searchers);
	}
	const uint64_t sequence = items_write(&items, "ir", 500, 0, ITEMS_KEYS);
	atomic_store(&stop, true);
	for (size_t i = 0; i < SEARCHERS; i++) {
		assert_int_equal(pthread_join(searchers[i].thread, NULL), 0);
		if (searchers[i].wrong != NULL) {
			fail_msg("%s", searchers[i].wrong);
		}
	}
	pair_await(pair, sequence);
	pair_await_current(pair);
	items_await_indexes(&items, "items");
	items_expect(&items, "ir");
	const uint64_t before = stats_of(pair).images;
	pair_await(pair, items_write(&items, "ir", 3000, 0, ITEMS_KEYS));
	await_image(&items, "ir", before);
	items_expect(&items, "ir");
	wire_writer_fini(&exact);
	wire_writer_fini(&approximate);
}

/* ---- fork ---- */

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
static void a_child_of_a_fork_makes_images_of_its_own(void **state)
{
	(void)state;
	skip(); /* as in test_local_lag.c */
}
#else
/* What the child does; its exit code says where it failed. */
static int search_in_child(struct items *items, const struct items_found *expected)
{
	struct pair *pair = items->pair;
	struct items_found found;
	if (!items_read(pair_ask(pair), &found) || !items_are_same(&found, expected)) {
		return 2;
	}
	if (stats_of(pair).images != 0) {
		return 3;
	}
	await_image(items, "ir", 0);
	pair_close(pair);
	return 0;
}

static void a_child_of_a_fork_makes_images_of_its_own(void **state)
{
	static const float vector[ITEMS_DIM] = {1, -1};
	struct pair *pair = *state;
	struct items_found expected;
	int status = 0;
	struct items items = begin(pair, one_table, 0);
	pair_await(pair, items_write(&items, "ir", 3000, 0, ITEMS_KEYS));
	await_image(&items, "ir", 0);
	items_request(&items, "items", "ir", vector, "cosine", 1);
	assert_true(items_read(pair_ask_store(pair), &expected));
	const pid_t child = fork();
	if (child == 0) {
		_exit(search_in_child(&items, &expected));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	items_expect(&items, "ir"); /* the parent goes on */
}
#endif

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_that_are_searched_get_images_and_others_do_not),
		cmocka_unit_test(what_is_found_beside_images_is_what_the_store_finds),
		cmocka_unit_test(a_reader_that_was_opened_later_makes_images),
		cmocka_unit_test(images_go_with_what_they_are_of),
		cmocka_unit_test(where_memory_is_bounded_rows_come_first),
		cmocka_unit_test(searches_find_the_best_while_everything_changes),
		cmocka_unit_test(a_child_of_a_fork_makes_images_of_its_own),
	};
	return fixture_run(tests, sizeof tests / sizeof tests[0], pair_setup, pair_teardown);
}
