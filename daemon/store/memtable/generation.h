/* generation.h - the inside of a memtable: entries, and the buckets and slots that lead to them.
 *
 * The first bits of a key's hash name its bucket, so a walk through the buckets is a walk in the
 * order of hashes. Within a bucket the last bits of the hash name the home slot, and a walk (slots.h)
 * finds the next free one; so keys that come in the order of their hashes, as from a dump, spread
 * all the same. Where a walk jumps is told by the key's hash under the seed of the process, which
 * nobody knows, so keys of one hash spread too. No entry is ever taken out. A bucket that is half
 * full is replaced by one of twice the size. The old one stays until the generation is freed, since
 * a reader may be in it.
 *
 * Threads: as memtable.h says.
 */
#ifndef DAEMON_STORE_MEMTABLE_GENERATION_H
#define DAEMON_STORE_MEMTABLE_GENERATION_H

#include "daemon/store/memtable/memtable.h"
#include "daemon/store/system/arena.h"
#include "schema/slots.h"

#include <assert.h>

enum { GENERATION_BUCKET_BITS = 10, GENERATION_BUCKETS = 1 << GENERATION_BUCKET_BITS };
static_assert((int)GENERATION_BUCKETS == (int)MEMTABLE_BUCKETS, "one number, named twice");

/* The order of writing stands in parts of which each is twice as large as the one before, so that none
 * is ever moved. */
enum { GENERATION_PARTS = 32, GENERATION_PART_BITS = 6 };

struct memtable_slot {
	_Atomic uint64_t hash;
	_Atomic(struct memtable_entry *) entry; /* NULL: empty */
};

struct generation {
	/* Of each bucket the address of its slots, which is a multiple of 64, plus the binary
	 * logarithm of their number, so that a reader loads both at once; 0: no slots yet. */
	_Atomic uintptr_t buckets[GENERATION_BUCKETS];
	uint32_t counts[GENERATION_BUCKETS]; /* entries of each; the writer's */
	struct arena arena;
	struct memtable_usage *usage; /* borrowed */
	uint64_t number;              /* of all generations of the process, from 1 on */
	/* Of a table with an index: all versions, in the order in which they were written. */
	struct memtable_row *parts[GENERATION_PARTS];
	_Atomic uint64_t written;        /* places that are filled */
	_Atomic uint64_t rows;           /* entries */
	_Atomic uint64_t first_sequence; /* no version has a lower one */
	uint64_t last_sequence;          /* of the newest version */
	/* Versions that superseded others whose memory was not used again yet, in the order of their
	 * sequences: a list by `next`. The writer's. */
	struct row_version *superseding_first;
	struct row_version *superseding_last;
	/* Memory of versions that were not linked: a list by `next`. The writer's. */
	struct row_version *spare;
	bool keeps_log; /* some frames were not applied, and are in the log alone */
	uint64_t bytes; /* what it has added to the usage, as the next */
	uint64_t log_bytes;
	atomic_uint refs; /* the memtable's, and one a pin */
};

/* A bucket as it was when it was loaded. */
struct bucket {
	struct memtable_slot *slots; /* NULL: none */
	size_t mask;                 /* slots - 1 */
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
	return (struct bucket){(struct memtable_slot *)(word & ~(uintptr_t)63),
		((size_t)1 << (word & 63)) - 1};
}

/* Gives hash and entry of a slot; false: it is empty. */
static inline bool slot_read(const struct memtable_slot *slot, uint64_t *hash,
	struct memtable_entry **entry)
{
	*entry = atomic_load_explicit(&slot->entry, memory_order_acquire);
	if (*entry == NULL) {
		return false;
	}
	*hash = atomic_load_explicit(&slot->hash, memory_order_relaxed);
	return true;
}

static inline void bucket_jump(const struct bucket *bucket, struct slots_walk *walk,
	const uint8_t *key, size_t key_len)
{
	slots_jump(walk, siphash(key_seed_of_process(), key, key_len), bucket->mask);
}

/* Moves a walk for a key to the next slot. */
static inline void bucket_next(const struct bucket *bucket, struct slots_walk *walk,
	const uint8_t *key, size_t key_len)
{
	if (!slots_next(walk, bucket->mask)) {
		bucket_jump(bucket, walk, key, key_len);
	}
}

/* The entry of a key that its run of SLOTS_RUN slots does not have; NULL: it has none. */
struct memtable_entry *bucket_find_far(const struct bucket *bucket, uint64_t hash,
	const uint8_t *key, size_t key_len);

static inline const struct row_version *entry_newest(const struct memtable_entry *entry)
{
	return atomic_load_explicit(&entry->newest, memory_order_acquire);
}

/* The newest version that is not above `visible`; NULL: there is none. */
static inline const struct row_version *entry_version(const struct memtable_entry *entry,
	uint64_t visible)
{
	const struct row_version *version = entry_newest(entry);
	while (version != NULL && version->sequence > visible) {
		version = version->older;
	}
	return version;
}

/* Takes back what an entry has above `visible`. */
void generation_undo(struct generation *generation, struct memtable_entry *entry, uint64_t visible);

/* How many places of the order of writing are filled. */
static inline uint64_t generation_written(const struct generation *generation)
{
	return atomic_load_explicit(&generation->written, memory_order_acquire);
}

/* The part of the order that has a place; *first: the first place in it. */
static inline unsigned generation_part_of(uint64_t place, uint64_t *first)
{
	const uint64_t before = UINT64_C(1) << GENERATION_PART_BITS;
	const unsigned log2 = 63 - (unsigned)__builtin_clzll(place + before);
	assert(log2 - GENERATION_PART_BITS < GENERATION_PARTS);
	*first = (UINT64_C(1) << log2) - before;
	return log2 - GENERATION_PART_BITS;
}

/* A place of the order, which need not be filled, but its part is there. */
static inline struct memtable_row *generation_place(const struct generation *generation,
	uint64_t place)
{
	uint64_t first;
	const unsigned part = generation_part_of(place, &first);
	return &generation->parts[part][place - first];
}

/* An empty generation, whose first version will have `sequence`. NULL: no memory. */
struct generation *generation_new(struct memtable_usage *usage, uint64_t sequence);

/* Gives up a reference; the last one frees the memory. */
void generation_drop(struct generation *generation);

/* The entry of a key; NULL: it has none. */
struct memtable_entry *generation_find(const struct generation *generation, uint64_t hash,
	const uint8_t *key, size_t key_len);

/* Links a version (memtable_put). */
enum status generation_put(struct generation *generation, const struct memtable_change *change,
	uint64_t hash, const struct frame_row *row);

/* The steps of it, for who computes rows in place (memtable_room.h). An entry that no reader reaches yet, and
 * memory for a version with a row: any, or such as was used before, where there is some. NULL: no memory. */
struct memtable_entry *generation_get_entry(struct generation *generation, uint64_t hash,
	const uint8_t *key, size_t key_len);
struct row_version *generation_get_version(struct generation *generation, size_t row_bytes);
struct row_version *generation_reuse_version(struct generation *generation, size_t row_bytes);
/* Links it, under a new entry or one that is reached already. Errors: NO_MEMORY. */
enum status generation_link(struct generation *generation, const struct memtable_change *change,
	struct memtable_entry *entry, struct row_version *version, bool is_new);
/* Gives memory back: a version that was used before, and all that was got since the arena had this mark. */
void generation_spare(struct generation *generation, struct row_version *version);
void generation_cut(struct generation *generation, const struct arena_mark *mark);

#endif
