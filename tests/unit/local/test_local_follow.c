/* test_local_follow.c - a reader follows writes, merges, releases and starts of the store beside it. */
#include "tests/unit/local/local_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/store/system/grace.h"
#include "daemon/store/visible/visible.h"
#include "tests/unit/fixture.h"
#include "tests/unit/wait.h"

static struct local_stats stats_of(const struct pair *pair)
{
	struct local_stats stats;
	local_stats(pair->local, &stats);
	return stats;
}

/* Waits until nothing of the log is in memory. */
static void await_no_rows(const struct pair *pair)
{
	struct wait wait = {0};
	while (stats_of(pair).rows > 0) {
		wait_a_moment(&wait);
	}
}

static void path_of(const struct pair *pair, char out[PATH_MAX], const char *name)
{
	(void)snprintf(out, PATH_MAX, "%s/%s", pair->world->folder, name);
}

static void a_write_is_seen_once_it_is_acknowledged(void **state)
{
	struct pair *pair = *state;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	for (uint32_t i = 0; i < 50; i++) {
		pair_await(pair,
			pair_put(pair, i % 2 == 0 ? "a" : "b", (uint64_t)i * 3, 7, (float)i));
		pair_expect_rows(pair, 0, 200);
	}
	assert_int_equal(stats_of(pair).frames, 50);
	assert_int_equal(stats_of(pair).replays, 1);
}

static void what_the_log_has_already_is_there_after_the_opening(void **state)
{
	struct pair *pair = *state;
	(void)pair_put(pair, "a", 0, 20, 5);
	(void)pair_put(pair, "b", 50, 100, 6);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	pair_expect_rows(pair, 0, 200);
	assert_int_equal(stats_of(pair).sequence, 2);
}

/* A version that is in files by now must hide no newer one that came there with it. */
static void after_a_merge_the_files_decide_and_memory_is_free(void **state)
{
	struct pair *pair = *state;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	for (uint32_t i = 0; i < 6; i++) {
		(void)pair_put(pair, "a", 0, 40, (float)i);
		pair_await(pair, pair_put(pair, "b", 10, 40, (float)i));
		(void)pair_put(pair, "a", 5, 3, 100 + (float)i);
		pair_merge(pair);
		pair_await_current(pair);
		pair_await(pair, pair_put(pair, "b", 500, 1, (float)i));
		pair_expect_rows(pair, 0, 100);
	}
	pair_merge(pair);
	await_no_rows(pair);
	pair_expect_rows(pair, 0, 600);
	assert_int_equal(stats_of(pair).replays, 1);
}

/* How many descriptors of this process lead to files of the log that were removed. */
static unsigned count_removed_logs(void)
{
	char link[288];
	char target[PATH_MAX + 16];
	unsigned count = 0;
	DIR *folder = opendir("/proc/self/fd");
	assert_non_null(folder);
	for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		(void)snprintf(link, sizeof link, "/proc/self/fd/%s", entry->d_name);
		const ssize_t len = readlink(link, target, sizeof target - 1);
		target[len < 0 ? 0 : len] = 0;
		count += strstr(target, "/log/") != NULL && strstr(target, " (deleted)") != NULL;
	}
	(void)closedir(folder);
	return count;
}

/* Or whoever closes it last frees its blocks while the next write waits. */
static void a_removed_file_of_the_log_is_let_go_of_before_the_next_write(void **state)
{
	struct pair *pair = *state;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	for (uint32_t i = 0; i < 3; i++) {
		struct wait wait = {0};
		pair_await(pair, pair_put(pair, "a", 0, 40, (float)i));
		pair_merge(pair);
		pair_await_current(pair);
		while (count_removed_logs() > 0) {
			wait_a_moment(&wait);
		}
	}
	pair_await(pair, pair_put(pair, "a", 20, 40, 7));
	pair_expect_rows(pair, 0, 100);
	assert_int_equal(stats_of(pair).frames, 4);
	assert_int_equal(stats_of(pair).replays, 1);
}

static void releases_are_followed(void **state)
{
	struct pair *pair = *state;
	struct world *world = pair->world;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	world_make_release(world, "r2");
	pair_await_current(pair);
	world_arg_part(world, "a", 3);
	pair_expect_same(pair, "fetch"); /* of the live one */
	(void)world_run(world, "release.rollback");
	pair_await_current(pair);
	world_arg_part(world, "a", 3);
	pair_expect_same(pair, "fetch");
	(void)world_run_on(world, "release.drop", "r2");
	pair_await_current(pair);
	world_arg_str(world, "release", "r2");
	world_arg_part(world, "a", 3);
	pair_expect_same(pair, "fetch"); /* NOT_FOUND */
	pair_await(pair, pair_put(pair, "a", 0, 20, 5));
	pair_expect_rows(pair, 0, 100);
}

/* Stays inside, so that no grace period ends. */
static void *stay_inside(void *arg)
{
	atomic_int *step = arg;
	struct wait wait = {0};
	grace_register();
	grace_enter();
	atomic_store(step, 1);
	while (atomic_load(step) == 1) {
		wait_a_moment(&wait);
	}
	grace_leave();
	grace_unregister();
	return NULL;
}

/* The reader knows that a release was sealed, and may not take it over yet: what is written to it has to wait. */
static void a_write_to_a_release_that_was_just_sealed_is_seen(void **state)
{
	static const struct timespec pause = {.tv_nsec = 50000000};
	struct pair *pair = *state;
	struct wait wait = {0};
	atomic_int step = 0;
	pthread_t inside;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	assert_int_equal(pthread_create(&inside, NULL, stay_inside, &step), 0);
	while (atomic_load(&step) == 0) {
		wait_a_moment(&wait);
	}
	world_arg_str(pair->world, "model", "m");
	world_run_on(pair->world, "release.create", "r2");
	world_create_table(pair->world, "r2", "a");
	world_create_table(pair->world, "r2", "b");
	(void)nanosleep(&pause, NULL); /* a snapshot is taken over, and cannot settle */
	(void)world_run_on(pair->world, "release.seal", "r2");
	const uint64_t sequence = pair_put_to(pair, "r2", 0, 20, 5);
	(void)nanosleep(&pause, NULL); /* for a reader that does not wait */
	atomic_store(&step, 2);
	assert_int_equal(pthread_join(inside, NULL), 0);
	pair_await(pair, sequence);
	pair_await_current(pair);
	pair_expect_rows_of(pair, "r2", 0, 50);
}

static void a_new_start_of_the_store_is_followed(void **state)
{
	struct pair *pair = *state;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	for (uint32_t i = 0; i < 5; i++) {
		pair_await(pair, pair_put(pair, "a", i, 20, (float)i));
		if (i % 2 == 0) {
			pair_merge(pair);
		}
		pair_close_store(pair);
		pair_open_store(pair);
		pair_await(pair, pair_put(pair, "b", i, 20, (float)i));
		pair_await_current(pair);
		pair_expect_rows(pair, 0, 100);
	}
}

/* Another file with the same bytes takes the place of the page, as in a folder that was put back from a copy. */
static void replace_page(const struct pair *pair)
{
	char path[PATH_MAX];
	char beside[PATH_MAX];
	uint8_t page[VISIBLE_BYTES];
	path_of(pair, path, "visible");
	path_of(pair, beside, "visible.copy");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, page, sizeof page), sizeof page);
	assert_int_equal(close(fd), 0);
	fd = open(beside, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	assert_int_equal(write(fd, page, sizeof page), sizeof page);
	assert_int_equal(close(fd), 0);
	assert_int_equal(rename(beside, path), 0);
}

static void a_page_in_another_file_is_followed(void **state)
{
	struct pair *pair = *state;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	pair_await(pair, pair_put(pair, "a", 0, 20, 1));
	pair_close_store(pair);
	replace_page(pair);
	pair_open_store(pair);
	pair_await(pair, pair_put(pair, "b", 0, 20, 2));
	pair_expect_rows(pair, 0, 100);
}

/* As on a network file system, whose maps do not show what the store writes. */
static void without_a_page_that_moves_releases_are_followed(void **state)
{
	struct pair *pair = *state;
	replace_page(pair); /* the store goes on in the one that it has */
	pair_open(pair, LOCAL_FOLLOW_RELEASES);
	for (uint32_t i = 1; i <= 3; i++) {
		(void)pair_put_both(pair, 0, 50, (float)i);
		pair_merge(pair); /* a change of `current` for each table */
		pair_await_rows(pair, 0, 100);
		assert_int_equal(stats_of(pair).sequence, i);
	}
	assert_true(stats_of(pair).lag_ms > 0);
	assert_int_equal(stats_of(pair).frames, 0);
}

/* With a handler of faults that costs the lag, and nothing else. */
static void a_page_that_is_cut_ends_nothing(void **state)
{
	struct pair *pair = *state;
	char path[PATH_MAX];
	const struct local_options options = {.folder = pair->folder, .handle_sigbus = true};
	pair_open_as(pair, &options);
	pair_await(pair, pair_put(pair, "a", 0, 20, 1));
	pair_close_store(pair);
	path_of(pair, path, "visible");
	assert_int_equal(truncate(path, 0), 0);
	for (uint32_t i = 0; i < 3; i++) {
		world_arg_part(pair->world, "a", 3);
		pair_request(pair, "fetch");
		assert_true(pair_ask(pair).len > 0);
		assert_int_equal(stats_of(pair).lag_ms, LOCAL_LAG_UNKNOWN);
	}
	pair_open_store(pair);
	pair_await(pair, pair_put(pair, "a", 0, 20, 2));
	pair_expect_rows(pair, 0, 50);
}

/* As after a power cut with `durability = periodic`: the reader has seen what the next start has not. */
static void what_a_new_start_does_not_have_is_dropped(void **state)
{
	struct pair *pair = *state;
	char path[PATH_MAX];
	struct stat log;
	struct wait wait = {0};
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	(void)pair_put(pair, "a", 0, 20, 1);
	path_of(pair, path, "log/1.log");
	assert_int_equal(stat(path, &log), 0);
	(void)pair_put(pair, "a", 0, 30, 2);
	pair_await(pair, pair_put(pair, "b", 0, 30, 2));
	pair_expect_rows(pair, 0, 100);
	pair_close_store(pair);
	assert_int_equal(truncate(path, log.st_size), 0);
	pair_open_store(pair);
	while (stats_of(pair).sequence != 1) {
		wait_a_moment(&wait);
	}
	pair_expect_rows(pair, 0, 100);
	assert_int_equal(stats_of(pair).replays, 2);
	/* Other writes have these sequences now. */
	(void)pair_put(pair, "b", 0, 10, 7);
	pair_await(pair, pair_put(pair, "a", 5, 10, 8));
	pair_expect_rows(pair, 0, 100);
}

/* A writer's frames that nobody has acknowledged yet. */
static void what_stands_behind_the_last_visible_frame_is_not_read(void **state)
{
	struct pair *pair = *state;
	char path[PATH_MAX];
	uint8_t junk[64];
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	pair_await(pair, pair_put(pair, "a", 0, 20, 1));
	path_of(pair, path, "log/1.log");
	memset(junk, 0x5a, sizeof junk);
	const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, junk, sizeof junk), sizeof junk);
	assert_int_equal(close(fd), 0);
	pair_await(pair, pair_put(pair, "a", 0, 20, 2)); /* it is written over that */
	pair_expect_rows(pair, 0, 100);
}

/* A start cuts such a tail off; who reads without a store stops there. */
static void a_torn_end_of_the_log_is_passed_over_without_a_store(void **state)
{
	struct pair *pair = *state;
	char path[PATH_MAX];
	struct stat log;
	(void)pair_put(pair, "a", 0, 20, 1);
	path_of(pair, path, "log/1.log");
	assert_int_equal(stat(path, &log), 0);
	(void)pair_put(pair, "a", 0, 20, 2);
	pair_close_store(pair);
	assert_int_equal(truncate(path, log.st_size + 100), 0);
	pair_await_dead(pair);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	assert_int_equal(stats_of(pair).sequence, 1);
	pair_open_store(pair);
	pair_expect_rows(pair, 0, 100);
}

static void without_writes_a_reader_is_as_of_the_last_merge(void **state)
{
	struct pair *pair = *state;
	(void)pair_put(pair, "a", 0, 20, 1);
	pair_open(pair, LOCAL_FOLLOW_RELEASES);
	assert_int_equal(stats_of(pair).rows, 0);
	assert_int_equal(stats_of(pair).frames, 0);
	(void)pair_put(pair, "a", 0, 20, 2);
	pair_merge(pair);
	pair_await_current(pair);
	pair_await(pair, 2);
	pair_expect_rows(pair, 0, 100);
	assert_int_equal(stats_of(pair).frames, 0);
}

/* ---- indexes ---- */

enum { INDEXED_ROWS = 6000 };

/* A live release "r3" with a table "c" that wants an index. */
static void make_indexed(struct world *world)
{
	uint64_t *keys = calloc(INDEXED_ROWS, sizeof *keys);
	float *rows = calloc((size_t)INDEXED_ROWS * WORLD_DIM, sizeof *rows);
	assert_non_null(keys);
	assert_non_null(rows);
	for (uint32_t i = 0; i < INDEXED_ROWS; i++) {
		keys[i] = i;
		for (uint32_t j = 0; j < WORLD_DIM; j++) {
			rows[i * WORLD_DIM + j] = (float)((i * 7919 + j * 104729) % 1000) - 500;
		}
	}
	(void)world_run_on(world, "release.create", "r3");
	world_arg_str(world, "release", "r3");
	world_arg_str(world, "table", "c");
	world_arg_str(world, "entity", "item");
	world_arg_str(world, "kind", "ir");
	world_arg_uint(world, "dim", WORLD_DIM);
	world_arg_str(world, "index", "balls");
	(void)world_run(world, "table.create");
	world_arg_str(world, "release", "r3");
	world_arg_str(world, "table", "c");
	world_arg_str(world, "load", "l");
	world_arg_uint(world, "chunk", 0);
	world_arg_bin(world, "keys", keys, INDEXED_ROWS * sizeof *keys);
	world_arg_bin(world, "rows", rows, (size_t)INDEXED_ROWS * WORLD_DIM * sizeof *rows);
	(void)world_run(world, "load");
	world_arg_str(world, "release", "r3");
	world_arg_str(world, "table", "c");
	world_arg_str(world, "load", "l");
	world_arg_uint(world, "chunks", 1);
	world_arg_uint(world, "rows", INDEXED_ROWS);
	(void)world_run(world, "load.end");
	(void)world_run_on(world, "release.seal", "r3");
	(void)world_run_on(world, "release.publish", "r3");
	free(keys);
	free(rows);
}

static void await_ready(struct pair *pair, struct wire_bytes (*ask)(struct pair *pair))
{
	struct wait wait = {0};
	bool is_ready = false;
	while (!is_ready) {
		world_arg_str(pair->world, "release", "r3");
		world_arg_str(pair->world, "table", "c");
		pair_request(pair, "table.show");
		const struct wire_bytes answer = ask(pair);
		is_ready = memmem(answer.data, answer.len, "ready", 5) != NULL;
		wait_a_moment(&wait);
	}
}

static void expect_same_search(struct pair *pair)
{
	const float query[WORLD_DIM] = {1, -2, 3, 4};
	world_arg_str(pair->world, "release", "r3");
	world_arg_str(pair->world, "table", "c");
	world_arg(pair->world, "queries");
	wire_write_bin(&pair->world->args, query, sizeof query);
	world_arg_uint(pair->world, "k", 20);
	pair_expect_same(pair, "retrieve");
}

/* It is built after the release is live, and `current` is replaced then without a change of the catalog. */
static void an_index_is_found_when_it_is_built(void **state)
{
	struct pair *pair = *state;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	make_indexed(pair->world);
	pair_await_current(pair);
	await_ready(pair, pair_ask_store);
	await_ready(pair, pair_ask);
	expect_same_search(pair);
	pair_close(pair);
	pair_close_store(pair);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	await_ready(pair, pair_ask); /* by its name, without a store */
	pair_open_store(pair);
	await_ready(pair, pair_ask_store);
	expect_same_search(pair);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_is_seen_once_it_is_acknowledged),
		cmocka_unit_test(what_the_log_has_already_is_there_after_the_opening),
		cmocka_unit_test(after_a_merge_the_files_decide_and_memory_is_free),
		cmocka_unit_test(a_removed_file_of_the_log_is_let_go_of_before_the_next_write),
		cmocka_unit_test(releases_are_followed),
		cmocka_unit_test(a_write_to_a_release_that_was_just_sealed_is_seen),
		cmocka_unit_test(a_new_start_of_the_store_is_followed),
		cmocka_unit_test(a_page_in_another_file_is_followed),
		cmocka_unit_test(without_a_page_that_moves_releases_are_followed),
		cmocka_unit_test(a_page_that_is_cut_ends_nothing),
		cmocka_unit_test(what_a_new_start_does_not_have_is_dropped),
		cmocka_unit_test(what_stands_behind_the_last_visible_frame_is_not_read),
		cmocka_unit_test(a_torn_end_of_the_log_is_passed_over_without_a_store),
		cmocka_unit_test(an_index_is_found_when_it_is_built),
		cmocka_unit_test(without_writes_a_reader_is_as_of_the_last_merge),
	};
	return fixture_run(tests, sizeof tests / sizeof tests[0], pair_setup, pair_teardown);
}
