/* arena_stock.c - maps blocks and touches their pages, behind those who take them. */
#include "daemon/store/system/arena_stock.h"

#include "daemon/store/system/memory.h"

#include <stdint.h>
#include <sys/mman.h>

enum { TOUCH_BYTES = 4096 }; /* the smallest page: a system without huge ones gives small ones */

void arena_stock_init(struct arena_stock *stock)
{
	for (size_t i = 0; i < ARENA_STOCK_BLOCKS; i++) {
		atomic_init(&stock->blocks[i], NULL);
	}
	atomic_init(&stock->stop, false);
	bell_init(&stock->wanted);
}

void arena_stock_fini(struct arena_stock *stock)
{
	for (size_t i = 0; i < ARENA_STOCK_BLOCKS; i++) {
		void *block = atomic_load(&stock->blocks[i]);
		if (block != NULL) {
			(void)munmap(block, ARENA_STOCK_BLOCK_BYTES);
		}
	}
	bell_fini(&stock->wanted);
}

void *arena_stock_take(struct arena_stock *stock)
{
	void *block = NULL;
	for (size_t i = 0; i < ARENA_STOCK_BLOCKS && block == NULL; i++) {
		block = atomic_exchange(&stock->blocks[i], NULL);
	}
	bell_ring(&stock->wanted);
	return block;
}

static void *make_ready(void)
{
	volatile uint8_t *block = memory_map_huge(ARENA_STOCK_BLOCK_BYTES);
	for (size_t at = 0; block != NULL && at < ARENA_STOCK_BLOCK_BYTES; at += TOUCH_BYTES) {
		block[at] = 0;
	}
	return (void *)block;
}

/* This thread alone fills a place, so one that is empty stays so. */
static void fill(struct arena_stock *stock)
{
	for (size_t i = 0; i < ARENA_STOCK_BLOCKS && !atomic_load(&stock->stop); i++) {
		if (atomic_load(&stock->blocks[i]) == NULL) {
			atomic_store(&stock->blocks[i], make_ready());
		}
	}
}

void *arena_stock_serve(void *arg)
{
	struct arena_stock *stock = arg;
	for (;;) {
		bell_wait(&stock->wanted, CONDITION_NEVER);
		if (atomic_load(&stock->stop)) {
			return NULL;
		}
		fill(stock);
	}
}

void arena_stock_stop(struct arena_stock *stock)
{
	atomic_store(&stock->stop, true);
	bell_ring(&stock->wanted);
}
