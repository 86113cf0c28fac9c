/* test_levels_killed.c - merges whose process is killed, at each moment that the disk can tell: those that make a
 * delta, that make room for one by making one of several, and that make a base of all. */
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/reader.h"
#include "tests/unit/store/kill_at.h"
#include "tests/unit/store/levels_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DELTAS_MAX = 2, MOMENTS_MAX = 1000 };

/* Merges in a process of its own, which is killed at the n-th moment. True: it was done before that. */
static bool merge_until_killed(struct scratch *scratch, bool full, unsigned n)
{
	scratch_close(scratch);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		scratch_open(scratch);
		kill_at(n);
		(void)(full ? levels_merge_full(scratch) : levels_merge(scratch));
		kill_at(0);
		_exit(0);
	}
	int how;
	assert_int_equal(waitpid(child, &how, 0), child);
	scratch_open(scratch);
	assert_true(WIFEXITED(how) ? WEXITSTATUS(how) == 0 : WTERMSIG(how) == SIGKILL);
	return WIFEXITED(how);
}

/* Whether some files of a level are older than what was merged into it, and some are not. */
static bool is_mixed(struct scratch *scratch, size_t number, uint64_t first_new)
{
	const struct table *table = scratch_table(scratch, "t");
	const struct level *level = table->levels[number];
	size_t old = 0;
	for (size_t i = 0; i < level->file_count; i++) {
		old += level->files[i].number < first_new;
	}
	const bool mixed = old > 0 && old < level->file_count;
	snapshot_end(scratch->store);
	return mixed;
}

/* What tells how far a merge has come. */
struct mark {
	uint64_t next_file;
	uint64_t merged_to;
};
static struct mark mark_of(struct scratch *scratch)
{
	const struct table *table = scratch_table(scratch, "t");
	const struct mark mark = {table->next_file, table->merged_to};
	snapshot_end(scratch->store);
	return mark;
}

/* Files that no level names are removed at a start, so none of a merge that was not done is left. */
static void expect_files(struct scratch *scratch)
{
	char path[PATH_MAX];
	scratch_path(scratch, path, "releases/1");
	const size_t named = levels_count_files(scratch);
	assert_int_equal(scratch_count(path, "base-"), named);
}

/* A base, so many deltas above it, and rows that wait for a merge. */
static void prepare(struct scratch *scratch, struct expected *expected, uint32_t deltas, unsigned n)
{
	(void)levels_merge_full(scratch);
	for (uint32_t i = 0; i < deltas; i++) {
		levels_put(scratch, expected, UINT64_C(100) * i, 150, n);
		levels_put(scratch, expected, UINT64_C(100) * i + 7, 9, 0);
		(void)levels_merge(scratch);
	}
	assert_int_equal(levels_count_levels(scratch), 1 + deltas);
	levels_put(scratch, expected, 50, 200, n + 1);
	levels_put(scratch, expected, 60, 20, 0);
}

static void a_killed_merge_into_a_delta_is_done_or_undone(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	unsigned done = 0;
	unsigned undone = 0;
	bool ended = false;
	levels_make(scratch, &expected);
	for (unsigned n = 1; !ended; n++) {
		assert_true(n < MOMENTS_MAX);
		prepare(scratch, &expected, 0, n);
		ended = merge_until_killed(scratch, false, n);
		expect_files(scratch);
		levels_expect(scratch, &expected);
		const size_t levels = levels_count_levels(scratch);
		assert_true(levels == 2 || (levels == 1 && !ended));
		done += levels == 2 && !ended;
		undone += levels == 1;
	}
	assert_true(undone > 5);
	assert_true(done > 0);
}

/* There are as many deltas as there may be: range by range one takes in the others, and only then what was written
 * becomes one. */
static void a_killed_merge_of_deltas_is_done_up_to_a_range(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	unsigned mixed = 0;
	unsigned free = 0;
	unsigned done = 0;
	bool ended = false;
	levels_make(scratch, &expected);
	for (unsigned n = 1; !ended; n++) {
		assert_true(n < MOMENTS_MAX);
		prepare(scratch, &expected, DELTAS_MAX, n);
		const struct mark before = mark_of(scratch);
		ended = merge_until_killed(scratch, false, n);
		expect_files(scratch);
		levels_expect(scratch, &expected);
		const size_t levels = levels_count_levels(scratch);
		const bool is_merged = mark_of(scratch).merged_to > before.merged_to;
		assert_true(is_merged || !ended);
		assert_true(levels == 1 + DELTAS_MAX || (levels == DELTAS_MAX && !is_merged));
		mixed += is_mixed(scratch, 1, before.next_file);
		free += levels == DELTAS_MAX;
		done += is_merged && !ended;
	}
	assert_true(mixed > 5);
	assert_true(free > 5);
	assert_true(done > 0);
}

/* Some ranges of the base have taken in what deltas had for them, others have not yet. */
static void a_killed_merge_into_a_base_is_done_up_to_a_range(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	unsigned mixed = 0;
	bool ended = false;
	levels_make(scratch, &expected);
	for (unsigned n = 1; !ended; n++) {
		assert_true(n < MOMENTS_MAX);
		prepare(scratch, &expected, DELTAS_MAX, n);
		const struct mark before = mark_of(scratch);
		ended = merge_until_killed(scratch, true, n);
		expect_files(scratch);
		levels_expect(scratch, &expected);
		mixed += is_mixed(scratch, 0, before.next_file);
		assert_true(!ended || levels_count_levels(scratch) == 1);
	}
	assert_true(mixed > 5);
}

static int setup(void **state)
{
	(void)levels_setup(state);
	struct scratch *scratch = *state;
	scratch_close(scratch);
	scratch->sizes.deltas_max = DELTAS_MAX;
	scratch->sizes.range_bytes = 32768;
	scratch_open(scratch);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_killed_merge_into_a_delta_is_done_or_undone),
		TEST(a_killed_merge_of_deltas_is_done_up_to_a_range),
		TEST(a_killed_merge_into_a_base_is_done_up_to_a_range),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
