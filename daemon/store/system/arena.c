/* arena.c - blocks that double in size, each filled from its start. */
#include "daemon/store/system/arena.h"

#include <assert.h>
#include <stdlib.h>

/* Small tables stay small; large ones ask the system seldom. With its head and that of malloc the
 * largest block is below 4 MiB: from there on the daemon's memory is in maps of their own, whose pages
 * the kernel zeroes for each block anew. */
enum { BLOCK_BYTES_MIN = 16 << 10, BLOCK_BYTES_MAX = (4 << 20) - (4 << 10) };

struct arena_block {
	struct arena_block *next;
	size_t used;
	size_t capacity;
	uint8_t data[];
};

static_assert(offsetof(struct arena_block, data) % 8 == 0, "what is given out is aligned to 8");

static struct arena_block *add_block(struct arena *arena, size_t bytes)
{
	size_t capacity = arena->blocks == NULL ? BLOCK_BYTES_MIN : arena->blocks->capacity * 2;
	capacity = capacity > BLOCK_BYTES_MAX ? BLOCK_BYTES_MAX : capacity;
	capacity = capacity < bytes ? bytes : capacity;
	struct arena_block *block = malloc(sizeof *block + capacity);
	if (block == NULL) {
		return NULL;
	}
	block->next = arena->blocks;
	block->used = 0;
	block->capacity = capacity;
	arena->blocks = block;
	arena->bytes += sizeof *block + capacity;
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

void arena_fini(struct arena *arena)
{
	while (arena->blocks != NULL) {
		struct arena_block *next = arena->blocks->next;
		arena->bytes -= sizeof *arena->blocks + arena->blocks->capacity;
		free(arena->blocks);
		arena->blocks = next;
	}
	assert(arena->bytes == 0); /* what was added block by block */
}
