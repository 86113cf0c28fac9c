/* memtable_room.h - memory for rows that are computed in place, before it is known whether they will be linked.
 *
 *     memtable_room_begin   of a batch of keys, each once
 *     memtable_room_get     gives each key memory for its next version, which the caller fills: time, tags and row
 *     memtable_room_link    links all that were got: nothing else was put meanwhile
 *     memtable_room_end     gives back what was not linked, so that a batch that is refused leaves nothing
 *
 * Threads: one writer at a time, which holds the store's apply lock from the first to the last.
 */
#ifndef DAEMON_STORE_MEMTABLE_MEMTABLE_ROOM_H
#define DAEMON_STORE_MEMTABLE_MEMTABLE_ROOM_H

#include "daemon/store/memtable/memtable.h"
#include "daemon/store/system/arena.h"

/* What one key gets. */
struct memtable_made {
	struct memtable_entry *entry;
	struct row_version *version; /* NULL: none */
	bool is_new;                 /* the entry; else the generation has it */
	bool is_reused;              /* the version had been superseded */
};

/* Zeroed it has nothing. */
struct memtable_room {
	struct memtable *memtable; /* borrowed */
	struct memtable_change change;
	struct generation *generation; /* borrowed, or owned while it is new */
	bool is_new;                   /* the memtable does not have it yet */
	bool is_linked;             /* or was tried to: what of it is there is the generation's */
	struct arena_mark mark;     /* of the generation, before */
	struct memtable_made *made; /* owned: of each key */
	uint32_t count;
};

/* Errors: NO_MEMORY. */
enum status memtable_room_begin(struct memtable_room *room, struct memtable *memtable,
	const struct memtable_change *change, uint32_t count);

/* Memory for the row of key i; NULL: there is none.
 *   entry  that memtable_find has told, since the room was begun; NULL: the key has none, and `key` is it */
struct row_version *memtable_room_get(struct memtable_room *room, uint32_t i,
	struct memtable_entry *entry, uint64_t hash, const uint8_t *key, size_t key_len);

/* Leaves key i out, which has got memory. */
void memtable_room_skip(struct memtable_room *room, uint32_t i);

/* *linked: how many. After an error the caller takes those back. Errors: NO_MEMORY. */
enum status memtable_room_link(struct memtable_room *room, uint32_t *linked);

void memtable_room_end(struct memtable_room *room);

#endif
