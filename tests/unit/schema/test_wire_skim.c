/* test_wire_skim.c - the end of a message is found however it is cut, and bombs are not. */
#include "schema/wire.h"

#include "schema/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One of every head that MessagePack has. */
static const uint8_t every_head[] = {
	0x9e,                                          /* an array of 14: */
	0x83, 0x00, 0xc0, 0xa1, 'k', 0xc2, 0xa0, 0xc3, /* a map of 3 */
	0x93, 0x7f, 0xe0, 0xff,                        /* small integers */
	0xc4, 0x02, 0xc1, 0xc1,                        /* bin 8, whose bytes are no heads */
	0xc5, 0x00, 0x01, 0xc1,                        /* bin 16 */
	0xc6, 0x00, 0x00, 0x00, 0x03, 1, 2, 3,         /* bin 32 */
	0x94, 0xc7, 0x00, 0x05, 0xc8, 0x00, 0x01, 0x05, 0xaa, 0xc9, 0x00, 0x00, 0x00, 0x02, 0x05,
	0xaa, 0xbb, 0x90,                                     /* ext 8, 16, 32; an empty array */
	0x92, 0xca, 1, 2, 3, 4, 0xcb, 1, 2, 3, 4, 5, 6, 7, 8, /* floats */
	0x94, 0xcc, 1, 0xcd, 1, 2, 0xce, 1, 2, 3, 4, 0xcf, 1, 2, 3, 4, 5, 6, 7, 8, /* uints */
	0x94, 0xd0, 1, 0xd1, 1, 2, 0xd2, 1, 2, 3, 4, 0xd3, 1, 2, 3, 4, 5, 6, 7, 8, /* ints */
	0x93, 0xd4, 5, 1, 0xd5, 5, 1, 2, 0xd6, 5, 1, 2, 3, 4, /* fixext 1, 2, 4 */
	0x92, 0xd7, 5, 1, 2, 3, 4, 5, 6, 7, 8, 0xd8, 5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
	14, 15, 16, /* fixext 8, 16 */
	0x93, 0xd9, 0x01, 'a', 0xda, 0x00, 0x02, 'a', 'b', 0xdb, 0x00, 0x00, 0x00, 0x00, /* strs */
	0x92, 0xdc, 0x00, 0x01, 0xc0, 0xdd, 0x00, 0x00, 0x00, 0x02, 0xc0, 0xc0, /* arrays */
	0x92, 0xde, 0x00, 0x01, 0x00, 0x80, 0xdf, 0x00, 0x00, 0x00, 0x01, 0x00, 0xdc, 0,
	0, /* maps */
};

static enum status skim_once(const void *data, size_t len, struct wire_skim *skim)
{
	*skim = (struct wire_skim){0};
	return wire_skim(skim, data, len);
}

static void a_whole_message_is_found_whole(void **state)
{
	(void)state;
	struct wire_skim skim;
	assert_int_equal(skim_once(every_head, sizeof every_head, &skim), STATUS_OK);
	assert_int_equal(skim.at, sizeof every_head);
	assert_int_equal(skim.need, sizeof every_head);
	assert_int_equal(skim.depth, 0);
}

static void every_prefix_asks_for_more(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof every_head; len++) {
		/* Of its own, so that a read past the end is seen. */
		uint8_t *prefix = malloc(len + 1);
		assert_non_null(prefix);
		memcpy(prefix + 1, every_head, len);
		struct wire_skim skim;
		assert_int_equal(skim_once(prefix + 1, len, &skim), STATUS_AGAIN);
		assert_true(skim.at <= len);
		assert_true(skim.need > len);
		assert_true(skim.need <= sizeof every_head);
		free(prefix);
	}
}

static void it_goes_on_from_every_cut(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < sizeof every_head; cut++) {
		for (size_t second = cut; second < sizeof every_head; second++) {
			struct wire_skim skim = {0};
			assert_int_equal(wire_skim(&skim, every_head, cut), STATUS_AGAIN);
			size_t at = skim.at;
			assert_int_equal(wire_skim(&skim, every_head, second), STATUS_AGAIN);
			assert_true(skim.at >= at);
			assert_int_equal(wire_skim(&skim, every_head, sizeof every_head),
				STATUS_OK);
			assert_int_equal(skim.at, sizeof every_head);
		}
	}
}

static void it_goes_on_byte_by_byte(void **state)
{
	(void)state;
	struct wire_skim skim = {0};
	size_t need = 0;
	for (size_t len = 0; len < sizeof every_head; len++) {
		assert_int_equal(wire_skim(&skim, every_head, len), STATUS_AGAIN);
		assert_true(skim.need >= need);
		need = skim.need;
	}
	assert_int_equal(wire_skim(&skim, every_head, sizeof every_head), STATUS_OK);
}

static void what_is_passed_is_not_read_again(void **state)
{
	(void)state;
	uint8_t data[sizeof every_head];
	struct wire_skim skim = {0};
	for (size_t len = 0; len < sizeof every_head; len++) {
		memcpy(data, every_head, sizeof data);
		memset(data, 0xc1, skim.at);
		assert_int_equal(wire_skim(&skim, data, len), STATUS_AGAIN);
	}
}

static void a_message_ends_where_the_next_begins(void **state)
{
	(void)state;
	static const uint8_t three[] = {0xc0, 0x91, 0x01, 0xc1};
	struct wire_skim skim;
	assert_int_equal(skim_once(three, sizeof three, &skim), STATUS_OK);
	assert_int_equal(skim.at, 1);
	assert_int_equal(skim_once(three + 1, sizeof three - 1, &skim), STATUS_OK);
	assert_int_equal(skim.at, 2);
	assert_int_equal(skim_once(three + 3, 1, &skim), STATUS_PROTOCOL);
}

static void the_byte_that_is_none_is_refused_wherever_a_value_begins(void **state)
{
	(void)state;
	static const uint8_t nested[] = {0x92, 0xc0, 0x81, 0xa1, 'k', 0xc1};
	struct wire_skim skim;
	assert_int_equal(skim_once(nested, sizeof nested, &skim), STATUS_PROTOCOL);
	assert_int_equal(skim_once(nested, sizeof nested - 1, &skim), STATUS_AGAIN);
	assert_int_equal(wire_skim(&skim, nested, sizeof nested), STATUS_PROTOCOL);
}

/* A head of five bytes, with a big-endian count. */
static void put_head(uint8_t *to, uint8_t first, uint32_t count)
{
	to[0] = first;
	for (int i = 0; i < 4; i++) {
		to[1 + i] = (uint8_t)(count >> (24 - 8 * i));
	}
}

static void five_bytes_that_claim_billions_are_too_large_at_once(void **state)
{
	(void)state;
	static const uint8_t firsts[] = {0xc6, 0xc9, 0xdb, 0xdd, 0xdf};
	for (size_t i = 0; i < sizeof firsts; i++) {
		uint8_t head[6] = {0x91};
		struct wire_skim skim;
		put_head(head + 1, firsts[i], UINT32_MAX);
		assert_int_equal(skim_once(head + 1, 4, &skim), STATUS_AGAIN);
		assert_int_equal(wire_skim(&skim, head + 1, 5), STATUS_TOO_LARGE);
		assert_int_equal(skim_once(head, 6, &skim), STATUS_TOO_LARGE);
		put_head(head + 1, firsts[i], 0x80000000u);
		assert_int_equal(skim_once(head + 1, 5, &skim), STATUS_TOO_LARGE);
	}
}

static void as_many_elements_as_allowed_pass(void **state)
{
	(void)state;
	size_t len = 5 + (size_t)LIMIT_MESSAGE_ELEMENTS;
	uint8_t *data = calloc(1, len);
	assert_non_null(data);
	struct wire_skim skim;
	/* The array is an element too. */
	put_head(data, 0xdd, LIMIT_MESSAGE_ELEMENTS - 1);
	assert_int_equal(skim_once(data, len, &skim), STATUS_OK);
	assert_int_equal(skim.at, len - 1);
	assert_int_equal(skim.elements, LIMIT_MESSAGE_ELEMENTS);
	put_head(data, 0xdd, LIMIT_MESSAGE_ELEMENTS);
	assert_int_equal(skim_once(data, 5, &skim), STATUS_TOO_LARGE);
	/* A map has two an entry. */
	put_head(data, 0xdf, LIMIT_MESSAGE_ELEMENTS / 2 - 1);
	assert_int_equal(skim_once(data, len, &skim), STATUS_OK);
	put_head(data, 0xdf, LIMIT_MESSAGE_ELEMENTS / 2);
	assert_int_equal(skim_once(data, 5, &skim), STATUS_TOO_LARGE);
	free(data);
}

static void elements_count_over_the_whole_message(void **state)
{
	(void)state;
	/* Two arrays whose sizes are fine, each; with the third value there is one too many. */
	size_t half = LIMIT_MESSAGE_ELEMENTS / 2;
	uint8_t *data = calloc(1, 1 + 5 + half + 5);
	assert_non_null(data);
	data[0] = 0x92;
	put_head(data + 1, 0xdd, (uint32_t)half);
	struct wire_skim skim;
	put_head(data + 6 + half, 0xdd, (uint32_t)half - 3);
	assert_int_equal(skim_once(data, 11 + half, &skim), STATUS_AGAIN);
	assert_int_equal(skim.elements, LIMIT_MESSAGE_ELEMENTS);
	assert_int_equal(skim.need, 11 + half + half - 3);
	put_head(data + 6 + half, 0xdd, (uint32_t)half - 2);
	assert_int_equal(skim_once(data, 11 + half, &skim), STATUS_TOO_LARGE);
	free(data);
}

static void as_many_bytes_as_allowed_pass(void **state)
{
	(void)state;
	uint8_t *data = calloc(1, (size_t)LIMIT_MESSAGE_BYTES + 2);
	assert_non_null(data);
	struct wire_skim skim;
	put_head(data, 0xc6, LIMIT_MESSAGE_BYTES - 5);
	assert_int_equal(skim_once(data, 5, &skim), STATUS_AGAIN);
	assert_int_equal(skim.need, LIMIT_MESSAGE_BYTES);
	assert_int_equal(wire_skim(&skim, data, LIMIT_MESSAGE_BYTES - 1), STATUS_AGAIN);
	assert_int_equal(wire_skim(&skim, data, LIMIT_MESSAGE_BYTES + 2), STATUS_OK);
	assert_int_equal(skim.at, LIMIT_MESSAGE_BYTES);
	put_head(data, 0xc6, LIMIT_MESSAGE_BYTES - 4);
	assert_int_equal(skim_once(data, 5, &skim), STATUS_TOO_LARGE);

	/* One byte too many as a value of its own, and before it comes. */
	data[0] = 0x92;
	put_head(data + 1, 0xc6, LIMIT_MESSAGE_BYTES - 6);
	assert_int_equal(skim_once(data, LIMIT_MESSAGE_BYTES - 1, &skim), STATUS_AGAIN);
	assert_int_equal(wire_skim(&skim, data, LIMIT_MESSAGE_BYTES), STATUS_TOO_LARGE);
	assert_int_equal(skim_once(data, LIMIT_MESSAGE_BYTES + 1, &skim), STATUS_TOO_LARGE);
	put_head(data + 1, 0xc6, LIMIT_MESSAGE_BYTES - 7);
	assert_int_equal(skim_once(data, LIMIT_MESSAGE_BYTES, &skim), STATUS_OK);
	data[LIMIT_MESSAGE_BYTES - 1] = 0xd9; /* a cut head, that does not fit */
	assert_int_equal(skim_once(data, LIMIT_MESSAGE_BYTES, &skim), STATUS_TOO_LARGE);
	free(data);
}

static void as_deep_as_allowed_passes(void **state)
{
	(void)state;
	static const uint8_t innermost[] = {0x90, 0x80, 0x91, 0x81};
	uint8_t data[LIMIT_MESSAGE_DEPTH + 3];
	struct wire_skim skim;
	for (size_t i = 0; i < sizeof innermost; i++) {
		memset(data, 0x91, sizeof data);
		data[LIMIT_MESSAGE_DEPTH - 1] = innermost[i];
		data[LIMIT_MESSAGE_DEPTH] = 0x00;
		data[LIMIT_MESSAGE_DEPTH + 1] = 0x00;
		size_t len = LIMIT_MESSAGE_DEPTH + (i < 2 ? 0 : i - 1);
		assert_int_equal(skim_once(data, len, &skim), STATUS_OK);
		assert_int_equal(skim.at, len);
		assert_int_equal(skim.depth, 0);
		data[LIMIT_MESSAGE_DEPTH - 1] = 0x91;
		data[LIMIT_MESSAGE_DEPTH] = innermost[i];
		assert_int_equal(skim_once(data, LIMIT_MESSAGE_DEPTH, &skim), STATUS_AGAIN);
		assert_int_equal(wire_skim(&skim, data, LIMIT_MESSAGE_DEPTH + 1), STATUS_TOO_LARGE);
	}
}

static void a_bomb_of_depth_is_refused_at_its_start(void **state)
{
	(void)state;
	enum { BOMB = 1 << 20 };
	static const uint8_t firsts[] = {0x91, 0x81, 0x92, 0x9f};
	uint8_t *data = malloc(BOMB);
	assert_non_null(data);
	for (size_t i = 0; i < sizeof firsts; i++) {
		memset(data, firsts[i], BOMB);
		struct wire_skim skim;
		assert_int_equal(skim_once(data, BOMB, &skim), STATUS_TOO_LARGE);
		assert_true(skim.at <= LIMIT_MESSAGE_DEPTH);
	}
	free(data);
}

static void containers_that_end_make_room_for_others(void **state)
{
	(void)state;
	/* [[[..[0]..]], [[..[0]..]]] : two towers side by side, each as high as allowed */
	enum { TOWER = LIMIT_MESSAGE_DEPTH };
	uint8_t data[1 + 2 * TOWER];
	memset(data, 0x91, sizeof data);
	data[0] = 0x92;
	data[TOWER] = 0x00;
	data[sizeof data - 1] = 0x00;
	struct wire_skim skim;
	assert_int_equal(skim_once(data, sizeof data, &skim), STATUS_OK);
	assert_int_equal(skim.at, sizeof data);
	assert_int_equal(skim.elements, sizeof data);
}

static void a_large_bin_costs_no_more_than_its_head(void **state)
{
	(void)state;
	/* The body is not even there: it is passed by arithmetic. */
	static const uint8_t head[] = {0x92, 0xc6, 0x00, 0x40, 0x00, 0x00};
	struct wire_skim skim = {0};
	assert_int_equal(wire_skim(&skim, head, sizeof head), STATUS_AGAIN);
	assert_int_equal(skim.at, 1);
	assert_int_equal(skim.need, sizeof head + 0x400000 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_message_is_found_whole),
		cmocka_unit_test(every_prefix_asks_for_more),
		cmocka_unit_test(it_goes_on_from_every_cut),
		cmocka_unit_test(it_goes_on_byte_by_byte),
		cmocka_unit_test(what_is_passed_is_not_read_again),
		cmocka_unit_test(a_message_ends_where_the_next_begins),
		cmocka_unit_test(the_byte_that_is_none_is_refused_wherever_a_value_begins),
		cmocka_unit_test(five_bytes_that_claim_billions_are_too_large_at_once),
		cmocka_unit_test(as_many_elements_as_allowed_pass),
		cmocka_unit_test(elements_count_over_the_whole_message),
		cmocka_unit_test(as_many_bytes_as_allowed_pass),
		cmocka_unit_test(as_deep_as_allowed_passes),
		cmocka_unit_test(a_bomb_of_depth_is_refused_at_its_start),
		cmocka_unit_test(containers_that_end_make_room_for_others),
		cmocka_unit_test(a_large_bin_costs_no_more_than_its_head),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
