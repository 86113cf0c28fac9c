/* arena.c - blocks that double in size, each filled from its start. */
#include "daemon/store/system/arena.h"

#include "daemon/store/system/arena_stock.h"
#include "daemon/store/system/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Small arenas stay small; large ones ask the system seldom, and their blocks are huge pages (memory_map_huge): what is
 * given out is read at random, and a miss of the TLB for each piece costs as much as one of the cache. */
enum {
	BLOCK_BYTES_MIN = 16 << 10,
	BLOCK_BYTES_MAX = ARENA_STOCK_BLOCK_BYTES,
	HUGE_BYTES = MEMORY_HUGE_BYTES
};

struct arena_block {
	struct arena_block *next;
	size_t used;
	size_t capacity;
	uint8_t data[];
};

static_assert(offsetof(struct arena_block, data) % 8 == 0, "what is given out is aligned to 8");

static size_t in_huge_pages(size_t bytes)
{
	return bytes < HUGE_BYTES ? bytes : (bytes + HUGE_BYTES - 1) & ~(size_t)(HUGE_BYTES - 1);
}

/* The size of the next block, with its head, which has to be `least` at least. */
static size_t next_bytes(const struct arena *arena, size_t least)
{
	const struct arena_block *last = arena->blocks;
	size_t next = last == NULL ? BLOCK_BYTES_MIN : (sizeof *last + last->capacity) * 2;
	next = next > BLOCK_BYTES_MAX ? BLOCK_BYTES_MAX : next;
	return in_huge_pages(next < least ? least : next);
}

static struct arena_block *get_block(size_t whole)
{
	return whole < HUGE_BYTES ? malloc(whole) : memory_map_huge(whole);
}

static void free_block(struct arena_block *block)
{
	const size_t whole = sizeof *block + block->capacity;
	if (whole < HUGE_BYTES) {
		free(block);
	} else {
		(void)munmap(block, whole);
	}
}

/* One of the stock for a block of huge pages that is no larger; it may be larger than what was wanted. */
static struct arena_block *take_ready(struct arena *arena, size_t *whole)
{
	if (arena->stock == NULL || *whole < HUGE_BYTES || *whole > ARENA_STOCK_BLOCK_BYTES) {
		return NULL;
	}
	struct arena_block *block = arena_stock_take(arena->stock);
	*whole = block == NULL ? *whole : ARENA_STOCK_BLOCK_BYTES;
	return block;
}

static struct arena_block *add_block(struct arena *arena, size_t bytes)
{
	const size_t least = sizeof(struct arena_block) + bytes;
	size_t whole = next_bytes(arena, least);
	struct arena_block *block = take_ready(arena, &whole);
	if (block == NULL) {
		block = get_block(whole);
	}
	/* Where memory is short, a smaller one may be had. */
	while (block == NULL && whole / 2 >= least && whole / 2 >= BLOCK_BYTES_MIN) {
		whole = in_huge_pages(whole / 2);
		block = get_block(whole);
	}
	if (block == NULL) {
		return NULL;
	}
	block->next = arena->blocks;
	block->used = 0;
	block->capacity = whole - sizeof *block;
	arena->blocks = block;
	arena->bytes += whole;
	return block;
}

void *arena_get(struct arena *arena, size_t bytes)
{
	bytes = (bytes + 7) & ~(size_t)7;
	struct arena_block *block = arena->blocks;
	if (block == NULL || block->capacity - block->used < bytes) {
		block = add_block(arena, bytes);
	}
	if (block == NULL) {
		return NULL;
	}
	void *at = block->data + block->used;
	block->used += bytes;
	assert(block->used <= block->capacity);
	return at;
}

/* Frees blocks down to one that stays. */
static void free_down_to(struct arena *arena, const struct arena_block *last)
{
	while (arena->blocks != last) {
		struct arena_block *next = arena->blocks->next;
		arena->bytes -= sizeof *arena->blocks + arena->blocks->capacity;
		free_block(arena->blocks);
		arena->blocks = next;
	}
}

struct arena_mark arena_mark(const struct arena *arena)
{
	return (struct arena_mark){
		.block = arena->blocks,
		.used = arena->blocks == NULL ? 0 : arena->blocks->used,
	};
}

void arena_cut(struct arena *arena, const struct arena_mark *mark)
{
	free_down_to(arena, mark->block);
	if (mark->block != NULL) {
		assert(mark->used <= mark->block->used);
		mark->block->used = mark->used;
	}
}

void arena_fini(struct arena *arena)
{
	free_down_to(arena, NULL);
	assert(arena->bytes == 0); /* what was added block by block */
}
