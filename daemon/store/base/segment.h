/* segment.h - the rows whose keys share one prefix of their hash: layout, check, build.
 *
 * A segment is one block of bytes, aligned to 64: a header, a column directory, then
 * columns, each aligned to 64 and read in place. Everything is little-endian.
 *
 *   offset  size  header
 *        0     8  magic "repstseg"
 *        8     4  version, 1
 *       12     4  columns, at most 16
 *       16     8  release number
 *       24     8  table number
 *       32     8  prefix: the smallest hash of the segment
 *       40     4  prefix bits, 0..20
 *       44     4  rows
 *       48     8  bytes of the whole segment
 *       56     4  homes: slots that a hash can point at
 *       60     4  zero
 *       64  32 x  column: kind u32, flags u32, offset u64, bytes u64, element bytes u32, zero u32
 *
 * Rows stand in the order of (hash, key). A key's home slot grows with its hash, and slots
 * are filled in that order by linear probing, so both are written front to back. A slot is
 * u32 row + 1 (0: empty) and u32 tag, the low half of the hash. The last slot is empty.
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
	SEGMENT_VERSION = 1,
	SEGMENT_ALIGN = 64,
	SEGMENT_HEADER_BYTES = 64,
	SEGMENT_COLUMN_BYTES = 32,
	SEGMENT_COLUMNS_MAX = 16,
	/* The directory of a table has two to this power entries at most (4 MiB): enough for 32 TiB
	 * in segments of 32 MiB, and a bound for keys that were made to share their hash. */
	SEGMENT_PREFIX_BITS_MAX = 20,
};

/* Numbers are on disk and never reused. A reader refuses a kind that it does not know,
 * unless the column is flagged optional. */
enum segment_column {
	COLUMN_SLOTS = 1,
	COLUMN_KEYS = 2,        /* u64[rows] */
	COLUMN_KEY_OFFSETS = 3, /* u32[rows + 1], into the blob */
	COLUMN_KEY_BLOB = 4,
	COLUMN_ROWS = 5,
	COLUMN_TIMES = 6, /* i64[rows], Unix ms */
	COLUMN_WEIGHTS = 7,
	COLUMN_TAGS = 8,   /* u64[rows] */
	COLUMN_SCALES = 9, /* f32[rows], i8 only */
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
};

/* Which segment it must be. */
struct segment_identity {
	uint64_t release;
	uint64_t table;
	uint64_t prefix;
	uint32_t prefix_bits;
	uint32_t rows;
};

/* Checks header and directory of `len` bytes at `data` (aligned to 64) and fills `out`.
 * Columns themselves are not read. Errors: CORRUPT; UNSUPPORTED  another version or a
 * column that this build does not know. */
enum status segment_open(const uint8_t *data, size_t len, const struct table_spec *spec,
	const struct segment_identity *identity, struct segment *out, struct error *err);

/* Where slot probing begins for a hash. */
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

/* The first row that can have a hash of at least `hash`: slots stand in the order of hashes, and no
 * key stands before its home. */
uint32_t segment_first_row(const struct segment *segment, uint64_t hash);

/* ---- build ---- */

/* Sizes and places of the columns of a segment to be. */
struct segment_plan {
	struct segment_identity identity;
	uint32_t homes;
	uint32_t slot_count;
	uint64_t blob_bytes;
	uint64_t bytes;
	uint32_t column_count;
	struct {
		uint32_t kind;
		uint32_t element_bytes;
		uint64_t offset;
		uint64_t bytes;
	} columns[SEGMENT_COLUMNS_MAX];
};

/* Plans a segment of identity.rows rows with these hashes, in order.
 *   blob_bytes  bytes of all keys together, for byte strings; else 0 */
void segment_plan(struct segment_plan *plan, const struct table_spec *spec,
	const struct segment_identity *identity, const uint64_t *hashes, uint64_t blob_bytes);

/* Where the columns of a planned segment go, for writing. */
struct segment_space {
	struct segment_slot *slots;
	uint64_t *keys;
	uint32_t *key_offsets;
	uint8_t *key_blob;
	uint8_t *row_data;
	int64_t *times;
	uint64_t *tags;
	float *scales;
};

/* Writes header, directory, padding and slots of a planned segment into `data` (plan->bytes,
 * aligned to 8) and says where the other columns go, which the caller fills. */
void segment_begin(const struct segment_plan *plan, const uint64_t *hashes, uint8_t *data,
	struct segment_space *space);

#endif
