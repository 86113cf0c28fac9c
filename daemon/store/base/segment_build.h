/* segment_build.h - lays a segment out and writes what is not given: header, directory, slots, checksums.
 *
 * segment_plan, segment_begin, the caller fills the columns, segment_end.
 *
 * Threads: any; a plan has one user.
 */
#ifndef DAEMON_STORE_BASE_SEGMENT_BUILD_H
#define DAEMON_STORE_BASE_SEGMENT_BUILD_H

#include "daemon/store/base/segment.h"

/* Sizes and places of the columns of a segment that is to be written. */
struct segment_plan {
	struct segment_identity identity;
	uint32_t homes;
	uint32_t slot_count;
	uint64_t blob_bytes;
	uint64_t bytes;
	uint64_t head_bytes; /* 0: it is no segment, and has no pages (a tensor) */
	uint32_t column_count;
	struct {
		uint32_t kind;
		uint32_t element_bytes;
		uint64_t offset;
		uint64_t bytes;
	} columns[SEGMENT_COLUMNS_MAX];
};

/* Whether hashes[rows] are in order and have the identity's prefix. They may come from a map, and a
 * page of it that could not be read gives zeros: ask before segment_plan, which relies on it. */
bool segment_hashes_fit(const struct segment_identity *identity, const uint64_t *hashes);

/* Plans a segment of identity.rows rows.
 *   hashes      of the rows, in ascending order
 *   blob_bytes  bytes of all keys together, for byte strings; else 0 */
void segment_plan(struct segment_plan *plan, const struct table_spec *spec,
	const struct segment_identity *identity, const uint64_t *hashes, uint64_t blob_bytes);

/* Where the columns of a planned segment are to be written. NULL: it has no such column. */
struct segment_space {
	struct segment_slot *slots;
	uint64_t *keys;
	uint32_t *key_offsets;
	uint8_t *key_blob;
	uint8_t *row_data;
	int64_t *times;
	uint64_t *tags;
	float *scales;
	uint8_t *lows;
	uint8_t *deleted;
};

/* Writes header, directory, padding and slots of a planned segment into `data` (plan->bytes,
 * aligned to 8). The caller fills the other columns, whose places are in `space`. */
void segment_begin(const struct segment_plan *plan, const uint64_t *hashes, uint8_t *data,
	struct segment_space *space);

/* Writes the checksums of the pages of a segment that is filled. */
void segment_end(const struct segment_plan *plan, uint8_t *data);

#endif
