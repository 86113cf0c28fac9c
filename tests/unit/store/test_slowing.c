/* test_slowing.c - writers are slowed while merges do not keep up, by the room that is left, and are never stopped. */
#include "daemon/store/write/slowing.h"

#include "daemon/store/write/fullness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)

enum { THOUSANDTH = 1000 /* bytes of the log that fill one */ };

static uint64_t rate_at(const struct slowing *slowing, unsigned fullness, uint64_t now_ns)
{
	return slowing_rate(slowing, fullness, (uint64_t)fullness * THOUSANDTH, now_ns);
}

/* What a merge has left: to write of what it has frozen, and of ranges. */
static void expect(struct slowing *slowing, uint64_t frozen, uint64_t ranges, uint64_t now_ns)
{
	const uint64_t left[MERGE_STEPS] = {
		[MERGE_STEP_DELTA] = frozen,
		[MERGE_STEP_RANGE] = ranges,
	};
	slowing_expect(slowing, left, now_ns);
}

static void who_leaves_room_is_not_slowed(void **state)
{
	struct slowing slowing;
	(void)state;
	slowing_init(&slowing);
	assert_true(rate_at(&slowing, 0, SECOND) == UINT64_MAX);
	assert_true(rate_at(&slowing, FULLNESS_CROWDED - 1, SECOND) == UINT64_MAX);
	assert_true(rate_at(&slowing, FULLNESS_CROWDED, SECOND) < UINT64_MAX);
	slowing_begin_merge(&slowing, SLOWING_LATE - 1, SECOND);
	assert_false(slowing_is_behind(&slowing));
	assert_true(rate_at(&slowing, FULLNESS_CROWDED - 1, 2 * SECOND) == UINT64_MAX);
	slowing_end_merge(&slowing);
	slowing_begin_merge(&slowing, SLOWING_LATE, 2 * SECOND);
	assert_true(slowing_is_behind(&slowing));
	assert_true(rate_at(&slowing, 1, 2 * SECOND) < UINT64_MAX);
	/* The next one follows at once, so merges do not keep up, however little there is to merge. */
	slowing_end_merge(&slowing);
	slowing_begin_merge(&slowing, SLOWING_LATE - 1, 3 * SECOND);
	slowing_end_merge(&slowing);
	assert_true(slowing_is_behind(&slowing));
	assert_true(rate_at(&slowing, 1, 3 * SECOND) < UINT64_MAX);
	slowing_rest(&slowing);
	assert_false(slowing_is_behind(&slowing));
	assert_true(rate_at(&slowing, FULLNESS_CROWDED - 1, 4 * SECOND) == UINT64_MAX);
	slowing_fini(&slowing);
}

static void the_room_lasts_for_the_merge_and_half_of_it_more(void **state)
{
	enum { PER_SECOND = 1000000000 / SLOWING_NS_A_BYTE };
	struct slowing slowing;
	(void)state;
	slowing_init(&slowing);
	/* 500 thousandths are frozen for 2 s of 10. */
	slowing_begin_merge(&slowing, 500, SECOND);
	expect(&slowing, UINT64_C(2) * PER_SECOND, UINT64_C(8) * PER_SECOND, SECOND);
	assert_in_range(rate_at(&slowing, 500, SECOND), 66600, 66668); /* 1000 in 15 s */
	/* What came since the cut takes from that, what is frozen does not. */
	assert_in_range(rate_at(&slowing, 600, SECOND), 59900, 60001); /* 900 in 15 s */
	/* But there must be room until it is free. */
	assert_in_range(rate_at(&slowing, 940, SECOND), 19900, 20001); /* 60 in 3 s */
	assert_int_equal(rate_at(&slowing, 1000, SECOND), 1);
	assert_int_equal(rate_at(&slowing, 1100, SECOND), 1);
	/* It is free, and of 12 s 9 are left. */
	expect(&slowing, 0, UINT64_C(9) * PER_SECOND, 4 * SECOND);
	assert_in_range(rate_at(&slowing, 100, 4 * SECOND), 59900, 60001); /* 900 in 15 s */
	/* It takes longer than that: half of what it took is left, again and again. */
	assert_in_range(rate_at(&slowing, 400, 21 * SECOND), 59900, 60001); /* 600 in 10 s */
	assert_in_range(rate_at(&slowing, 400, 41 * SECOND), 29900, 30001); /* 600 in 20 s */
	slowing_fini(&slowing);
}

static void what_a_byte_takes_is_learned_from_merges_that_hurry(void **state)
{
	enum { BYTES = SLOWING_LEARN_BYTES };
	struct slowing slowing;
	(void)state;
	slowing_init(&slowing);
	slowing_learn(&slowing, MERGE_STEP_RANGE, BYTES, BYTES * UINT64_C(100));
	assert_true(slowing.ns_a_byte[MERGE_STEP_RANGE] == SLOWING_NS_A_BYTE);
	slowing_begin_merge(&slowing, 500, SECOND);
	for (unsigned i = 0; i < 30; i++) {
		slowing_learn(&slowing, MERGE_STEP_RANGE, BYTES, BYTES * UINT64_C(100));
		/* Little is mostly its syncs, and nothing has taken its time for nothing. */
		slowing_learn(&slowing, MERGE_STEP_RANGE, BYTES - 1, SECOND);
		slowing_learn(&slowing, MERGE_STEP_RANGE, 0, 100000);
	}
	expect(&slowing, 0, 40000000, SECOND);
	assert_in_range(rate_at(&slowing, 100, SECOND), 149000, 150001); /* 900 in 6 s */
	slowing_fini(&slowing);
}

/* ---- a stream that takes whatever it gets ---- */

/* A merge writes what was frozen in a quarter of its time, and ranges in the rest. The more was frozen, the longer. */
struct stream {
	struct slowing slowing;
	double active; /* thousandths, as the next */
	double frozen;
	double most;
	double slowest; /* thousandths in a second */
	double all;
	double second;
	uint64_t now_ns;
};

static void run_for(struct stream *stream, uint64_t for_ns)
{
	const uint64_t step_ns = 5 * MS;
	for (const uint64_t end_ns = stream->now_ns + for_ns; stream->now_ns < end_ns;
		stream->now_ns += step_ns) {
		const double full = stream->active + stream->frozen;
		const uint64_t rate = rate_at(&stream->slowing, (unsigned)full, stream->now_ns);
		const double fast =
			rate > UINT64_C(1000) * THOUSANDTH ? 1000 : (double)rate / THOUSANDTH;
		const double came = fast * (double)step_ns / 1e9;
		assert_true(rate > 1); /* nobody is stopped */
		stream->active += came;
		stream->all += came;
		stream->second += came;
		stream->most = full > stream->most ? full : stream->most;
		if ((stream->now_ns + step_ns) % SECOND == 0) {
			stream->slowest =
				stream->second < stream->slowest ? stream->second : stream->slowest;
			stream->second = 0;
		}
	}
}

/* It takes some ms for each thousandth, so many times as long as the merge thinks. */
static void merge_once(struct stream *stream, uint64_t ms_each, unsigned times)
{
	struct slowing *slowing = &stream->slowing;
	const uint64_t whole_ns = (uint64_t)stream->active * ms_each / 20 * 20 * MS;
	const uint64_t bytes = whole_ns / 4 / SLOWING_NS_A_BYTE / times;
	slowing_begin_merge(slowing, (unsigned)stream->active, stream->now_ns);
	expect(slowing, bytes, 3 * bytes, stream->now_ns);
	stream->frozen = stream->active;
	stream->active = 0;
	run_for(stream, whole_ns / 4);
	stream->frozen = 0;
	expect(slowing, 0, 3 * bytes, stream->now_ns);
	run_for(stream, whole_ns - whole_ns / 4);
	slowing_end_merge(slowing);
}

static void a_stream_that_is_too_fast_goes_on_evenly(void **state)
{
	enum { WARM = 3, MERGES = 30 };
	struct stream stream = {.active = FULLNESS_HURRY, .now_ns = SECOND};
	(void)state;
	slowing_init(&stream.slowing);
	for (unsigned i = 0; i < WARM; i++) {
		merge_once(&stream, 10, 1);
	}
	const uint64_t began_ns = stream.now_ns;
	stream.all = 0;
	stream.second = 1000; /* the first is not a whole one */
	stream.slowest = 1000;
	for (unsigned i = 0; i < MERGES; i++) {
		merge_once(&stream, 10, 1);
	}
	/* A thousandth takes 10 ms to merge, so as much may come as is merged. */
	const double mean = stream.all * 1e9 / (double)(stream.now_ns - began_ns);
	assert_true(mean > 95 && mean < 105);
	assert_true(stream.slowest > mean * 0.75);
	assert_true(stream.most < FULLNESS_WAIT * 0.9);
	slowing_fini(&stream.slowing);
}

static void merges_that_take_longer_than_was_thought_stop_nobody(void **state)
{
	struct stream stream = {.active = FULLNESS_HURRY, .now_ns = SECOND, .slowest = 1000};
	(void)state;
	slowing_init(&stream.slowing);
	for (unsigned i = 0; i < 10; i++) {
		merge_once(&stream, 10, 4);
	}
	assert_true(stream.most < FULLNESS_WAIT);
	slowing_fini(&stream.slowing);
}

/* ---- who waits, and how long ---- */

static void each_waits_for_what_was_written_until_then(void **state)
{
	enum { RATE = 1000000 /* so 1000 bytes take 1 ms */, MORE = SLOWING_CREDIT_MS * 1000 };
	struct slowing slowing;
	const uint64_t now_ns = UINT64_C(3600) * SECOND;
	(void)state;
	slowing_init(&slowing);
	/* A long pause is made up for by no more than the credit. */
	const uint64_t first = slowing_use(&slowing, MORE + 40000, RATE, now_ns);
	assert_in_range(slowing_wait_ns(&slowing, first, RATE, now_ns), 40 * MS - 1, 40 * MS + 1);
	const uint64_t second = slowing_use(&slowing, 20000, RATE, now_ns);
	assert_in_range(slowing_wait_ns(&slowing, second, RATE, now_ns), 60 * MS - 1, 60 * MS + 1);
	assert_in_range(slowing_wait_ns(&slowing, first, RATE, now_ns), 40 * MS - 1, 40 * MS + 1);
	/* When the rate rises, what is left takes less. */
	assert_in_range(slowing_wait_ns(&slowing, second, UINT64_C(2) * RATE, now_ns + 10 * MS),
		20 * MS - 1, 20 * MS + 1);
	assert_int_equal(slowing_wait_ns(&slowing, first, RATE, now_ns + 30 * MS), 0);
	assert_int_equal(slowing_wait_ns(&slowing, second, RATE, now_ns + 60 * MS), 0);
	/* What brings little right afterwards does not wait. */
	const uint64_t third = slowing_use(&slowing, 1000, RATE, now_ns + 65 * MS);
	assert_int_equal(slowing_wait_ns(&slowing, third, RATE, now_ns + 65 * MS), 0);
	slowing_fini(&slowing);
}

/* Or a write that takes seconds would leave them to those who bring little. */
static void what_a_writer_no_longer_waits_for_is_no_others_to_wait_for(void **state)
{
	enum { RATE = 1000000, SMALL = 3000 };
	struct slowing slowing;
	uint64_t now_ns = UINT64_C(3600) * SECOND;
	(void)state;
	slowing_init(&slowing);
	const uint64_t large = slowing_use(&slowing, UINT64_C(10) * RATE, RATE, now_ns);
	now_ns += SECOND;
	assert_true(slowing_wait_ns(&slowing, large, RATE, now_ns) > 8 * SECOND);
	slowing_forgive(&slowing, large);
	const uint64_t small = slowing_use(&slowing, SMALL, RATE, now_ns);
	assert_in_range(slowing_wait_ns(&slowing, small, RATE, now_ns), 3 * MS - 1, 3 * MS + 1);
	/* It takes nothing back from those who have paid. */
	slowing_forgive(&slowing, large);
	assert_int_equal(slowing_wait_ns(&slowing, small, RATE, now_ns + 3 * MS + 1), 0);
	slowing_fini(&slowing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_leaves_room_is_not_slowed),
		cmocka_unit_test(the_room_lasts_for_the_merge_and_half_of_it_more),
		cmocka_unit_test(what_a_byte_takes_is_learned_from_merges_that_hurry),
		cmocka_unit_test(a_stream_that_is_too_fast_goes_on_evenly),
		cmocka_unit_test(merges_that_take_longer_than_was_thought_stop_nobody),
		cmocka_unit_test(each_waits_for_what_was_written_until_then),
		cmocka_unit_test(what_a_writer_no_longer_waits_for_is_no_others_to_wait_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
