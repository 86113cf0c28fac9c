/* test_arena.c - pieces of an arena do not overlap, in small blocks and in huge ones, and are counted; what a stock has is
 * used. */
#include "daemon/store/system/arena.h"
#include "daemon/store/system/arena_stock.h"

#include <pthread.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/wait.h"

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

/* ---- a stock ---- */

static bool is_in_memory(uint8_t *block)
{
	static unsigned char pages[ARENA_STOCK_BLOCK_BYTES / 4096];
	assert_int_equal(sysconf(_SC_PAGESIZE), 4096);
	assert_int_equal(mincore(block, ARENA_STOCK_BLOCK_BYTES, pages), 0);
	for (size_t i = 0; i < sizeof pages; i++) {
		if ((pages[i] & 1) == 0) {
			return false;
		}
	}
	return true;
}

static void await_full(struct arena_stock *stock)
{
	struct wait wait = {0};
	for (size_t i = 0; i < ARENA_STOCK_BLOCKS; i++) {
		while (atomic_load(&stock->blocks[i]) == NULL) {
			wait_a_moment(&wait);
		}
	}
}

/* Nothing is made ready before a first block was asked for, and then all of its pages have been touched. */
static void a_stock_makes_blocks_ready_once_one_was_asked_for(void **state)
{
	(void)state;
	struct arena_stock stock;
	pthread_t thread;
	arena_stock_init(&stock);
	assert_int_equal(pthread_create(&thread, NULL, arena_stock_serve, &stock), 0);
	assert_null(arena_stock_take(&stock));
	await_full(&stock);
	for (unsigned i = 0; i < 5; i++) {
		uint8_t *block = arena_stock_take(&stock);
		assert_non_null(block);
		assert_true(is_in_memory(block));
		assert_int_equal(munmap(block, ARENA_STOCK_BLOCK_BYTES), 0);
		await_full(&stock);
	}
	arena_stock_stop(&stock);
	assert_int_equal(pthread_join(thread, NULL), 0);
	arena_stock_fini(&stock);
}

/* Small arenas never ask for one, and a block of a stock is given out like any other. */
static void an_arena_takes_its_large_blocks_from_a_stock(void **state)
{
	(void)state;
	struct arena_stock stock;
	pthread_t thread;
	arena_stock_init(&stock);
	struct arena arena = {.stock = &stock};
	assert_int_equal(pthread_create(&thread, NULL, arena_stock_serve, &stock), 0);
	assert_null(arena_stock_take(&stock));
	await_full(&stock);
	void *ready[ARENA_STOCK_BLOCKS];
	for (size_t i = 0; i < ARENA_STOCK_BLOCKS; i++) {
		ready[i] = atomic_load(&stock.blocks[i]);
	}
	arena_stock_stop(&stock);
	assert_int_equal(pthread_join(thread, NULL), 0);
	unsigned taken = 0;
	for (size_t i = 0; i < PIECES; i++) {
		uint8_t *piece = arena_get(&arena, PIECE_BYTES);
		assert_non_null(piece);
		memset(piece, (int)(i % 251), PIECE_BYTES);
		for (size_t j = 0; j < ARENA_STOCK_BLOCKS; j++) {
			/* The first piece of a block stands behind the head of the block. */
			taken +=
				piece - (uint8_t *)ready[j] > 0 && piece - (uint8_t *)ready[j] < 64;
		}
	}
	assert_int_equal(taken, ARENA_STOCK_BLOCKS);
	for (size_t i = 0; i < ARENA_STOCK_BLOCKS; i++) {
		assert_null(atomic_load(&stock.blocks[i]));
	}
	assert_true(arena.bytes >= (uint64_t)PIECES * PIECE_BYTES);
	assert_true(arena.bytes < (uint64_t)PIECES * PIECE_BYTES + (8 << 20));
	arena_fini(&arena);
	assert_int_equal(arena.bytes, 0);
	arena_stock_fini(&stock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_apart),
		cmocka_unit_test(a_large_piece_has_a_block_of_its_own),
		cmocka_unit_test(what_came_since_a_mark_is_taken_back),
		cmocka_unit_test(a_stock_makes_blocks_ready_once_one_was_asked_for),
		cmocka_unit_test(an_arena_takes_its_large_blocks_from_a_stock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
