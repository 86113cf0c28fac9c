/* test_arena.c - pieces of an arena do not overlap, in small blocks and in huge ones, and are counted. */
#include "daemon/store/system/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { PIECES = 12000, PIECE_BYTES = 1000 };

/* 12 MB, in blocks that double up to 4 MiB. */
static void pieces_are_apart(void **state)
{
	(void)state;
	static uint8_t *pieces[PIECES];
	struct arena arena = {0};
	for (size_t i = 0; i < PIECES; i++) {
		pieces[i] = arena_get(&arena, PIECE_BYTES);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % 8, 0);
		memset(pieces[i], (int)(i % 251), PIECE_BYTES);
	}
	assert_true(arena.bytes >= (uint64_t)PIECES * PIECE_BYTES);
	assert_true(arena.bytes < (uint64_t)PIECES * PIECE_BYTES + (8 << 20));
	for (size_t i = 0; i < PIECES; i++) {
		for (size_t j = 0; j < PIECE_BYTES; j++) {
			assert_int_equal(pieces[i][j], i % 251);
		}
	}
	arena_fini(&arena);
	assert_int_equal(arena.bytes, 0);
	assert_null(arena.blocks);
}

/* A piece that is larger than a block has one of its own; the first is as small as it can be. */
static void a_large_piece_has_a_block_of_its_own(void **state)
{
	(void)state;
	enum { LARGE_BYTES = 5 << 20 };
	struct arena arena = {0};
	uint8_t *small = arena_get(&arena, 1);
	assert_non_null(small);
	assert_true(arena.bytes <= 16 << 10);
	*small = 1;
	uint8_t *large = arena_get(&arena, LARGE_BYTES);
	assert_non_null(large);
	memset(large, 2, LARGE_BYTES);
	assert_int_equal(*small, 1);
	assert_true(arena.bytes < LARGE_BYTES + (3 << 20));
	arena_fini(&arena);
	assert_int_equal(arena.bytes, 0);
}

/* What was given out since a mark is given out again, and whole blocks are freed; what was before stays. */
static void what_came_since_a_mark_is_taken_back(void **state)
{
	(void)state;
	struct arena arena = {0};
	const struct arena_mark empty = arena_mark(&arena);
	uint8_t *first = arena_get(&arena, PIECE_BYTES);
	assert_non_null(first);
	memset(first, 1, PIECE_BYTES);
	const struct arena_mark mark = arena_mark(&arena);
	const uint64_t bytes = arena.bytes;
	uint8_t *second = arena_get(&arena, PIECE_BYTES);
	for (size_t i = 0; i < PIECES; i++) {
		assert_non_null(arena_get(&arena, PIECE_BYTES));
	}
	arena_cut(&arena, &mark);
	assert_int_equal(arena.bytes, bytes);
	assert_ptr_equal(arena_get(&arena, PIECE_BYTES), second);
	for (size_t i = 0; i < PIECE_BYTES; i++) {
		assert_int_equal(first[i], 1);
	}
	arena_cut(&arena, &empty);
	assert_int_equal(arena.bytes, 0);
	assert_non_null(arena_get(&arena, 1));
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_apart),
		cmocka_unit_test(a_large_piece_has_a_block_of_its_own),
		cmocka_unit_test(what_came_since_a_mark_is_taken_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
