/* generation.h - the inside of a memtable: entries and the index that leads to them.
 *
 * The index is a directory of buckets by the first bits of the hash, so that a walk in the order
 * of hashes is one through the buckets; within a bucket open addressing by the last bits, so that
 * keys which come in the order of their hashes, as from a dump, spread all the same. Nothing is
 * ever taken out. A bucket is replaced by one of twice the size when half full; the outgrown ones
 * stay until the generation goes, since a reader may be in them.
 *
 * Threads: as memtable.h says.
 */
#ifndef DAEMON_STORE_MEMTABLE_GENERATION_H
#define DAEMON_STORE_MEMTABLE_GENERATION_H

#include "daemon/store/memtable/memtable.h"
#include "daemon/store/system/arena.h"

#include <assert.h>

enum { GENERATION_BUCKET_BITS = 10, GENERATION_BUCKETS = 1 << GENERATION_BUCKET_BITS };
static_assert((int)GENERATION_BUCKETS == (int)MEMTABLE_PARTS, "a part is one bucket");

struct index_slot {
	_Atomic uint64_t hash;
	_Atomic(struct memtable_entry *) entry; /* NULL: empty */
};

struct generation {
	/* The address of each bucket's slots, a multiple of 64, plus the binary logarithm of their
	   number; 0: no slots yet. */
	_Atomic uintptr_t buckets[GENERATION_BUCKETS];
	uint32_t counts[GENERATION_BUCKETS]; /* entries of each; the writer's */
	struct arena arena;
	struct memtable_usage *usage;    /* borrowed */
	_Atomic uint64_t rows;           /* entries */
	_Atomic uint64_t first_sequence; /* of its first version */
	uint64_t last_sequence;
	uint64_t bytes; /* as counted in usage */
	uint64_t log_bytes;
};

/* A bucket as it is now. */
struct bucket {
	struct index_slot *slots; /* NULL: none */
	size_t mask;              /* slots - 1 */
};

static inline size_t generation_bucket_of(uint64_t hash)
{
	return (size_t)(hash >> (64 - GENERATION_BUCKET_BITS));
}

static inline struct bucket generation_bucket(const struct generation *generation, size_t number)
{
	const uintptr_t word =
		atomic_load_explicit(&generation->buckets[number], memory_order_acquire);
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): it is stored with the size in one word. */
	return (struct bucket){(struct index_slot *)(word & ~(uintptr_t)63),
		((size_t)1 << (word & 63)) - 1};
}

/* Hash and entry of a slot; false: it is empty. */
static inline bool index_read(const struct index_slot *slot, uint64_t *hash,
	struct memtable_entry **entry)
{
	*entry = atomic_load_explicit(&slot->entry, memory_order_acquire);
	if (*entry == NULL) {
		return false;
	}
	*hash = atomic_load_explicit(&slot->hash, memory_order_relaxed);
	return true;
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
