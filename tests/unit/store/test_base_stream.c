/* test_base_stream.c - what passes by is summed, segment by segment, however it is cut into pieces. */
#include "daemon/store/base/base_stream.h"
#include "tests/unit/alloc_fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

enum { FILE_BYTES = 300, SEGMENTS = 3 };

static uint8_t file[FILE_BYTES];
static struct base_segment_info segments[SEGMENTS] = {
	/* Not in the order of the file, and two of them without a gap. */
	{.offset = 150, .bytes = 50},
	{.offset = 10, .bytes = 40},
	{.offset = 50, .bytes = 60},
};
static struct base_file_info info = {.bytes = FILE_BYTES,
	.segment_count = SEGMENTS,
	.segments = segments};

/* Fills the file and the checksums that the catalog has of it. */
static void make(void)
{
	uint8_t outside[FILE_BYTES];
	size_t len = 0;
	for (size_t i = 0; i < FILE_BYTES; i++) {
		file[i] = (uint8_t)(i * 7);
		const bool within = (i >= 10 && i < 110) || (i >= 150 && i < 200);
		if (!within) {
			outside[len++] = file[i];
		}
	}
	for (size_t i = 0; i < SEGMENTS; i++) {
		segments[i].hash = XXH3_64bits(file + segments[i].offset, segments[i].bytes);
	}
	info.outside_hash = XXH3_64bits(outside, len);
}

static void stream(const struct base_file_info *of, size_t len, size_t step, struct base_sums *out,
	bool damaged[SEGMENTS])
{
	struct base_stream *stream = NULL;
	assert_int_equal(base_stream_open(of, &stream), STATUS_OK);
	for (size_t at = 0; at < len; at += step) {
		base_stream_add(stream, file + at, len - at < step ? len - at : step);
	}
	base_stream_end(stream, out);
	memcpy(damaged, out->segments, of == NULL ? 0 : SEGMENTS);
	base_stream_close(stream);
}

static void a_sound_file_is_sound_in_any_pieces(void **state)
{
	(void)state;
	make();
	for (size_t step = 1; step <= FILE_BYTES; step++) {
		struct base_sums sums;
		bool damaged[SEGMENTS];
		stream(&info, FILE_BYTES, step, &sums, damaged);
		assert_true(base_sums_are_sound(&sums));
		assert_int_equal(sums.sum, XXH3_64bits(file, FILE_BYTES));
		assert_int_equal(sums.bytes, FILE_BYTES);
		stream(NULL, FILE_BYTES, step, &sums, damaged);
		assert_true(base_sums_are_sound(&sums));
		assert_int_equal(sums.sum, XXH3_64bits(file, FILE_BYTES));
	}
}

static void a_flipped_bit_is_told_by_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < FILE_BYTES; i++) {
		struct base_sums sums;
		bool damaged[SEGMENTS];
		make();
		file[i] ^= 1;
		stream(&info, FILE_BYTES, 64, &sums, damaged);
		bool outside = true;
		for (size_t j = 0; j < SEGMENTS; j++) {
			const bool within = i >= segments[j].offset &&
					    i < segments[j].offset + segments[j].bytes;
			assert_int_equal(damaged[j], within);
			outside = outside && !within;
		}
		assert_int_equal(sums.outside_damaged, outside);
		assert_int_equal(sums.damaged, outside ? 0 : 1);
	}
}

static void a_file_of_another_size_is_damaged(void **state)
{
	(void)state;
	make();
	for (size_t len = 0; len < FILE_BYTES; len++) {
		struct base_sums sums;
		bool damaged[SEGMENTS];
		stream(&info, len, 64, &sums, damaged);
		assert_true(sums.outside_damaged);
		for (size_t j = 0; j < SEGMENTS; j++) {
			assert_int_equal(damaged[j], len < segments[j].offset + segments[j].bytes);
		}
	}
}

/* A record may be wrong, too: it is told, and nothing is read outside the file. */
static void segments_that_overlap_are_damaged(void **state)
{
	struct base_sums sums;
	bool damaged[SEGMENTS];
	(void)state;
	make();
	const struct base_segment_info before = segments[2];
	segments[2].offset = 20;
	segments[2].bytes = 10;
	stream(&info, FILE_BYTES, 64, &sums, damaged);
	assert_false(base_sums_are_sound(&sums));
	assert_true(damaged[2]);
	segments[2].bytes = UINT64_MAX - 30;
	stream(&info, FILE_BYTES, 64, &sums, damaged);
	assert_false(base_sums_are_sound(&sums));
	segments[2] = before;
}

static bool attempt(void *arg)
{
	struct base_stream *stream = NULL;
	(void)arg;
	const bool done = base_stream_open(&info, &stream) == STATUS_OK;
	base_stream_close(stream);
	return done;
}

static void refused_memory_is_an_error(void **state)
{
	(void)state;
	alloc_fail_each(attempt, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_file_is_sound_in_any_pieces),
		cmocka_unit_test(a_flipped_bit_is_told_by_its_place),
		cmocka_unit_test(a_file_of_another_size_is_damaged),
		cmocka_unit_test(segments_that_overlap_are_damaged),
		cmocka_unit_test(refused_memory_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
