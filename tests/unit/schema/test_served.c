/* test_served.c - heads and frames of files of served rows: each bit counts, and a cut is told. */
#include "schema/served.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { BODY_BYTES = 37, FRAME = SERVED_FRAME_BYTES + BODY_BYTES };

static void a_head_says_when_it_was_begun(void **state)
{
	(void)state;
	uint8_t head[SERVED_HEAD_BYTES];
	int64_t begun_ms = 0;
	served_write_head(head, INT64_C(1234567890123));
	assert_int_equal(served_read_head(head, sizeof head, &begun_ms), STATUS_OK);
	assert_int_equal(begun_ms, INT64_C(1234567890123));
	assert_int_equal(served_read_head(head, sizeof head - 1, &begun_ms), STATUS_CORRUPT);
	for (size_t bit = 0; bit < 8 * sizeof head; bit++) {
		head[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(served_read_head(head, sizeof head, &begun_ms), STATUS_CORRUPT);
		head[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void each_bit_of_a_frame_counts(void **state)
{
	(void)state;
	uint8_t frame[FRAME];
	size_t len = 0;
	memset(frame + SERVED_FRAME_BYTES, 7, BODY_BYTES);
	served_write_frame(frame, frame + SERVED_FRAME_BYTES, BODY_BYTES);
	assert_int_equal(served_read_frame(frame, sizeof frame, &len), STATUS_OK);
	assert_int_equal(len, BODY_BYTES);
	for (size_t bit = 0; bit < 8 * sizeof frame; bit++) {
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(served_read_frame(frame, sizeof frame, &len), STATUS_OK);
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t cut = 0; cut < sizeof frame; cut++) {
		assert_int_equal(served_read_frame(frame, cut, &len), STATUS_AGAIN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_says_when_it_was_begun),
		cmocka_unit_test(each_bit_of_a_frame_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
