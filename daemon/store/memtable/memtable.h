/* memtable.h - the rows of one table that the log holds and the base files do not have yet.
 *
 * A memtable is one or two generations: `active` takes new versions, `frozen` is being merged
 * into base files by a merge and takes none. A generation is a hash from key to the newest
 * version of its row; versions are immutable, carry the sequence of their frame, and lead to the
 * one that they superseded. All of a generation's memory is freed at once, when its merge is done
 * and no reader can see it any more; so its size is bounded by what the log may hold.
 *
 *     reader: snapshot, then store_visible, then memtable_find, which loads `active` and then
 *             `frozen`. Of each row it uses the newest version that is not above `visible`.
 *     writer: links versions above `visible`; nobody sees them until it moves.
 *     merge:  memtable_freeze; once the base files that have all of `frozen` are in the current
 *             snapshot, and a grace period after that, memtable_take_frozen; another one later
 *             generation_free.
 *
 * Threads: one writer (who holds the store's apply lock) at a time; memtable_freeze is the
 * writer's; memtable_take_frozen the merge's. Readers: any, registered (grace.h), between
 * snapshot_begin and snapshot_end.
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

struct generation;

enum {
	/* Of slots that a key may be away from its home: far more than chance brings. Keys made to
	 * share bits of their hash are refused beyond, or they would cost everybody. */
	MEMTABLE_PROBE_MAX = 1024,
};

/* One version of a row. */
struct row_version {
	const struct row_version *older; /* that it superseded in its generation, or NULL */
	uint64_t sequence;
	int64_t time_ms;
	uint64_t tags;
	float scale;
	bool deleted;              /* a tombstone: it has no row */
	_Alignas(8) uint8_t row[]; /* in the table's dtype */
};

struct memtable_entry {
	_Atomic(const struct row_version *) newest; /* NULL: all were taken back */
	uint64_t hash;
	uint32_t key_len;
	uint8_t key[]; /* for u64 its 8 bytes */
};

/* What all memtables of a store hold together; a value of each may be a moment old. */
struct memtable_usage {
	_Atomic uint64_t rows;      /* keys, each counted once a generation */
	_Atomic uint64_t bytes;     /* memory */
	_Atomic uint64_t log_bytes; /* of the frames that their versions came in */
};

struct memtable {
	_Atomic(struct generation *) active; /* NULL: nothing was written since the last freeze */
	_Atomic(struct generation *) frozen; /* NULL: no merge has it */
	unsigned refs;                       /* tables that hold it; guarded by the admin lock */
};

/* NULL: no memory. */
struct memtable *memtable_new(void);
/* Frees it with the last reference; nobody reads it then. NULL is fine. */
void memtable_drop(struct memtable *memtable);

/* Whether there is nothing to look up. */
static inline bool memtable_is_empty(const struct memtable *memtable)
{
	return atomic_load_explicit(&memtable->active, memory_order_acquire) == NULL &&
	       atomic_load_explicit(&memtable->frozen, memory_order_acquire) == NULL;
}

/* Keys with versions that no merge has written into base files yet; of a moment. */
uint64_t memtable_rows(const struct memtable *memtable);

/* ---- readers ---- */

/* What is looked for: keys [first, first + count) of a batch,
 * at most FIND_BLOCK (find.h) of them. */
struct memtable_question {
	const struct keys *keys;
	const uint64_t *hashes; /* of keys [first, first + count) */
	uint64_t visible;       /* the newest sequence that may be seen */
	size_t row_bytes;
};

/* out: of each key the version to use, or NULL where the base decides. */
void memtable_find(const struct memtable *memtable, const struct memtable_question *question,
	uint32_t first, uint32_t count, const struct row_version **out);

/* A row of a memtable on a walk. */
struct memtable_row {
	const struct memtable_entry *entry;
	const struct row_version *version;
};

/* What a walk asks for: the rows with hashes in [from, behind), 0 standing for 2^64 behind. */
struct memtable_range {
	uint64_t from;
	uint64_t behind; /* in and out */
	size_t most;
	uint64_t visible;
};

/* Rows in no order. Zeroed, it is empty. */
struct memtable_rows {
	struct memtable_row *rows; /* owned: free() it */
	size_t count;
	size_t capacity;
};

/* Parts of a memtable, by the first bits of the hash. */
enum { MEMTABLE_PARTS = 1 << 10 };

/* Adds the rows of a part, tombstones too, each key once. Errors: NO_MEMORY. */
enum status memtable_gather(const struct memtable *memtable, uint32_t part, uint64_t visible,
	struct memtable_rows *out);

/* The version of a key that a reader of `visible` uses; NULL: the base decides. */
const struct row_version *memtable_get(const struct memtable *memtable, uint64_t visible,
	uint64_t hash, const uint8_t *key, size_t key_len);

/* The rows of a range in the order of (hash, key), each key once: of two generations the newer
 * version. When there are more than `most`, some more may come, and `behind` is lowered to behind
 * the last hash that is complete.
 *   out  malloc'ed; free() it
 * Errors: NO_MEMORY. */
enum status memtable_collect(const struct memtable *memtable, struct memtable_range *range,
	struct memtable_row **out, size_t *count);

/* ---- the writer ---- */

/* Loads what memtable_put will touch into the cache. */
void memtable_prefetch(const struct memtable *memtable, const uint64_t *hashes, uint32_t count);

/* The newest version of a key, visible or not; NULL: the base decides. */
static inline const struct row_version *memtable_newest(const struct memtable *memtable,
	uint64_t hash, const uint8_t *key, size_t key_len)
{
	return memtable_get(memtable, UINT64_MAX, hash, key, key_len);
}

struct memtable_change {
	const struct table_spec *spec;
	struct memtable_usage *usage; /* constant over the memtable's life */
	uint64_t sequence;
	size_t probe_max; /* MEMTABLE_PROBE_MAX, or SIZE_MAX for what is in the log already */
};

/* Links a version; row->data NULL: a tombstone. Errors: NO_MEMORY; TOO_LARGE  see probe_max. */
enum status memtable_put(struct memtable *memtable, const struct memtable_change *change,
	uint64_t hash, const struct frame_row *row);

/* Counts the bytes of a frame whose rows were put. */
void memtable_count_log(struct memtable *memtable, uint64_t bytes);

/* Takes a key's versions above `visible` back. */
void memtable_undo(struct memtable *memtable, uint64_t hash, const uint8_t *key, size_t key_len,
	uint64_t visible);

/* ---- the merge ---- */

/* Makes the active generation the frozen one, if there is an active and no frozen one. True if
 * there is a frozen one now.
 *   visible  nothing above it is there: what a failed group had linked was taken back, and its
 *            sequences will be others' */
bool memtable_freeze(struct memtable *memtable, uint64_t visible);

/* The sequence of the first version, or of one before it; 0 when there is none. */
uint64_t memtable_oldest(const struct memtable *memtable);

bool memtable_is_frozen(const struct memtable *memtable);
/* Up to where the frozen generation holds all that was written. */
uint64_t memtable_frozen_last(const struct memtable *memtable);

/* All rows of the frozen generation, in the order of (hash, key). out: malloc'ed; free() it.
 * Errors: NO_MEMORY. */
enum status memtable_collect_frozen(const struct memtable *memtable, struct memtable_row **out,
	size_t *count);

/* Takes the frozen generation out; nobody may begin to look for it before a grace period is over,
 * then generation_free may follow. */
struct generation *memtable_take_frozen(struct memtable *memtable);
void generation_free(struct generation *generation); /* NULL is fine */

#endif
