/* lookup.h - a batch of keys in, a dense matrix of rows out.
 *
 * A block of keys is hashed and its slots are prefetched; then its keys and rows are prefetched; then
 * keys are compared and rows are gathered (or converted) straight into the caller's buffers. What
 * a fetch costs is cache and TLB misses, and in this order they overlap. What was written since the
 * last merge is looked up in the memtable first; an empty one costs nothing.
 *
 * Threads: any, between snapshot_begin and snapshot_end.
 */
#ifndef DAEMON_STORE_READ_LOOKUP_H
#define DAEMON_STORE_READ_LOOKUP_H

#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/system/stop.h"
#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

enum why {
	WHY_FOUND = 0,
	WHY_ABSENT = 1,
	WHY_EXPIRED = 2,
	WHY_TOO_OLD = 3,
	WHY_CORRUPT = 4,
	WHY_DEFAULTED = 5, /* absent, expired or too old, where `defaults` is set */
	WHY_COUNT
};

struct lookup {
	const struct table *table;
	struct keys keys;        /* of the table's key type */
	enum dtype dtype;        /* of the answer; dtype_convertible from the table's */
	uint64_t visible;        /* store_visible, of the snapshot that the table is of */
	int64_t now_ms;          /* for ttl and max age */
	bool has_max_age;        /* the next one counts; else rows of any age are found */
	uint64_t max_age_ms;     /* 0: no row of the past */
	bool raw;                /* of an aggregating table: the sums as they are stored */
	bool defaults;           /* rows that are not there are the table's default; else zeros */
	bool may_block;          /* false: STATUS_AGAIN instead of waiting for the disk */
	const struct stop *stop; /* borrowed; NULL: nothing stops it */
	/* Where the answer goes, at any alignment; each has room for keys.count. NULL: not wanted,
	 * which rows and found must not be. */
	uint8_t *rows;
	uint8_t *found; /* (count + 7) / 8 bytes, lowest bit first */
	uint8_t *scales;
	uint8_t *times;
	uint8_t *tags;
	uint8_t *weights; /* f32; of an aggregating table only */
	/* Of a table with a history only, which is N places a row: how many are taken, u32; and the
	 * times of all of them, i64[N] a row, 0 of empty ones. */
	uint8_t *history_counts;
	uint8_t *history_times;
	uint8_t *why; /* enum why, a byte each */
	/* out: how many keys of each kind */
	uint32_t counts[WHY_COUNT];
};

/* Errors: AGAIN (see may_block; the buffers hold no answer then); CORRUPT  a key's segment is
 * damaged, and `why` is NULL; TIMEOUT, CLOSED  as stop_check; NO_MEMORY. */
enum status table_lookup(struct lookup *lookup, struct error *err);

/* One step of a walk through a table in the order of (hash, key). */
struct scan {
	const struct table *table;
	uint64_t cursor;    /* hash to begin at; 0 at first */
	uint64_t behind;    /* hash to end before, above cursor; 0: 2^64, the end of the table */
	uint32_t limit;     /* it stops after so many rows, and the others of the last one's hash */
	uint64_t bytes_max; /* the same for bytes of keys and rows together */
	enum dtype dtype;
	bool raw;         /* as in struct lookup; the reply has weights then */
	uint64_t visible; /* as in struct lookup */
	int64_t now_ms;
	const struct stop *stop; /* borrowed; NULL: nothing stops it */
	/* out, malloc'ed by table_scan, freed by scan_fini */
	uint32_t count;
	uint8_t *keys; /* packed */
	size_t keys_len;
	uint8_t *rows;
	uint8_t *scales; /* NULL unless dtype is i8 */
	uint8_t *times;
	uint8_t *tags;           /* NULL unless the table has tags */
	uint8_t *weights;        /* f64; NULL unless raw and the table aggregates */
	uint8_t *history_counts; /* NULL unless the table has histories, as the next */
	uint8_t *history_times;
	bool more; /* cursor holds where the next step begins */
};

/* May block. Errors: CORRUPT, NO_MEMORY, TOO_LARGE; TIMEOUT, CLOSED  as stop_check. */
enum status table_scan(struct scan *scan, struct error *err);
void scan_fini(struct scan *scan);

#endif
