/* frame.h - one frame of the log: what one request has changed in one table.
 *
 *   offset  size  head
 *        0     4  magic "rfrm"
 *        4     4  bytes of the whole frame, a multiple of 8
 *        8     2  kind (enum frame_kind)
 *       10     2  version, 1
 *       12     4  rows
 *       16     8  sequence: grows by one a frame
 *       24     8  first: the smallest sequence that was not known to be on the disk when this
 *                 frame was written; so all frames of one group, and of groups that were not
 *                 synced in between, have the same
 *       32     8  release number
 *       40     8  table number
 *       48     8  the request's clock, Unix ms
 *       56     8  XXH3-64 of the frame with these eight bytes zero, seeded with the file's salt: so
 *                 nobody can put bytes into a row that pass for a frame
 *       64        rows one after the other, then zeros up to a multiple of 8
 *
 *   a row of FRAME_PUT     key (u64; or a length byte and the bytes), i64 time, u64 tags if the
 * table has them, f32 scale if it is i8, the row in the table's dtype a row of FRAME_DELETE  key
 *
 * A frame holds what was applied, not what was asked: rows that were refused or skipped are not
 * in it, times are filled in. So a replay decides nothing. Numbers are little-endian.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_FRAME_H
#define DAEMON_STORE_FRAME_H

#include "schema/spec.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_VERSION = 1, FRAME_HEAD_BYTES = 64, FRAME_ALIGN = 8 };

/* Numbers are on disk and never reused. */
enum frame_kind { FRAME_PUT = 1, FRAME_DELETE = 2 };

struct frame_head {
	enum frame_kind kind;
	uint32_t bytes;
	uint32_t rows;
	uint64_t sequence;
	uint64_t first;
	uint64_t release;
	uint64_t table;
	int64_t clock_ms;
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

/* The most that `count` rows take, whose keys have `key_bytes` together. */
size_t frame_bytes_max(const struct table_spec *spec, enum frame_kind kind, size_t count,
	size_t key_bytes);

/* Writes one row at `at`, where there is room, and returns where the next one goes. */
uint8_t *frame_put_row(uint8_t *at, const struct table_spec *spec, enum frame_kind kind,
	const struct frame_row *row);

/* Ends a frame whose rows reach from data + FRAME_HEAD_BYTES to `end`: pads it, writes the head but
 * for `first` and the checksum, and sets head->bytes. There must be room for 7 bytes more. */
void frame_end(uint8_t *data, const uint8_t *end, struct frame_head *head);

/* Writes `first` and the checksum: the frame is whole. */
void frame_seal(uint8_t *data, uint64_t first, uint64_t salt);

/* Reads a head from at most `len` bytes and compares the frame with its checksum.
 * Errors: CORRUPT; UNSUPPORTED  a kind or version of a newer format, with a good checksum. */
enum status frame_check(const uint8_t *data, size_t len, uint64_t salt, struct frame_head *out);

/* Walks the rows of a checked frame. */
struct frame_walk {
	const struct table_spec *spec; /* borrowed */
	enum frame_kind kind;
	const uint8_t *at;
	const uint8_t *end;
	uint32_t left;
};

void frame_walk_begin(struct frame_walk *walk, const uint8_t *data, const struct frame_head *head,
	const struct table_spec *spec);

/* The next row; false behind the last, or where the rows do not fit the table: then walk->left is
 * not 0. */
bool frame_walk_next(struct frame_walk *walk, struct frame_row *out);

#endif
