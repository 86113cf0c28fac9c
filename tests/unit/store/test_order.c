/* test_order.c - rows are sorted by hash, and equal ones stay in the order of their arrival. */
#include "daemon/store/row/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 3000 };

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The order of arrival is in `row` and `run`, so that qsort is stable too. */
static int by_hash_then_arrival(const void *a, const void *b)
{
	const struct order_entry *left = a;
	const struct order_entry *right = b;
	if (left->hash != right->hash) {
		return left->hash < right->hash ? -1 : 1;
	}
	return left->row < right->row ? -1 : left->row > right->row;
}

static void expect_sorted(const uint64_t *hashes, size_t count)
{
	struct order_entry *entries = calloc(count + 1, sizeof *entries);
	struct order_entry *scratch = calloc(count + 1, sizeof *scratch);
	struct order_entry *expected = calloc(count + 1, sizeof *expected);
	assert_non_null(entries);
	assert_non_null(scratch);
	assert_non_null(expected);
	for (size_t i = 0; i < count; i++) {
		entries[i] = (struct order_entry){.hash = hashes[i],
			.run = (uint32_t)(i % 5),
			.row = (uint32_t)i};
		expected[i] = entries[i];
	}
	const struct order_entry guard = {.hash = 7, .run = 7, .row = 7};
	entries[count] = guard;
	scratch[count] = guard;
	qsort(expected, count, sizeof *expected, by_hash_then_arrival);
	order_by_hash(entries, scratch, count);
	assert_memory_equal(entries, expected, count * sizeof *entries);
	assert_memory_equal(&entries[count], &guard, sizeof guard);
	assert_memory_equal(&scratch[count], &guard, sizeof guard);
	free(entries);
	free(scratch);
	free(expected);
}

static void every_count_is_sorted(void **state)
{
	(void)state;
	static uint64_t hashes[MOST];
	uint64_t random = 1;
	for (size_t i = 0; i < MOST; i++) {
		hashes[i] = next_random(&random);
	}
	for (size_t count = 0; count < 300; count++) {
		expect_sorted(hashes, count);
	}
	expect_sorted(hashes, MOST);
}

/* A byte that all hashes share is skipped: any subset of the eight bytes may differ. */
static void bytes_that_all_share_are_skipped(void **state)
{
	(void)state;
	uint64_t hashes[200];
	uint64_t random = 2;
	for (unsigned set = 0; set < 256; set++) {
		uint64_t mask = 0;
		for (unsigned byte = 0; byte < 8; byte++) {
			mask |= (set >> byte & 1) != 0 ? UINT64_C(0xff) << (byte * 8) : 0;
		}
		for (size_t i = 0; i < 200; i++) {
			hashes[i] = (next_random(&random) & mask) |
				    (UINT64_C(0x5a5a5a5a5a5a5a5a) & ~mask);
		}
		expect_sorted(hashes, 200);
	}
}

static void equal_hashes_keep_their_order(void **state)
{
	(void)state;
	static uint64_t hashes[MOST];
	uint64_t random = 3;
	for (unsigned kinds = 1; kinds < 20; kinds++) {
		for (size_t i = 0; i < MOST; i++) {
			hashes[i] = next_random(&random) % kinds * UINT64_C(0x0123456789abcdef);
		}
		expect_sorted(hashes, MOST);
	}
}

static void sorted_and_reversed_input_is_sorted(void **state)
{
	(void)state;
	static uint64_t hashes[MOST];
	for (size_t i = 0; i < MOST; i++) {
		hashes[i] = i * UINT64_C(0x0001000100010001);
	}
	expect_sorted(hashes, MOST);
	for (size_t i = 0; i < MOST; i++) {
		hashes[i] = UINT64_MAX - i;
	}
	expect_sorted(hashes, MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_count_is_sorted),
		cmocka_unit_test(bytes_that_all_share_are_skipped),
		cmocka_unit_test(equal_hashes_keep_their_order),
		cmocka_unit_test(sorted_and_reversed_input_is_sorted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
