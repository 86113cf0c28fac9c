/* test_write_clock.c - by which clock rows expire for good. */
#include "daemon/store/write/write_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const int64_t wall_ms = INT64_C(1750000000000);
enum { MONOTONIC_MS = 5000, MINUTE_MS = 60 * 1000 };
static const int64_t day_ms = INT64_C(86400000);

static struct write_clock begin(void)
{
	struct write_clock clock;
	write_clock_begin(&clock, wall_ms, MONOTONIC_MS);
	return clock;
}

static void nothing_written_has_no_clock(void **state)
{
	(void)state;
	struct write_clock clock = begin();
	assert_true(clock.written_ms == INT64_MIN);
}

static void frames_that_go_with_the_monotonic_clock_count(void **state)
{
	(void)state;
	struct write_clock clock = begin();
	for (int64_t passed_ms = 0; passed_ms < 30 * day_ms; passed_ms += INT64_C(7) * MINUTE_MS) {
		/* Adjusted by a minute each time, ahead and behind. */
		const int64_t frame_ms =
			wall_ms + passed_ms + (passed_ms % 2 == 0 ? MINUTE_MS : -MINUTE_MS);
		assert_true(write_clock_note(&clock, frame_ms, MONOTONIC_MS + passed_ms));
		assert_true(clock.written_ms == frame_ms);
	}
}

static void a_clock_that_was_set_forward_does_not_count_until_it_is_back(void **state)
{
	(void)state;
	struct write_clock clock = begin();
	assert_true(write_clock_note(&clock, wall_ms + 10, MONOTONIC_MS + 10));
	for (int64_t passed_ms = 20; passed_ms < day_ms; passed_ms += MINUTE_MS) {
		assert_false(write_clock_note(&clock, wall_ms + passed_ms + 60 * day_ms,
			MONOTONIC_MS + passed_ms));
		assert_true(clock.is_ahead);
		assert_true(clock.written_ms == wall_ms + 10);
	}
	assert_true(write_clock_note(&clock, wall_ms + day_ms, MONOTONIC_MS + day_ms));
	assert_false(clock.is_ahead);
	assert_true(clock.written_ms == wall_ms + day_ms);
}

/* What it does then removes nothing too early, but it may not go forward again. */
static void a_clock_that_was_set_back_counts(void **state)
{
	(void)state;
	struct write_clock clock = begin();
	assert_true(write_clock_note(&clock, wall_ms - 60 * day_ms, MONOTONIC_MS + 10));
	assert_true(clock.written_ms == wall_ms - 60 * day_ms);
	assert_false(write_clock_note(&clock, wall_ms + 20, MONOTONIC_MS + 20));
	assert_true(clock.written_ms == wall_ms - 60 * day_ms);
}

static void a_replayed_frame_counts_unless_it_is_ahead_of_the_start(void **state)
{
	(void)state;
	struct write_clock clock = begin();
	write_clock_replay(&clock, wall_ms - 30 * day_ms);
	assert_true(clock.written_ms == wall_ms - 30 * day_ms);
	write_clock_replay(&clock, wall_ms + day_ms);
	write_clock_replay(&clock, INT64_MAX);
	assert_true(clock.written_ms == wall_ms - 30 * day_ms);
	/* It says nothing of the clock of now. */
	assert_true(write_clock_note(&clock, wall_ms, MONOTONIC_MS));
	assert_true(clock.written_ms == wall_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_written_has_no_clock),
		cmocka_unit_test(frames_that_go_with_the_monotonic_clock_count),
		cmocka_unit_test(a_clock_that_was_set_forward_does_not_count_until_it_is_back),
		cmocka_unit_test(a_clock_that_was_set_back_counts),
		cmocka_unit_test(a_replayed_frame_counts_unless_it_is_ahead_of_the_start),
	};
	return cmocka_run_group_tests_name("write_clock", tests, NULL, NULL);
}
