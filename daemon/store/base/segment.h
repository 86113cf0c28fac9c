/* segment.h - the rows whose keys share one prefix of their hash: layout and check.
 *
 * A segment is one block of bytes, aligned to 64: a header, a directory of columns, then the
 * columns, each aligned to 64 and read in place. schema/DISK.md, "Segments", has every byte.
 *
 * Each page of it has a checksum (segment_pages.h).
 *
 * Rows stand in the order of (hash, key). A key's home slot grows with its hash, and slots are
 * filled in that order by linear probing; so both are written from front to back. A slot has the
 * number of its row plus one (0: it is empty) and a tag, the low half of the hash. The last slot is
 * empty, so every probe ends.
 *
 * A segment is valid when its head and its pages have their checksums, and its header names the release,
 * table, prefix and rows that the catalog names. segment_open checks the header and the directory; the
 * checksums are base.h's.
 *
 * Threads: any; a checked segment is immutable.
 */
#ifndef DAEMON_STORE_BASE_SEGMENT_H
#define DAEMON_STORE_BASE_SEGMENT_H

#include "schema/key.h"
#include "schema/spec.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SEGMENT_VERSION = 3,
	SEGMENT_ALIGN = 64,
	SEGMENT_PAGE_BYTES = 4096,
	SEGMENT_LEAD_BYTES = 64, /* of a segment's first page, in front of the segment */
	SEGMENT_HEADER_BYTES = 64,
	SEGMENT_COLUMN_BYTES = 32,
	SEGMENT_COLUMNS_MAX = 16,
	/* The directory of a table has at most 2 to this power entries (4 MiB). This is enough for
	 * 32 TiB in segments of 32 MiB, and it is a bound when keys were made to share their
	 * hash. */
	SEGMENT_PREFIX_BITS_MAX = 20,
};

/* Numbers are on disk and never reused. A reader refuses a segment with a kind of column that it
 * does not know, unless the column is flagged optional. */
enum segment_column {
	COLUMN_SLOTS = 1,
	COLUMN_KEYS = 2,        /* u64[rows] */
	COLUMN_KEY_OFFSETS = 3, /* u32[rows + 1], into the blob */
	COLUMN_KEY_BLOB = 4,
	COLUMN_ROWS = 5,
	COLUMN_TIMES = 6, /* i64[rows], Unix ms */
	COLUMN_WEIGHTS = 7,
	COLUMN_TAGS = 8,     /* u64[rows] */
	COLUMN_SCALES = 9,   /* f32[rows], i8 only */
	COLUMN_LOWS = 10,    /* f32[rows][elements], the low parts of sums of f32x2 only */
	COLUMN_PAGES = 11,   /* u64[pages], the XXH3-64 of each; the first column */
	COLUMN_DELETED = 12, /* u8[rows], 1: a tombstone; of deltas that have one only */
};
enum { COLUMN_OPTIONAL = 1 };

struct segment_slot {
	uint32_t row_plus_one;
	uint32_t tag;
};

/* A view into the block; pointers are borrowed. */
struct segment {
	uint64_t prefix;
	uint32_t prefix_bits;
	uint32_t rows;
	uint32_t homes;
	uint32_t slot_count;
	size_t row_bytes;
	const struct segment_slot *slots;
	const uint64_t *keys;        /* NULL for byte strings */
	const uint32_t *key_offsets; /* NULL for u64 */
	const uint8_t *key_blob;
	uint64_t blob_bytes;
	const uint8_t *row_data;
	const int64_t *times;
	const uint64_t *tags; /* NULL: the table has none */
	const float *scales;  /* NULL unless i8 */
	const uint8_t *lows;  /* [rows] of spec_low_bytes; NULL: rows have no low parts */
	size_t low_bytes;
	const uint8_t *deleted; /* [rows], 1: a tombstone, which has no row; NULL: there is none */
	struct key_seed seed; /* of the hashes; behind the others, since a probe rarely needs it */
	uint64_t head_bytes;  /* they end with a page */
	uint32_t page_count;  /* with those of the head */
	const uint64_t *page_sums; /* [page_count], those of the head and of this column are 0 */
	const uint64_t *list_sums; /* of the pages of page_sums */
};

/* Which segment it must be, as the catalog says. */
struct segment_identity {
	uint64_t release;
	uint64_t table;
	struct key_seed seed; /* of the release */
	uint64_t prefix;
	uint32_t prefix_bits;
	uint32_t rows;
	uint32_t deleted; /* of a segment that is planned: so many of the rows are tombstones */
};

/* Checks header and directory of `len` bytes at `data` (aligned to 64) and fills `out`. The columns
 * are not read. Errors: CORRUPT; UNSUPPORTED  another version, or a column that this build does not
 * know. */
enum status segment_open(const uint8_t *data, size_t len, const struct table_spec *spec,
	const struct segment_identity *identity, struct segment *out, struct error *err);

/* The first hash behind those of a prefix; 0 stands for 2^64. */
static inline uint64_t segment_prefix_end(uint64_t prefix, uint32_t bits)
{
	return bits == 0 ? 0 : prefix + (UINT64_C(1) << (64 - bits));
}

/* The slot where the probe for a hash begins. */
static inline uint32_t segment_home(const struct segment *segment, uint64_t hash)
{
	const uint64_t rest = segment->prefix_bits == 0 ? hash : hash << segment->prefix_bits;
	return (uint32_t)(((rest >> 32) * segment->homes) >> 32);
}

/* The key of a row (for u64 its 8 bytes); false when the offsets are damaged. */
static inline bool segment_key(const struct segment *segment, uint32_t row, const uint8_t **key,
	size_t *len)
{
	if (segment->keys != NULL) {
		*key = (const uint8_t *)&segment->keys[row];
		*len = 8;
		return true;
	}
	const uint32_t from = segment->key_offsets[row];
	const uint32_t to = segment->key_offsets[row + 1];
	*key = segment->key_blob + from;
	*len = to - from;
	return from < to && to <= segment->blob_bytes && to - from <= LIMIT_KEY_BYTES;
}

/* A probe looks at so many slots, which is more than chance makes of most runs; then it goes on by
 * segment_seek. */
enum { SEGMENT_PROBE_SLOTS = 128 };

/* Whether a row is a tombstone: its key was deleted, and no older row of it counts. */
static inline bool segment_is_deleted(const struct segment *segment, uint32_t row)
{
	return segment->deleted != NULL && segment->deleted[row] != 0;
}

/* The low parts of a row's sums; NULL: it has none. */
static inline const uint8_t *segment_low(const struct segment *segment, uint32_t row)
{
	return segment->lows == NULL ? NULL : segment->lows + (size_t)row * segment->low_bytes;
}

/* Finds a key among the rows from `from` on by its hash, whatever its slot: rows stand in the order of
 * (hash, key). It hashes about twice as many keys as the logarithm of the rows that it passes.
 * False: it is not there. */
bool segment_seek(const struct segment *segment, uint32_t from, uint64_t hash, const uint8_t *key,
	size_t len, uint32_t *row);

/* The first row that has a hash of at least `hash`; segment->rows if none has. */
uint32_t segment_first_row(const struct segment *segment, uint64_t hash);

/* Whether there is a row of a key, of a segment that was checked. */
bool segment_has(const struct segment *segment, uint64_t hash, const uint8_t *key, size_t len);

#endif
