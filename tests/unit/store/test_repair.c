/* test_repair.c - ranges with damaged pages, written anew: what can be read stays, no older row comes back, and the
 * range goes on as any other. */
#include "daemon/store/merge/repair.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_range.h"
#include "daemon/store/state/reader.h"
#include "tests/unit/store/kill_at.h"
#include "tests/unit/store/levels_fixture.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 60, MOMENTS_MAX = 1000 };

enum part { SLOTS, KEYS_OF, ROWS_OF, TIMES, DELETED, LIST, HEAD, PARTS };

static uint64_t next_random(uint64_t *random)
{
	*random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *random >> 33;
}

/* Where a byte of a part of a segment stands in its file. 0: the segment does not have that part. */
static uint64_t place_of(const struct base_segment *segment, enum part part, uint64_t random)
{
	const struct segment *view = &segment->view;
	const struct {
		const void *at;
		uint64_t bytes;
	} columns[PARTS] = {
		[SLOTS] = {view->slots, view->slot_count * sizeof *view->slots},
		[KEYS_OF] = {view->keys, view->rows * UINT64_C(8)},
		[ROWS_OF] = {view->row_data, view->rows * view->row_bytes},
		[TIMES] = {view->times, view->rows * UINT64_C(8)},
		[DELETED] = {view->deleted, view->rows},
		[LIST] = {view->page_sums, view->page_count * UINT64_C(8)},
		[HEAD] = {segment->data, 8},
	};
	if (columns[part].at == NULL || columns[part].bytes == 0) {
		return 0;
	}
	return segment->info->offset +
	       (uint64_t)((const uint8_t *)columns[part].at - segment->data) +
	       random % columns[part].bytes;
}

/* Flips a byte of a part of a segment of a level, while the store is closed. */
static void damage(struct scratch *scratch, size_t level, enum part part, uint64_t *random)
{
	char path[PATH_MAX];
	char name[64];
	const struct table *table = scratch_table(scratch, "t");
	const struct base_set *set = table->levels[level % table->level_count]->set;
	const struct level *of = table->levels[level % table->level_count];
	const struct base_segment *segment =
		set->segments[next_random(random) % set->segment_count];
	uint64_t number = 0;
	for (size_t i = 0; i < of->file_count; i++) {
		for (size_t j = 0; j < of->files[i].segment_count; j++) {
			if (of->files[i].segments[j].prefix == segment->info->prefix) {
				number = of->files[i].number;
			}
		}
	}
	const uint64_t place =
		segment->data == NULL ? 0 : place_of(segment, part, next_random(random));
	snapshot_end(scratch->store);
	(void)snprintf(name, sizeof name, "releases/1/base-1-%" PRIu64 ".mdb", number);
	scratch_path(scratch, path, name);
	scratch_close(scratch);
	if (place != 0) {
		scratch_flip(path, place);
	}
	scratch_open(scratch);
}

static struct repair_report repair(struct scratch *scratch, bool dry_run)
{
	struct error err = {0};
	struct repair_report report;
	const struct repair_wish wish = {
		.release = "r1",
		.table = {"t"},
		.dry_run = dry_run,
	};
	scratch_must(store_repair(scratch->store, &wish, NULL, &report, &err), &err);
	return report;
}

/* What is found of each key; UINT32_MAX: it cannot be told. */
static void look(struct scratch *scratch, uint32_t versions[KEYS])
{
	const struct table *table = scratch_table(scratch, "t");
	for (uint64_t key = 0; key < KEYS; key++) {
		versions[key] = scratch_version_in(scratch, table, key);
	}
	snapshot_end(scratch->store);
}

struct sums {
	uint64_t kept;
	uint64_t lost;
	uint64_t given_up;
	uint64_t unreadable;
};

static struct sums sums_of(const struct repair_report *report)
{
	struct sums sums = {0};
	for (size_t i = 0; i < report->count; i++) {
		const struct repair_range *range = &report->ranges[i];
		assert_true(range->file_count > 0);
		assert_true(range->first <= range->last);
		sums.kept += range->kept;
		sums.lost += range->lost;
		sums.given_up += range->given_up;
		sums.unreadable += range->unreadable;
	}
	return sums;
}

/* After a repair a key is as it was, or what could not be told is right or gone; it says how many are gone. */
static uint64_t expect_repaired(struct scratch *scratch, struct expected *expected,
	const uint32_t before[KEYS])
{
	uint32_t after[KEYS];
	uint64_t gone = 0;
	look(scratch, after);
	for (uint64_t key = 0; key < KEYS; key++) {
		if (before[key] != UINT32_MAX) {
			assert_int_equal(before[key], expected->versions[key]);
			assert_int_equal(after[key], expected->versions[key]);
		} else if (after[key] != expected->versions[key]) {
			assert_int_equal(after[key], 0);
			expected->versions[key] = 0;
			gone++;
		}
	}
	return gone;
}

/* A base, two deltas and rows that wait in the log. */
static void make(struct scratch *scratch, struct expected *expected, uint64_t round)
{
	scratch_close(scratch);
	if (round % 2 == 0) { /* so that a column has several pages */
		scratch->sizes.segment_bytes = 1 << 16;
		scratch->sizes.file_bytes = 1 << 17;
	}
	scratch_open(scratch);
	levels_make(scratch, expected);
	levels_add_deltas(scratch, expected, 3);
	if (round % 3 == 0) {
		levels_put(scratch, expected, 300, 200, 9);
		levels_put(scratch, expected, 350, 20, 0);
	}
}

/* One round of damage: repaired, and the table works as if nothing had been. */
static void repair_damage(struct scratch *scratch, uint64_t round, uint64_t *told)
{
	struct expected expected;
	uint32_t before[KEYS];
	uint64_t random = round * 7919 + 1;
	make(scratch, &expected, round);
	const uint64_t flips = 1 + round % 4;
	for (uint64_t i = 0; i < flips; i++) {
		damage(scratch, next_random(&random) % 3, (enum part)((round + i) % PARTS),
			&random);
	}
	look(scratch, before);
	struct repair_report dry = repair(scratch, true);
	const struct sums would = sums_of(&dry);
	uint32_t still[KEYS];
	look(scratch, still);
	for (size_t key = 0; key < KEYS; key++) {
		assert_int_equal(still[key], before[key]);
	}
	struct repair_report report = repair(scratch, false);
	const struct sums did = sums_of(&report);
	assert_int_equal(report.count, dry.count);
	assert_memory_equal(&did, &would, sizeof did);
	const uint64_t gone = expect_repaired(scratch, &expected, before);
	assert_true(gone <= did.lost + did.given_up + did.unreadable);
	assert_true(gone == 0 || report.count > 0);
	*told += gone;
	repair_report_fini(&dry);
	repair_report_fini(&report);
	report = repair(scratch, false);
	assert_int_equal(report.count, 0); /* nothing is left */
	levels_expect(scratch, &expected);
	scratch_reopen(scratch);
	levels_expect(scratch, &expected);
	levels_put(scratch, &expected, 100, 700, 11); /* lost keys, too */
	(void)levels_merge_full(scratch);
	levels_expect(scratch, &expected);
	assert_int_equal(levels_count_levels(scratch), 1);
}

static void what_can_be_read_stays_and_no_older_row_comes_back(void **state)
{
	(void)state;
	uint64_t gone = 0;
	for (uint64_t round = 0; round < ROUNDS; round++) {
		void *scratch = NULL;
		assert_int_equal(levels_setup(&scratch), 0);
		repair_damage(scratch, round, &gone);
		assert_int_equal(scratch_teardown(&scratch), 0);
	}
	assert_true(gone > ROUNDS); /* it was not of nothing */
}

static void slots_alone_lose_nothing(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	uint32_t before[KEYS];
	uint64_t random = 5;
	uint64_t corrupt = 0;
	make(scratch, &expected, 0);
	for (size_t level = 0; level < 3; level++) {
		damage(scratch, level, SLOTS, &random);
	}
	look(scratch, before);
	for (size_t key = 0; key < KEYS; key++) {
		corrupt += before[key] == UINT32_MAX;
	}
	assert_true(corrupt > 0);
	struct repair_report report = repair(scratch, false);
	const struct sums sums = sums_of(&report);
	assert_int_equal(sums.lost + sums.given_up + sums.unreadable, 0);
	assert_int_equal(expect_repaired(scratch, &expected, before), 0);
	repair_report_fini(&report);
}

static void a_sound_table_is_left_alone(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	struct error err = {0};
	struct repair_report report;
	make(scratch, &expected, 0);
	const uint64_t files = levels_count_files(scratch);
	report = repair(scratch, false);
	assert_int_equal(report.count, 0);
	assert_int_equal(levels_count_files(scratch), files);
	const struct repair_wish wish = {.release = "r1", .table = {"u"}};
	assert_int_equal(store_repair(scratch->store, &wish, NULL, &report, &err),
		STATUS_NOT_FOUND);
	assert_string_equal(err.text, "table: 'u' is not in release 'r1', which has 't'");
	levels_expect(scratch, &expected);
}

/* Of a table with an index, too. */
static void a_table_with_an_index_is_repaired(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	uint32_t before[KEYS];
	uint64_t random = 3;
	scratch->indexed = true;
	levels_make(scratch, &expected);
	damage(scratch, 0, ROWS_OF, &random);
	look(scratch, before);
	struct repair_report report = repair(scratch, false);
	assert_int_equal(report.count, 1);
	assert_true(expect_repaired(scratch, &expected, before) > 0);
	repair_report_fini(&report);
	levels_put(scratch, &expected, 0, 900, 2);
	(void)levels_merge(scratch);
	levels_expect(scratch, &expected);
}

/* Repairs in a process of its own, which is killed at the n-th moment. True: it was done before that. */
static bool repair_until_killed(struct scratch *scratch, unsigned n)
{
	scratch_close(scratch);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		scratch_open(scratch);
		kill_at(n);
		struct repair_report report = repair(scratch, false);
		kill_at(0);
		repair_report_fini(&report);
		_exit(0);
	}
	int how;
	assert_int_equal(waitpid(child, &how, 0), child);
	scratch_open(scratch);
	assert_true(WIFEXITED(how) ? WEXITSTATUS(how) == 0 : WTERMSIG(how) == SIGKILL);
	return WIFEXITED(how);
}

static void a_killed_repair_is_done_or_undone_by_range(void **state)
{
	struct scratch *scratch = *state;
	struct expected expected;
	uint32_t before[KEYS];
	uint64_t random = 11;
	char path[PATH_MAX];
	unsigned n = 1;
	make(scratch, &expected, 1);
	for (size_t i = 0; i < 6; i++) {
		damage(scratch, i, i % 2 == 0 ? ROWS_OF : KEYS_OF, &random);
	}
	struct repair_report dry = repair(scratch, true);
	assert_true(dry.count > 1);
	scratch_path(scratch, path, "releases/1");
	for (bool ended = false; !ended; n++) {
		assert_true(n < MOMENTS_MAX);
		look(scratch, before);
		ended = repair_until_killed(scratch, n);
		/* What was there stays, whatever was done of the others. */
		uint32_t after[KEYS];
		look(scratch, after);
		for (size_t key = 0; key < KEYS; key++) {
			const bool was_told = before[key] != UINT32_MAX;
			assert_int_equal(was_told ? before[key] : after[key], after[key]);
			assert_true(after[key] == expected.versions[key] || after[key] == 0 ||
				    after[key] == UINT32_MAX);
		}
		assert_int_equal(scratch_count(path, "base-"), levels_count_files(scratch));
	}
	assert_true(n > 10);
	struct repair_report report = repair(scratch, true);
	assert_int_equal(report.count, 0);
	repair_report_fini(&dry);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, levels_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_can_be_read_stays_and_no_older_row_comes_back),
		TEST(slots_alone_lose_nothing),
		TEST(a_sound_table_is_left_alone),
		TEST(a_table_with_an_index_is_repaired),
		TEST(a_killed_repair_is_done_or_undone_by_range),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
