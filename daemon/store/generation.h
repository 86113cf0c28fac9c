/* generation.h - the inside of a memtable: entries and the index that leads to them.
 *
 * The index is open addressing over slots in the order of hashes: a key's home grows with its
 * hash, and it stands there or behind, with no empty slot in between. Nothing is ever taken out.
 * It is replaced by one of twice the size when half full; the outgrown ones stay until the
 * generation goes, since a reader may be in them.
 *
 * Threads: as memtable.h says.
 */
#ifndef DAEMON_STORE_GENERATION_H
#define DAEMON_STORE_GENERATION_H

#include "daemon/store/arena.h"
#include "daemon/store/memtable.h"

struct index_slot {
	_Atomic uint64_t hash;
	_Atomic(struct memtable_entry *) entry; /* NULL: empty */
};

struct index {
	struct index *outgrown; /* owned: the one before */
	size_t homes;
	size_t slot_count; /* homes, and room for all entries behind the last */
	struct index_slot slots[];
};

struct generation {
	_Atomic(struct index *) index; /* owned */
	struct arena arena;
	struct memtable_usage *usage;    /* borrowed */
	_Atomic uint64_t rows;           /* entries */
	_Atomic uint64_t first_sequence; /* of its first version */
	uint64_t last_sequence;
	uint64_t bytes; /* as counted in usage */
	uint64_t log_bytes;
};

static inline size_t index_home(const struct index *index, uint64_t hash)
{
	return (size_t)(((hash >> 32) * index->homes) >> 32);
}

/* Hash and entry of a slot; false: it is empty. */
static inline bool index_read(const struct index *index, size_t slot, uint64_t *hash,
	struct memtable_entry **entry)
{
	*entry = atomic_load_explicit(&index->slots[slot].entry, memory_order_acquire);
	if (*entry == NULL) {
		return false;
	}
	*hash = atomic_load_explicit(&index->slots[slot].hash, memory_order_relaxed);
	return true;
}

static inline const struct index *generation_index(const struct generation *generation)
{
	return atomic_load_explicit(&generation->index, memory_order_acquire);
}

/* The version that a reader of `visible` uses, or NULL. */
static inline const struct row_version *entry_version(const struct memtable_entry *entry,
	uint64_t visible)
{
	const struct row_version *version =
		atomic_load_explicit(&entry->newest, memory_order_acquire);
	while (version != NULL && version->sequence > visible) {
		version = version->older;
	}
	return version;
}

/* NULL: no memory. */
struct generation *generation_new(struct memtable_usage *usage, uint64_t sequence);

/* NULL: it has no such key. */
struct memtable_entry *generation_find(const struct generation *generation, uint64_t hash,
	const uint8_t *key, size_t key_len);

enum status generation_put(struct generation *generation, const struct memtable_change *change,
	uint64_t hash, const struct frame_row *row);

#endif
