/* memtable_room.c - versions that are made first and linked later, or given back. */
#include "daemon/store/memtable/memtable_room.h"

#include "daemon/store/memtable/generation.h"
#include "daemon/store/memtable/memtable_merge.h"

#include <stdlib.h>

/* Entries are asked for so many keys before they are written to. */
enum { ENTRIES_AHEAD = 16 };

enum status memtable_room_begin(struct memtable_room *room, struct memtable *memtable,
	const struct memtable_change *change, uint32_t count)
{
	*room = (struct memtable_room){
		.memtable = memtable,
		.change = *change,
		.count = count,
		.made = calloc((size_t)count + 1, sizeof *room->made),
		.generation = atomic_load_explicit(&memtable->active, memory_order_acquire),
	};
	if (room->made == NULL) {
		return STATUS_NO_MEMORY;
	}
	if (room->generation == NULL) {
		room->generation = generation_new(change->usage, change->sequence);
		room->is_new = true;
	}
	if (room->generation == NULL) {
		return STATUS_NO_MEMORY;
	}
	room->mark = arena_mark(&room->generation->arena);
	return STATUS_OK;
}

struct row_version *memtable_room_get(struct memtable_room *room, uint32_t i,
	struct memtable_entry *entry, uint64_t hash, const uint8_t *key, size_t key_len)
{
	struct generation *generation = room->generation;
	struct memtable_made *made = &room->made[i];
	const size_t row_bytes = spec_stored_bytes(room->change.spec);
	assert(i < room->count);
	assert(made->version == NULL);
	*made = (struct memtable_made){.entry = entry, .is_new = entry == NULL};
	if (entry == NULL) {
		made->entry = generation_get_entry(generation, hash, key, key_len);
	} else {
		made->version = generation_reuse_version(generation, row_bytes);
		made->is_reused = made->version != NULL;
	}
	/* It stands right behind a new entry, so that one cache miss fetches both. */
	if (made->version == NULL && made->entry != NULL) {
		made->version = generation_get_version(generation, row_bytes);
	}
	if (made->version != NULL) {
		made->version->scale = 0;
		made->version->deleted = false;
	}
	return made->version;
}

/* Makes memory that had been superseded be used again by others. */
static void spare(struct memtable_room *room, struct memtable_made *made)
{
	if (made->is_reused) {
		generation_spare(room->generation, made->version);
	}
	*made = (struct memtable_made){0};
}

void memtable_room_skip(struct memtable_room *room, uint32_t i)
{
	spare(room, &room->made[i]);
}

static void prefetch(const struct memtable_room *room, uint32_t i)
{
	if (i >= room->count || room->made[i].version == NULL) {
		return;
	}
	const struct memtable_made *made = &room->made[i];
	__builtin_prefetch(made->version, 1);
	__builtin_prefetch(made->entry, 1);
	if (made->is_new) {
		memtable_prefetch_slot(room->memtable, made->entry->hash);
	}
}

enum status memtable_room_link(struct memtable_room *room, uint32_t *linked)
{
	*linked = 0;
	room->is_linked = true;
	for (uint32_t i = 0; i < room->count; i++) {
		struct memtable_made *made = &room->made[i];
		prefetch(room, i + ENTRIES_AHEAD);
		if (made->version == NULL) {
			continue;
		}
		const enum status status = generation_link(room->generation, &room->change,
			made->entry, made->version, made->is_new);
		if (status != STATUS_OK) {
			return status;
		}
		if (room->is_new) {
			atomic_store_explicit(&room->memtable->active, room->generation,
				memory_order_release);
			room->is_new = false;
		}
		++*linked;
	}
	return STATUS_OK;
}

void memtable_room_end(struct memtable_room *room)
{
	if (room->is_new) {
		generation_free(room->generation);
	} else if (room->generation != NULL && room->made != NULL && !room->is_linked) {
		for (uint32_t i = 0; i < room->count; i++) {
			spare(room, &room->made[i]);
		}
		generation_cut(room->generation, &room->mark);
	}
	free(room->made);
	*room = (struct memtable_room){0};
}
