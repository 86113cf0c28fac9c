/* frame.h - one frame of the log: what one request has changed, in one table or in several.
 *
 *   offset  size  head
 *        0     4  magic "rfrm"
 *        4     4  bytes of the whole frame, a multiple of 8
 *        8     2  version, 1
 *       10     2  parts, at least 1
 *       12     4  0
 *       16     8  sequence: grows by one a frame
 *       24     8  first: the smallest sequence that was not known to be on the disk when this
 *                 frame was written; so all frames of one group, and of groups that were not
 *                 synced in between, have the same
 *       32     8  release number
 *       40     8  the request's clock, Unix ms
 *       48     8  checksum, in two steps: XXH3-64 of this head with these eight bytes zero, whose
 *                 seed is the file's salt; then XXH3-64 of all behind the head, whose seed is the
 *                 first. So nobody can put bytes into a row that pass for a frame
 *       56        parts, one after the other
 *
 *   a part:
 *        0     2  kind (enum frame_kind)
 *        2     2  0
 *        4     4  rows
 *        8     8  table number
 *       16     8  bytes of the part, a multiple of 8
 *       24        rows one after the other, then zeros up to a multiple of 8
 *
 *   a row of FRAME_PUT     key (u64; or a length byte and the bytes), i64 time, u64 tags if the
 *                          table has them, f32 scale if it is i8, the row in the table's dtype
 *   a row of FRAME_DELETE  key
 *   FRAME_POSITION         how far a source of samples is counted with this frame (positions.h): of
 *                          table 0, one row: layer and source, a length byte and the bytes each,
 *                          u64 next, u8 whether it was counted before, and u64 up to where
 *
 * A frame is there whole or not at all, so a request is. It holds what was applied, not what was
 * asked: rows that were refused or skipped are not in it, times are filled in. So a replay decides
 * nothing. Numbers are little-endian.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_LOG_FRAME_H
#define DAEMON_STORE_LOG_FRAME_H

#include "daemon/store/log/positions.h"
#include "schema/limits.h"
#include "schema/spec.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FRAME_VERSION = 1,
	FRAME_HEAD_BYTES = 56,
	FRAME_PART_BYTES = 24,
	FRAME_ALIGN = 8,
	FRAME_BYTES_MIN = FRAME_HEAD_BYTES + FRAME_PART_BYTES,
	FRAME_PARTS_MAX = LIMIT_PARTS + 1, /* of what this build writes: a position comes on top */
};

/* Numbers are on disk and never reused. */
enum frame_kind { FRAME_PUT = 1, FRAME_DELETE = 2, FRAME_POSITION = 3 };

struct frame_head {
	uint32_t bytes;
	uint16_t parts;
	uint64_t sequence;
	uint64_t first;
	uint64_t release;
	int64_t clock_ms;
};

struct frame_part {
	enum frame_kind kind;
	uint32_t rows;
	uint64_t table;
	const uint8_t *data; /* its rows; borrowed */
	size_t bytes;        /* of the rows, with their padding */
};

/* A row in a frame, or on its way there; pointers are borrowed. */
struct frame_row {
	const uint8_t *key; /* for u64 its 8 bytes, any alignment */
	size_t key_len;
	int64_t time_ms;
	uint64_t tags;
	float scale;
	const uint8_t *data; /* NULL in a FRAME_DELETE */
};

/* ---- write: the head's room, then each part's head's room and its rows, frame_end_part ---- */

/* The most that a part with `count` rows takes, whose keys have `key_bytes` together. */
size_t frame_part_bytes_max(const struct table_spec *spec, enum frame_kind kind, size_t count,
	size_t key_bytes);

/* Writes one row at `at`, where there is room, and returns where the next one goes. */
uint8_t *frame_put_row(uint8_t *at, const struct table_spec *spec, enum frame_kind kind,
	const struct frame_row *row);

/* A source's position: what it becomes, and what it was. */
struct frame_position {
	struct source_position to;
	uint64_t before; /* as `to.next` */
	bool is_first;   /* there was none, and `before` says nothing */
};

enum {
	FRAME_POSITION_BYTES_MAX = FRAME_PART_BYTES + 2 * (1 + LIMIT_NAME_BYTES) + 17 + FRAME_ALIGN
};

/* Writes a whole part, and returns where the next one goes. */
uint8_t *frame_put_position(uint8_t *at, const struct frame_position *position);

/* Ends a part that begins at `at` and whose rows reach up to `end`: pads it, writes its head, and
 * returns where the next one goes. Of `part` kind, rows and table are read. */
uint8_t *frame_end_part(uint8_t *at, uint8_t *end, const struct frame_part *part);

/* Ends a frame whose parts reach up to `end`: writes the head but for `first` and the checksum, and
 * sets head->bytes. */
void frame_end(uint8_t *data, const uint8_t *end, struct frame_head *head);

/* Writes `first` and the checksum: the frame is whole. */
void frame_seal(uint8_t *data, uint64_t first, uint64_t salt);

/* ---- read ---- */

/* Reads a head from at most `len` bytes and compares the frame with its checksum.
 * Errors: CORRUPT; UNSUPPORTED  the checksum is good, but the version, the kind of a part or its
 * form is none of this build's. */
enum status frame_check(const uint8_t *data, size_t len, uint64_t salt, struct frame_head *out);

/* Whether this may be a frame that this build has written, at a glance: all but the checksum. */
bool frame_may_be(const uint8_t *data, size_t len, struct frame_head *out);

/* Walks the parts of a checked frame, or of one that was ended: *at is 0 first. */
bool frame_next_part(const uint8_t *data, const struct frame_head *head, size_t *at,
	struct frame_part *out);

/* Reads a FRAME_POSITION. Errors: CORRUPT. */
enum status frame_read_position(const struct frame_part *part, struct frame_position *out);

/* What a part takes of the log; the first of a frame also counts its head. */
static inline uint64_t frame_part_log_bytes(const struct frame_part *part, bool is_first)
{
	return FRAME_PART_BYTES + part->bytes + (is_first ? FRAME_HEAD_BYTES : 0);
}

/* The hash of a row's key. */
uint64_t frame_row_hash(const struct table_spec *spec, const struct frame_row *row);

/* Walks the rows of a part. */
struct frame_walk {
	const struct table_spec *spec; /* borrowed */
	enum frame_kind kind;
	const uint8_t *at;
	const uint8_t *end;
	uint32_t left;
};

void frame_walk_begin(struct frame_walk *walk, const struct frame_part *part,
	const struct table_spec *spec);

/* The next row; false behind the last, or where the rows do not fit the table: then walk->left is
 * not 0. */
bool frame_walk_next(struct frame_walk *walk, struct frame_row *out);

#endif
