/* reservoir.c - keeps a uniform sample of a stream. */
#include "tools/statistics/reservoir.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_FIRST = 256 };

void reservoir_init(struct reservoir *reservoir, size_t item_bytes, uint64_t capacity,
	uint64_t seed)
{
	assert(item_bytes > 0 && capacity > 0 && capacity <= SIZE_MAX / item_bytes);
	*reservoir = (struct reservoir){
		.item_bytes = item_bytes,
		.capacity = capacity,
		.state = seed,
	};
}

static uint64_t draw(struct reservoir *reservoir)
{
	reservoir->state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = reservoir->state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static enum status make_room(struct reservoir *reservoir)
{
	uint64_t room = reservoir->room > 0 ? reservoir->room * 2 : ROOM_FIRST;
	if (room > reservoir->capacity) {
		room = reservoir->capacity;
	}
	void *items = realloc(reservoir->items, (size_t)room * reservoir->item_bytes);
	if (items == NULL) {
		return STATUS_NO_MEMORY;
	}
	reservoir->items = items;
	reservoir->room = room;
	return STATUS_OK;
}

enum status reservoir_add(struct reservoir *reservoir, const void *item)
{
	uint64_t at = reservoir->seen;
	if (at >= reservoir->capacity) {
		/* The remainder prefers small numbers, but by less
		 * than one part in 2^64 / items. */
		at = draw(reservoir) % (reservoir->seen + 1);
	} else if (at == reservoir->room) {
		const enum status status = make_room(reservoir);
		if (status != STATUS_OK) {
			return status;
		}
	}
	if (at < reservoir->capacity) {
		memcpy((char *)reservoir->items + (size_t)at * reservoir->item_bytes, item,
			reservoir->item_bytes);
	}
	reservoir->seen++;
	if (reservoir->count < reservoir->capacity) {
		reservoir->count++;
	}
	assert(reservoir->count <= reservoir->room && reservoir->room <= reservoir->capacity);
	assert(reservoir->count == reservoir->seen || reservoir->count == reservoir->capacity);
	return STATUS_OK;
}

void reservoir_fini(struct reservoir *reservoir)
{
	free(reservoir->items);
	*reservoir = (struct reservoir){0};
}
