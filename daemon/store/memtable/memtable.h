/* memtable.h - the rows of one table that the log holds and the base files do not have yet.
 *
 * A memtable has up to two generations: `active` takes new versions; `frozen` takes none and is
 * being merged into base files. A generation leads from a key to the newest version of its row.
 * Versions are immutable, have the sequence of their frame, and lead to the version that they
 * superseded. One that was superseded, and that no reader can see any more, is written over by the next
 * version of another row. All memory of a generation is freed at once, when its merge is done and no reader can see it
 * any more (but for that of a batch that was refused, memtable_room.h); so its size is bounded by what the log may hold.
 *
 *     reader  begins a snapshot, then takes store_visible, then calls memtable_find, which loads
 *             `active` and then `frozen`. Of each row it uses the newest version that is not above
 *             `visible`.
 *     writer  links versions above `visible`. Nobody sees them until `visible` moves.
 *     merge   calls memtable_freeze, and makes base files that have all of `frozen`. A grace period
 *             after these are in the current snapshot it calls memtable_take_frozen, and another
 *             grace period later generation_free.
 *
 * Threads: one writer at a time, which holds the store's apply lock; memtable_freeze is the
 * writer's too, memtable_take_frozen the merge's. Readers: any, within a snapshot.
 */
#ifndef DAEMON_STORE_MEMTABLE_MEMTABLE_H
#define DAEMON_STORE_MEMTABLE_MEMTABLE_H

#include "daemon/store/log/frame.h"
#include "schema/key.h"
#include "schema/spec.h"
#include "schema/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_stock;
struct generation;
struct written_images;

/* One version of a row. */
struct row_version {
	struct row_version *older; /* the one that it superseded in its generation, or NULL */
	struct row_version *next;  /* the one that superseded another next; the writer's */
	uint64_t sequence;
	int64_t time_ms;
	uint64_t tags;
	float scale;
	bool deleted;              /* a tombstone: it has no row */
	_Alignas(8) uint8_t row[]; /* in the table's dtype; low parts of sums behind it */
};

/* The low parts of a row's sums; NULL: it has none. */
static inline const uint8_t *row_version_low(const struct row_version *version,
	const struct table_spec *spec)
{
	return spec_low_behind(spec, version->row);
}

struct memtable_entry {
	_Atomic(struct row_version *) newest; /* NULL: all were taken back */
	uint64_t hash;
	uint32_t key_len;
	uint8_t key[]; /* for u64 its 8 bytes */
};

/* What all memtables of a store hold together. A reader may get values of different moments. */
struct memtable_usage {
	_Atomic uint64_t rows;         /* keys; one that is in two generations counts twice */
	_Atomic uint64_t bytes;        /* memory */
	_Atomic uint64_t log_bytes;    /* of the frames that their versions came in */
	_Atomic uint64_t pinned_bytes; /* merged and pinned; not in the others */
	/* No reader sees a moment before this sequence, but for those that have pinned what they see: what
	 * was superseded at it, or before, may be written over. */
	_Atomic uint64_t horizon;
	struct arena_stock *stock; /* borrowed: of their memory; NULL: there is none */
};

struct memtable {
	_Atomic(struct generation *) active; /* NULL: nothing was written since the last freeze */
	_Atomic(struct generation *) frozen; /* NULL: nothing waits for a merge */
	/* For searches: images of rows of either (index/written.h); NULL: there is none. The
	 * thread that makes them (imaging/imaging.h) alone changes it. */
	_Atomic(struct written_images *) images;
	_Atomic int64_t written_ms; /* clock of the newest write that it knows of; 0: none */
	unsigned refs;              /* tables that hold it; guarded by the admin lock */
};

/* NULL: no memory. */
struct memtable *memtable_new(void);
/* Gives up a reference; the last one frees it, and nobody reads it by then. NULL is fine. */
void memtable_drop(struct memtable *memtable);

/* Whether there is nothing to look up. */
static inline bool memtable_is_empty(const struct memtable *memtable)
{
	return atomic_load_explicit(&memtable->active, memory_order_acquire) == NULL &&
	       atomic_load_explicit(&memtable->frozen, memory_order_acquire) == NULL;
}

/* About how many keys have versions that no merge has written into base files yet. */
uint64_t memtable_rows(const struct memtable *memtable);

/* ---- readers ---- */

/* What is looked for: keys [first, first + count) of a batch, at most FIND_BLOCK (find.h). */
struct memtable_question {
	const struct keys *keys;
	const uint64_t *hashes; /* of keys [first, first + count) */
	uint64_t visible;       /* the newest sequence that may be seen */
	size_t row_bytes;
	/* For a writer: of each of these keys its entry in the active generation, or NULL. NULL: nobody asks. */
	struct memtable_entry **entries;
};

/* Looks up a block of keys.
 *   out  of each key the version to use, or NULL where the base files decide */
void memtable_find(const struct memtable *memtable, const struct memtable_question *question,
	uint32_t first, uint32_t count, const struct row_version **out);

/* Loads what memtable_get will look at into the cache, one after the other: slots, then entries, then versions. */
void memtable_prefetch_slot(const struct memtable *memtable, uint64_t hash);
void memtable_prefetch_entry(const struct memtable *memtable, uint64_t hash);
void memtable_prefetch_version(const struct memtable *memtable, uint64_t hash);

/* A row of a memtable on a walk. */
struct memtable_row {
	const struct memtable_entry *entry;
	const struct row_version *version;
};

/* What a walk asks for: the rows with hashes in [from, behind); a `behind` of 0 means 2^64. */
struct memtable_range {
	uint64_t from;
	uint64_t behind; /* in and out: lowered when there are more rows than `most` */
	size_t most;
	uint64_t visible;
};

/* Rows in no order. Zeroed, it is empty. */
struct memtable_rows {
	struct memtable_row *rows; /* owned: free() it */
	size_t count;
	size_t capacity;
};

enum { MEMTABLE_BUCKETS = 1 << 10 }; /* the first bits of a hash are the number of its bucket */

/* Adds the rows of a bucket to `out`, tombstones too, each key once. Errors: NO_MEMORY. */
enum status memtable_gather(const struct memtable *memtable, uint32_t bucket, uint64_t visible,
	struct memtable_rows *out);

/* The version of a key that a reader of `visible` uses; NULL: the base files decide. */
const struct row_version *memtable_get(const struct memtable *memtable, uint64_t visible,
	uint64_t hash, const uint8_t *key, size_t key_len);

/* Gives the rows of a range in the order of (hash, key), each key once; of two generations the
 * newer version counts. When there are more rows than `most`, the range is shortened: `behind` is
 * lowered to a hash below which all rows have come. There may still be a few more rows than `most`,
 * since rows that share a hash come together.
 *   out  the caller frees it
 * Errors: NO_MEMORY. */
enum status memtable_collect(const struct memtable *memtable, struct memtable_range *range,
	struct memtable_row **out, size_t *count);

/* ---- the writer ---- */

/* Loads what memtable_put will touch into the cache. */
void memtable_prefetch(const struct memtable *memtable, const uint64_t *hashes, uint32_t count);

/* The newest version of a key, visible or not; NULL: the base files decide. */
static inline const struct row_version *memtable_newest(const struct memtable *memtable,
	uint64_t hash, const uint8_t *key, size_t key_len)
{
	return memtable_get(memtable, UINT64_MAX, hash, key, key_len);
}

struct memtable_change {
	const struct table_spec *spec;
	struct memtable_usage *usage; /* constant over the memtable's life */
	uint64_t sequence;
};

/* Links a version; row->data NULL: a tombstone. Errors: NO_MEMORY. */
enum status memtable_put(struct memtable *memtable, const struct memtable_change *change,
	uint64_t hash, const struct frame_row *row);

/* Keeps the log from this frame on, as a version of it would: what the frame says of a row cannot be
 * told, since the row is in a damaged segment. Errors: NO_MEMORY. */
enum status memtable_keep_log(struct memtable *memtable, const struct memtable_change *change);

/* Counts the bytes of a frame whose rows were put; clock_ms: the frame's. */
void memtable_count_log(struct memtable *memtable, uint64_t bytes, int64_t clock_ms);

/* Takes back a key's versions that are above `visible`. */
void memtable_undo(struct memtable *memtable, uint64_t hash, const uint8_t *key, size_t key_len,
	uint64_t visible);

#endif
