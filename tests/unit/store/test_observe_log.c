/* test_observe_log.c - positions and states over failed groups, restarts, merges, drops. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/observe/observe.h"
#include "daemon/store/observe/sources.h"
#include "daemon/store/write/writer.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/observe_fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

/* ---- a group that fails ---- */

/* Holds the thread that commits, in the middle of an acknowledgement. */
struct hold {
	pthread_t test;
	sem_t told;
	sem_t go_on;
	bool held;
};

static void on_done(void *arg, enum status status, const struct error *err)
{
	struct hold *hold = arg;
	(void)err;
	assert_int_equal(status, STATUS_OK);
	const bool held = !pthread_equal(pthread_self(), hold->test); /* else it was done already */
	hold->held = held;
	(void)sem_post(&hold->told);
	if (held) {
		(void)sem_wait(&hold->go_on);
	}
}

/* No file may grow beyond what the last file of the log has. */
static struct rlimit limit_files(struct scratch *scratch)
{
	char path[PATH_MAX];
	struct rlimit before;
	struct stat about;
	scratch_path(scratch, path, "log/2.log"); /* behind the merge */
	assert_int_equal(stat(path, &about), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	const struct rlimit small = {(rlim_t)about.st_size + 100, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	return before;
}

/* Applies a batch that waits for the disk. */
static struct write_ticket *apply(struct scratch *scratch, uint64_t first, uint32_t count,
	const char *source, uint64_t applied)
{
	static struct sample_batch batch;
	struct write_ticket *ticket = NULL;
	struct observe_result result;
	struct error err = {0};
	samples_make(&batch, first, count)->source = source;
	scratch_must(store_observe(scratch->store, &batch.given, &result, &ticket, &err), &err);
	assert_int_equal(result.write.count, applied);
	return ticket;
}

/* Sends samples, and some through a merge, until the commit thread is held at one of them; returns
 * the next. What is applied then waits, and is one group. */
static uint64_t hold_commits(struct scratch *scratch, struct hold *hold)
{
	uint64_t end = 5;
	samples_send(scratch, 0, 5, 5);
	samples_merge(scratch);
	*hold = (struct hold){.test = pthread_self()};
	(void)sem_init(&hold->told, 0, 0);
	(void)sem_init(&hold->go_on, 0, 0);
	while (!hold->held) {
		assert_true(end < 10000);
		store_write_then(apply(scratch, end++, 1, "s", 1), on_done, hold);
		(void)sem_wait(&hold->told);
	}
	return end;
}

/* Lets the group that waits fail: there is no room for it. */
static void fail_group(struct scratch *scratch, struct hold *hold, struct write_ticket **tickets,
	size_t count)
{
	const struct rlimit before = limit_files(scratch);
	(void)sem_post(&hold->go_on);
	for (size_t i = 0; i < count; i++) {
		struct error err = {0};
		assert_int_equal(store_write_wait(tickets[i], &err), STATUS_DISK_FULL);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	(void)sem_destroy(&hold->told);
	(void)sem_destroy(&hold->go_on);
}

static void expect_end(struct scratch *scratch, uint64_t end)
{
	assert_int_equal(samples_next(scratch, "s"), end);
	assert_int_equal(samples_next(scratch, "new"), UINT64_MAX);
	samples_expect(scratch, 0, end);
}

static void a_group_that_fails_takes_positions_and_states_back(void **state)
{
	struct scratch *scratch = *state;
	struct hold hold;
	struct write_ticket *tickets[5];
	const uint64_t end = hold_commits(scratch, &hold);
	tickets[0] = apply(scratch, end, 30, "s", 30);
	tickets[1] = apply(scratch, 100, 10, "new", 10);
	tickets[2] = apply(scratch, end + 20, 30, "s", 20);
	tickets[3] = apply(scratch, 105, 10, "new", 5);
	tickets[4] = apply(scratch, end + 10, 10, "s", 0); /* what it saw counted goes with it */
	fail_group(scratch, &hold, tickets, 5);
	expect_end(scratch, end);
	/* They are sent again, cut otherwise, and a restart knows the same. */
	samples_send(scratch, end - 1, 40, 39);
	samples_expect(scratch, 0, end + 39);
	scratch_reopen(scratch);
	expect_end(scratch, end + 39);
}

/* Else a start would pass samples over that were never counted. */
static void the_catalog_keeps_no_position_that_is_not_durable(void **state)
{
	struct scratch *scratch = *state;
	struct hold hold;
	struct write_ticket *tickets[2];
	const uint64_t end = hold_commits(scratch, &hold);
	tickets[0] = apply(scratch, end, 30, "s", 30);
	tickets[1] = apply(scratch, 100, 10, "new", 10);
	samples_release(scratch, "r2");
	scratch_publish(scratch, "r1");
	fail_group(scratch, &hold, tickets, 2);
	scratch_reopen(scratch);
	expect_end(scratch, end);
	samples_send(scratch, end, 5, 5);
	expect_end(scratch, end + 5);
}

/* ---- restarts, merges, drops ---- */

static void a_replay_restores_positions_and_states(void **state)
{
	struct scratch *scratch = *state;
	uint64_t end = 0;
	for (uint64_t round = 0; round < 8; round++) {
		const uint32_t again = end == 0 ? 0 : 20;
		samples_send(scratch, end - again, 50, 50 - again);
		end += 50 - again;
		samples_send(scratch, end, 3, 3);
		end += 3;
		if (round % 3 == 1) {
			samples_merge(scratch);
		}
		if (round % 4 == 2) {
			samples_send(scratch, end, 7, 7); /* behind the merge */
			end += 7;
		}
		scratch_reopen(scratch);
		assert_int_equal(samples_next(scratch, "s"), end);
		samples_expect(scratch, 0, end);
	}
	samples_merge(scratch);
	samples_merge(scratch);
	scratch_reopen(scratch);
	assert_int_equal(samples_next(scratch, "s"), end);
	samples_expect(scratch, 0, end);
}

static void a_merge_of_nothing_keeps_positions(void **state)
{
	struct scratch *scratch = *state;
	samples_send(scratch, 0, 10, 10);
	samples_merge(scratch);
	samples_release(scratch, "r2");
	scratch_publish(scratch, "r2");
	samples_merge(scratch);
	scratch_publish(scratch, "r1");
	scratch_reopen(scratch);
	assert_int_equal(samples_next(scratch, "s"), 10);
	samples_send(scratch, 5, 10, 5);
	samples_expect(scratch, 0, 15);
}

static void a_start_that_is_refused_memory_says_so(void **state)
{
	struct scratch *scratch = *state;
	unsigned skip = 0;
	samples_send(scratch, 0, 100, 100);
	samples_merge(scratch);
	samples_send(scratch, 100, 100, 100);
	scratch_close(scratch);
	for (bool refused = true; refused; skip++) {
		struct error err = {0};
		assert_true(skip < ALLOC_FAIL_RUNS_MAX);
		alloc_fail_arm(skip);
		const enum status status = scratch_try_open(scratch, &err);
		refused = alloc_fail_disarm();
		/* What only `current` needed may be done without. */
		assert_true(status == STATUS_OK || (refused && status == STATUS_NO_MEMORY));
		if (status == STATUS_OK) {
			assert_int_equal(samples_next(scratch, "s"), 200);
			samples_expect(scratch, 0, 200);
			scratch_close(scratch);
		}
	}
	assert_true(skip > 40);
	scratch_open(scratch);
	samples_send(scratch, 150, 100, 50);
	samples_expect(scratch, 0, 250);
}

static void positions_of_a_dropped_release_are_gone(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	samples_send(scratch, 0, 10, 10);
	samples_merge(scratch);
	samples_send(scratch, 10, 10, 10);
	scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	samples_release(scratch, "r1");
	assert_int_equal(samples_next(scratch, "s"), UINT64_MAX);
	samples_expect(scratch, 0, 0);
	samples_send(scratch, 3, 4, 4);
	scratch_reopen(scratch);
	assert_int_equal(samples_next(scratch, "s"), 7);
	samples_expect(scratch, 3, 7);
}

/* ---- forgotten ---- */

static enum status try_forget(struct scratch *scratch, const struct forget *which, uint64_t *count,
	struct error *err)
{
	struct write_ticket *ticket = NULL;
	struct write_result result = {0};
	enum status status = store_forget(scratch->store, which, &result, &ticket, err);
	if (status == STATUS_OK) {
		status = store_write_wait(ticket, err);
	}
	*count = result.count;
	return status;
}

static void forget(struct scratch *scratch, const char *source)
{
	const struct forget which = {.release = "r1", .source = source};
	struct error err = {0};
	uint64_t count;
	scratch_must(try_forget(scratch, &which, &count, &err), &err);
	assert_int_equal(count, 1);
}

static void send_of(struct scratch *scratch, const char *source, uint64_t first, int64_t now_ms)
{
	static struct sample_batch batch;
	struct observe_result result;
	struct error err = {0};
	struct observation *given = samples_make(&batch, first, 5);
	given->source = source;
	given->now_ms = now_ms;
	scratch_must(samples_try(scratch, given, &result, &err), &err);
}

static void a_source_stays_forgotten_over_restarts_and_merges(void **state)
{
	struct scratch *scratch = *state;
	samples_send(scratch, 0, 10, 10);
	forget(scratch, "s");
	assert_int_equal(samples_next(scratch, "s"), UINT64_MAX);
	scratch_reopen(scratch);
	assert_int_equal(samples_next(scratch, "s"), UINT64_MAX);
	samples_expect(scratch, 0, 10); /* the sums stay */
	samples_send(scratch, 10, 5, 5);
	samples_merge(scratch);
	/* From here on the catalog knows it, and nothing is written but that it is forgotten. */
	forget(scratch, "s");
	scratch_reopen(scratch);
	assert_int_equal(samples_next(scratch, "s"), UINT64_MAX);
	samples_merge(scratch); /* the frame that says so goes */
	samples_merge(scratch);
	scratch_reopen(scratch);
	assert_int_equal(samples_next(scratch, "s"), UINT64_MAX);
	/* It begins anew, below where it was, in a log that still has what was before. */
	samples_send(scratch, 3, 2, 2);
	forget(scratch, "s");
	samples_send(scratch, 1, 1, 1);
	scratch_reopen(scratch);
	assert_int_equal(samples_next(scratch, "s"), 2);
}

static void a_group_that_fails_brings_forgotten_sources_back(void **state)
{
	struct scratch *scratch = *state;
	struct hold hold;
	struct write_ticket *tickets[4] = {NULL};
	struct write_result result;
	struct error err = {0};
	const struct forget which = {.release = "r1", .source = "s"};
	const uint64_t end = hold_commits(scratch, &hold);
	tickets[0] = apply(scratch, end, 30, "s", 30);
	scratch_must(store_forget(scratch->store, &which, &result, &tickets[1], &err), &err);
	tickets[2] = apply(scratch, 3, 30, "s", 30);
	tickets[3] = apply(scratch, 100, 10, "new", 10);
	assert_int_equal(samples_next(scratch, "s"), end); /* what is acknowledged */
	fail_group(scratch, &hold, tickets, 4);
	expect_end(scratch, end);
	scratch_reopen(scratch);
	expect_end(scratch, end);
}

static void the_oldest_sources_are_forgotten_first(void **state)
{
	struct scratch *scratch = *state;
	static const char *const names[] = {"c", "a", "d", "b"};
	struct error err = {0};
	uint64_t count;
	for (int i = 0; i < 4; i++) {
		send_of(scratch, names[i], 0, SCRATCH_NOW_MS + i);
	}
	samples_merge(scratch); /* the catalog keeps when each was counted, and so does the log */
	send_of(scratch, "c", 5, SCRATCH_NOW_MS + 100);
	scratch_reopen(scratch);
	const struct forget two = {.release = "r1", .oldest = 2};
	scratch_must(try_forget(scratch, &two, &count, &err), &err);
	assert_int_equal(count, 2);
	assert_int_equal(samples_next(scratch, "a"), UINT64_MAX);
	assert_int_equal(samples_next(scratch, "d"), UINT64_MAX);
	assert_int_equal(samples_next(scratch, "b"), 5);
	assert_int_equal(samples_next(scratch, "c"), 10);
	const struct forget other = {.release = "r1", .oldest = 2, .layer = "mlp2"};
	scratch_must(try_forget(scratch, &other, &count, &err), &err);
	assert_int_equal(count, 0);
	const struct forget gone = {.release = "r1", .source = "a"};
	assert_int_equal(try_forget(scratch, &gone, &count, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, "source: 'a' is not counted in release 'r1'"));
	const struct forget all = {.release = "r1", .oldest = UINT64_MAX};
	scratch_must(try_forget(scratch, &all, &count, &err), &err);
	assert_int_equal(count, 2);
}

/* Who is told BUSY, or READ_ONLY, still learns where to go on. */
static void positions_wait_for_no_write(void **state)
{
	struct scratch *scratch = *state;
	samples_send(scratch, 0, 10, 10);
	writer_take_apply(scratch->store->writer);
	assert_int_equal(samples_next(scratch, "s"), 10);
	lock_release(&scratch->store->writer->apply_lock);
	writer_set_read_only(scratch->store->writer, "a test");
	assert_int_equal(samples_next(scratch, "s"), 10);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_that_fails_takes_positions_and_states_back),
		cmocka_unit_test(the_catalog_keeps_no_position_that_is_not_durable),
		cmocka_unit_test(a_replay_restores_positions_and_states),
		cmocka_unit_test(a_merge_of_nothing_keeps_positions),
		cmocka_unit_test(a_start_that_is_refused_memory_says_so),
		cmocka_unit_test(positions_of_a_dropped_release_are_gone),
		cmocka_unit_test(a_source_stays_forgotten_over_restarts_and_merges),
		cmocka_unit_test(a_group_that_fails_brings_forgotten_sources_back),
		cmocka_unit_test(the_oldest_sources_are_forgotten_first),
		cmocka_unit_test(positions_wait_for_no_write),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, samples_setup, scratch_teardown);
}
