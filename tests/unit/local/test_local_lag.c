/* test_local_lag.c - how old what a reader shows is, what it refuses for that, and what it does in a child of a fork. */
#include "tests/unit/local/local_fixture.h"

#include <glob.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/store/system/stop.h"
#include "tests/unit/fixture.h"
#include "tests/unit/wait.h"

enum { MUCH_ROWS = 20000, FEW_BYTES = 4 << 20, SLOW_MS = 1500 };

static int64_t lag_of(struct pair *pair)
{
	struct local_lag lag;
	world_arg_part(pair->world, "a", 1);
	pair_request(pair, "fetch");
	(void)pair_ask(pair);
	local_last_lag(pair->handle, &lag);
	return lag.lag_ms;
}

static void remove_page(const struct pair *pair)
{
	char path[PATH_MAX];
	(void)snprintf(path, sizeof path, "%s/visible", pair->world->folder);
	assert_int_equal(unlink(path), 0);
}

static void a_reader_that_has_all_is_not_behind(void **state)
{
	struct pair *pair = *state;
	struct local_lag lag;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	const uint64_t sequence = pair_put(pair, "a", 0, 5, 1);
	pair_await(pair, sequence);
	assert_int_equal(lag_of(pair), 0);
	local_last_lag(pair->handle, &lag);
	assert_int_equal(lag.sequence, sequence);
}

static void beside_a_dead_store_the_lag_grows_and_is_refused(void **state)
{
	struct pair *pair = *state;
	struct wait wait = {0};
	const struct local_options options = {.has_max_lag = true, .max_lag_ms = 900};
	(void)pair_put(pair, "a", 0, 5, 1);
	pair_open_as(pair, &options);
	pair_close_store(pair);
	pair_await_dead(pair);
	world_arg_part(pair->world, "a", 1);
	pair_refuse(pair, "fetch", "BUSY", "s behind: no daemon writes to the folder");
	pair_request(pair, "ping"); /* reads nothing */
	assert_null(memmem(pair_ask(pair).data, pair_ask(pair).len, "BUSY", 4));
	pair_open_store(pair);
	while (lag_of(pair) != 0) {
		wait_a_moment(&wait);
	}
	pair_expect_rows(pair, 0, 100);
}

static void without_a_page_nobody_knows_how_old_it_is(void **state)
{
	struct pair *pair = *state;
	struct error err;
	const struct local_options strict = {
		.folder = pair->folder,
		.has_max_lag = true,
		.max_lag_ms = 1000,
	};
	(void)pair_put(pair, "a", 0, 5, 1);
	pair_close_store(pair);
	remove_page(pair);
	assert_int_equal(local_open(&strict, &pair->local, &err), STATUS_UNSUPPORTED);
	assert_non_null(strstr(err.text, "no file 'visible'"));
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	assert_int_equal(lag_of(pair), LOCAL_LAG_UNKNOWN);
	pair_open_store(pair);
	pair_expect_rows(pair, 0, 100);
}

static void a_lag_that_cannot_be_promised_is_refused(void **state)
{
	struct pair *pair = *state;
	struct error err;
	const struct local_options options = {
		.folder = pair->folder,
		.follow = LOCAL_FOLLOW_RELEASES,
		.has_max_lag = true,
	};
	assert_int_equal(local_open(&options, &pair->local, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "max_lag_ms"));
}

/* ---- min_sequence ---- */

static void a_reader_waits_for_the_write_that_it_is_told_of(void **state)
{
	struct pair *pair = *state;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	for (uint32_t i = 0; i < 50; i++) {
		local_set_min_sequence(pair->handle, pair_put(pair, "b", i, 5, (float)i));
		pair_expect_rows(pair, 0, 100); /* at once */
	}
}

static void a_write_that_does_not_come_ends_in_a_timeout(void **state)
{
	struct pair *pair = *state;
	struct error err;
	struct wire_bytes response;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	local_set_min_sequence(pair->handle, 1000);
	world_arg_part(pair->world, "a", 1);
	pair_request(pair, "fetch");
	assert_int_equal(local_call(pair->handle, pair->request.data, pair->request.len, 20,
				 &response, &err),
		STATUS_OK);
	assert_non_null(memmem(response.data, response.len, "TIMEOUT", 7));
	world_arg_part(pair->world, "a", 1);
	world_arg_uint(pair->world, "timeout_ms", 20);
	pair_refuse(pair, "fetch", "TIMEOUT", "");
	pair_close(pair);
	pair_open(pair, LOCAL_FOLLOW_RELEASES);
	local_set_min_sequence(pair->handle, 1000);
	world_arg_part(pair->world, "a", 1);
	pair_refuse(pair, "fetch", "UNSUPPORTED", "min_sequence");
}

/* ---- calls that are interrupted ---- */

struct interruption {
	unsigned asked;
	unsigned over; /* it says so when it was asked so often */
	pthread_t thread;
};

static bool is_over(void *context)
{
	struct interruption *interruption = context;
	interruption->thread = pthread_self();
	return ++interruption->asked >= interruption->over;
}

static void who_waits_may_call_it_off(void **state)
{
	struct pair *pair = *state;
	struct interruption interruption = {.over = 2};
	const struct local_options options = {
		.interrupted = is_over,
		.interrupted_context = &interruption,
	};
	const uint64_t sequence = pair_put(pair, "a", 0, 5, 1);
	pair_open_as(pair, &options);
	local_set_min_sequence(pair->handle, sequence + 1);
	world_arg_part(pair->world, "a", 1);
	pair_refuse(pair, "fetch", "CLOSED", "interrupted");
	assert_int_equal(interruption.asked, 2);
	assert_true(pthread_equal(interruption.thread, pthread_self()));
	local_set_min_sequence(pair->handle, sequence);
	interruption.over = UINT_MAX;
	pair_expect_rows(pair, 0, 100); /* as before */
}

/* Takes so long that it is asked again wherever the opening looks. */
static bool is_over_slowly(void *context)
{
	static const struct timespec pause = {.tv_nsec = STOP_ASK_NS};
	(void)nanosleep(&pause, NULL);
	return is_over(context);
}

static void an_opening_may_be_called_off(void **state)
{
	struct pair *pair = *state;
	struct error err;
	struct interruption interruption = {.over = UINT_MAX};
	const struct local_options options = {
		.folder = pair->folder,
		.interrupted = is_over_slowly,
		.interrupted_context = &interruption,
	};
	for (uint32_t i = 0; i < 3; i++) {
		(void)pair_put(pair, "a", i, 5, 1);
	}
	pair_open_as(pair, &options);
	const unsigned looks = interruption.asked;
	pair_close(pair);
	assert_int_equal(looks, 2 + 3 + 1); /* tables, frames of the log, and the end */
	for (unsigned over = 1; over <= looks; over++) {
		interruption = (struct interruption){.over = over};
		assert_int_equal(local_open(&options, &pair->local, &err), STATUS_CLOSED);
		assert_non_null(strstr(err.text, "its opening was interrupted"));
		assert_int_equal(interruption.asked, over);
	}
	pair->local = NULL;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	pair_expect_rows(pair, 0, 100);
}

/* Its fourth look, which is for the second frame of the log, is when the time of the opening is over. */
static bool is_slow_at_last(void *context)
{
	static const struct timespec much = {.tv_sec = 1};
	struct interruption *interruption = context;
	if (interruption->asked == 3) {
		(void)nanosleep(&much, NULL);
	}
	return is_over_slowly(context);
}

static void an_opening_ends_when_its_time_is_over(void **state)
{
	struct pair *pair = *state;
	struct error err = {0};
	struct wait wait = {0};
	struct interruption interruption;
	const struct local_options options = {
		.folder = pair->folder,
		.open_timeout_ms = SLOW_MS,
		.interrupted = is_slow_at_last,
		.interrupted_context = &interruption,
	};
	for (uint32_t i = 0; i < 3; i++) {
		(void)pair_put(pair, "a", i, 5, 1);
	}
	do { /* on a busy machine the first looks may take too long, too */
		interruption = (struct interruption){.over = UINT_MAX};
		assert_int_equal(local_open(&options, &pair->local, &err), STATUS_TIMEOUT);
		wait_a_moment(&wait);
	} while (interruption.asked < 4);
	assert_non_null(strstr(err.text, "open_timeout_ms: 1500 given"));
	assert_non_null(strstr(err.text, "its log was read up to frame 1 of 3"));
	pair->local = NULL;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	pair_expect_rows(pair, 0, 100);
}

/* ---- memory_max ---- */

/* What it lacks was acknowledged nobody knows how long ago. */
static void a_reader_that_was_opened_with_too_little_memory_does_not_say_that_it_is_fresh(
	void **state)
{
	struct pair *pair = *state;
	struct local_stats stats;
	const struct local_options options = {.memory_max = FEW_BYTES};
	for (uint32_t i = 0; i < 5; i++) {
		(void)pair_put_both(pair, (uint64_t)i * MUCH_ROWS, MUCH_ROWS, (float)i);
	}
	pair_open_as(pair, &options);
	local_stats(pair->local, &stats);
	assert_true(stats.is_full);
	assert_true(stats.sequence < 5);
	assert_int_equal(stats.lag_ms, LOCAL_LAG_UNKNOWN);
	pair_merge(pair);
	pair_await(pair, 5);
	pair_await_current(pair);
	struct wait wait = {0};
	while (stats.lag_ms == LOCAL_LAG_UNKNOWN) {
		wait_a_moment(&wait);
		local_stats(pair->local, &stats);
	}
	pair_expect_rows(pair, 0, 5 * MUCH_ROWS);
}

static void where_memory_is_bounded_writes_are_followed_up_to_it(void **state)
{
	struct pair *pair = *state;
	struct wait wait = {0};
	struct local_stats stats = {0};
	const struct local_options options = {.memory_max = FEW_BYTES};
	pair_open_as(pair, &options);
	for (uint32_t i = 0; i < 5; i++) {
		(void)pair_put_both(pair, (uint64_t)i * MUCH_ROWS, MUCH_ROWS, (float)i);
	}
	while (!stats.is_full) {
		wait_a_moment(&wait);
		local_stats(pair->local, &stats);
	}
	assert_true(stats.sequence < 5);
	/* A frame was applied before it was noticed. */
	assert_true(stats.memory_bytes < 3 * (uint64_t)FEW_BYTES);
	pair_merge(pair);
	pair_await(pair, 5);
	pair_await_current(pair);
	pair_expect_rows(pair, 0, 5 * MUCH_ROWS);
}

/* ---- files that are cut ---- */

/* Pages that the reader has not checked yet are read through the map. */
static void a_file_that_is_cut_is_damage_and_not_the_end(void **state)
{
	struct pair *pair = *state;
	struct wait wait = {0};
	char path[PATH_MAX];
	const struct local_options options = {.handle_sigbus = true};
	pair_close_store(pair);
	pair_open_as(pair, &options);
	glob_t found;
	(void)snprintf(path, sizeof path, "%s/releases/*/base-1-*.mdb", pair->world->folder);
	assert_int_equal(glob(path, 0, NULL, &found), 0); /* of "a" */
	assert_int_equal(found.gl_pathc, 1);
	assert_int_equal(truncate(found.gl_pathv[0], 0), 0);
	globfree(&found);
	bool is_damaged = false;
	while (!is_damaged) {
		world_arg_part(pair->world, "a", 3);
		pair_request(pair, "fetch");
		const struct wire_bytes response = pair_ask(pair);
		is_damaged = memmem(response.data, response.len, "CORRUPT", 7) != NULL;
		wait_a_moment(&wait);
	}
	world_arg_part(pair->world, "b", 3); /* whose file is whole */
	pair_request(pair, "fetch");
	const struct wire_bytes response = pair_ask(pair);
	assert_null(memmem(response.data, response.len, "CORRUPT", 7));
}

/* ---- fork ---- */

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
static void a_child_of_a_fork_opens_the_folder_anew(void **state)
{
	(void)state;
	/* ThreadSanitizer allows no thread in a child of a process with threads, and AddressSanitizer's memory may be locked by
	 * one of them at the fork. */
	skip();
}
#else
/* What the child does; its exit code says where it failed. */
static int read_in_child(struct pair *pair, uint64_t sequence)
{
	struct error err;
	struct wire_bytes response;
	local_set_min_sequence(pair->handle, sequence);
	if (local_call(pair->handle, pair->request.data, pair->request.len, 0, &response, &err) !=
		STATUS_OK) {
		return 2;
	}
	if (response.len != pair->expected.len ||
		memcmp(response.data, pair->expected.data, response.len) != 0) {
		return 3;
	}
	local_handle_close(pair->handle);
	local_close(pair->local);
	return 0;
}

static void a_child_of_a_fork_opens_the_folder_anew(void **state)
{
	struct pair *pair = *state;
	int status = 0;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	const uint64_t sequence = pair_put(pair, "a", 0, 5, 1);
	world_arg_part(pair->world, "a", 8);
	pair_request(pair, "fetch");
	(void)pair_ask_store(pair);
	const pid_t child = fork();
	if (child == 0) {
		_exit(read_in_child(pair, sequence));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pair_await(pair, pair_put(pair, "a", 0, 5, 2)); /* the parent goes on */
	pair_expect_rows(pair, 0, 100);
}
#endif

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_that_has_all_is_not_behind),
		cmocka_unit_test(beside_a_dead_store_the_lag_grows_and_is_refused),
		cmocka_unit_test(without_a_page_nobody_knows_how_old_it_is),
		cmocka_unit_test(a_lag_that_cannot_be_promised_is_refused),
		cmocka_unit_test(a_reader_waits_for_the_write_that_it_is_told_of),
		cmocka_unit_test(a_write_that_does_not_come_ends_in_a_timeout),
		cmocka_unit_test(who_waits_may_call_it_off),
		cmocka_unit_test(an_opening_may_be_called_off),
		cmocka_unit_test(an_opening_ends_when_its_time_is_over),
		cmocka_unit_test(
			a_reader_that_was_opened_with_too_little_memory_does_not_say_that_it_is_fresh),
		cmocka_unit_test(where_memory_is_bounded_writes_are_followed_up_to_it),
		cmocka_unit_test(a_file_that_is_cut_is_damage_and_not_the_end),
		cmocka_unit_test(a_child_of_a_fork_opens_the_folder_anew),
	};
	return fixture_run(tests, sizeof tests / sizeof tests[0], pair_setup, pair_teardown);
}
