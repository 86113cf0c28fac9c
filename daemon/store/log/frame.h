/* frame.h - one frame of the log: what one request has changed, in one table or in several.
 *
 *   frame:                 head (56 bytes) | part | part | ...
 *   part:                  head (24 bytes) | row | row | ... | zeros up to a multiple of 8
 *
 *   a row of FRAME_PUT     key, time, tags if the table has them, scale if it is i8, the row, the
 *                          low parts of its sums if the table keeps them
 *   a row of FRAME_DELETE  key
 *   FRAME_POSITION         one row: layer and source, the next position, whether the source was
 *                          counted before, and up to where
 *   a row of FRAME_FORGET  layer and source that were forgotten
 *   FRAME_SAMPLES          samples for the states of several tables (frame_samples.h)
 *
 * schema/DISK.md, "The log", has every byte. A frame is valid when it has its checksum, whose seed
 * is the salt of the file: so nobody can put bytes into a row that pass for a frame.
 *
 * A frame is there whole or not at all, and so is a request. It holds what was applied and not what
 * was asked: rows and samples that were refused or passed over are not in it, and times are filled
 * in. So a replay decides nothing.
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
	FRAME_PARTS_MAX = LIMIT_PARTS + 1, /* that this build writes: of tables, and a position */
};

/* Numbers are on disk and never reused. */
enum frame_kind {
	FRAME_PUT = 1,
	FRAME_DELETE = 2,
	FRAME_POSITION = 3,
	FRAME_FORGET = 4,
	FRAME_SAMPLES = 5,
};

struct frame_head {
	uint32_t bytes; /* of the whole frame */
	uint16_t parts;
	uint64_t sequence; /* grows by one with each frame */
	uint64_t first;    /* the smallest sequence that was not known to be on the disk by then */
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
	const uint8_t *low;  /* spec_low_bytes, the low parts of its sums; NULL if there are none */
};

/* ---- write ----
 *
 * Leave FRAME_HEAD_BYTES of room for the head. For each part leave FRAME_PART_BYTES, put its rows,
 * and call frame_end_part. At the end call frame_end, and frame_seal when the frame is written. */

/* The most that a part with `count` rows takes, whose keys have `key_bytes` together. */
size_t frame_part_bytes_max(const struct table_spec *spec, enum frame_kind kind, size_t count,
	size_t key_bytes);

/* Writes one row at `at` and returns where the next one goes. The caller has made room
 * (frame_part_bytes_max). */
uint8_t *frame_put_row(uint8_t *at, const struct table_spec *spec, enum frame_kind kind,
	const struct frame_row *row);

/* A source's position: what it becomes, and what it was. */
struct frame_position {
	struct source_position to;
	uint64_t before; /* what `to.next` was */
	bool is_first;   /* there was no position, and `before` has no meaning */
};

enum {
	FRAME_POSITION_BYTES_MAX = FRAME_PART_BYTES + 2 * (1 + LIMIT_NAME_BYTES) + 17 + FRAME_ALIGN
};

/* Writes a whole part of at most FRAME_POSITION_BYTES_MAX, and returns where the next one goes. */
uint8_t *frame_put_position(uint8_t *at, const struct frame_position *position);

/* The most that a part with so many forgotten sources takes. */
size_t frame_forget_bytes_max(size_t count);
/* Writes a whole part, and returns where the next one goes. */
uint8_t *frame_put_forget(uint8_t *at, const struct source_position *sources, size_t count);

/* Ends a part that begins at `at` and whose rows reach up to `end`: pads it, writes its head with
 * kind, rows and table of `part`, and returns where the next part goes. */
uint8_t *frame_end_part(uint8_t *at, uint8_t *end, const struct frame_part *part);

/* Ends a frame whose parts reach up to `end`: writes the head but for `first` and the checksum, and
 * sets head->bytes. */
void frame_end(uint8_t *data, const uint8_t *end, struct frame_head *head);

/* Writes `first` and the checksum; then the frame is whole. */
void frame_seal(uint8_t *data, uint64_t first, uint64_t salt);

/* Whether a frame of this sequence and size was ended at `data`. For asserts. */
bool frame_is(const uint8_t *data, uint64_t sequence, size_t len);

/* ---- read ---- */

/* Reads the head of the frame that begins at `data`, where `len` bytes are left, and compares the
 * frame with its checksum. Errors: CORRUPT; UNSUPPORTED  the checksum is good, but this build does
 * not know the version, the kind of a part, or its form. */
enum status frame_check(const uint8_t *data, size_t len, uint64_t salt, struct frame_head *out);

/* Whether this looks like a frame that this build has written. Everything but the checksum is
 * looked at, so it is cheap. */
bool frame_may_be(const uint8_t *data, size_t len, struct frame_head *out);

/* Walks the parts of a frame that was checked or ended. *at is 0 before the first call; false
 * behind the last part. */
bool frame_next_part(const uint8_t *data, const struct frame_head *head, size_t *at,
	struct frame_part *out);

/* Whether the rows of a part are those of a table. */
bool frame_is_of_table(enum frame_kind kind);

/* Walks the sources of a FRAME_FORGET. False behind the last one, and where the rows are none; then
 * walk->left is not 0. */
struct frame_sources {
	const uint8_t *at;
	const uint8_t *end;
	uint32_t left;
};
void frame_sources_begin(struct frame_sources *walk, const struct frame_part *part);
bool frame_sources_next(struct frame_sources *walk, struct source_position *out);

/* Reads a FRAME_POSITION. Errors: CORRUPT. */
enum status frame_read_position(const struct frame_part *part, struct frame_position *out);

/* The bytes that a part takes in the log. The first part of a frame also counts the frame's
 * head. */
static inline uint64_t frame_part_log_bytes(const struct frame_part *part, bool is_first)
{
	return FRAME_PART_BYTES + part->bytes + (is_first ? FRAME_HEAD_BYTES : 0);
}

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

/* The next row. False behind the last one, and also where the rows do not fit the table; then
 * walk->left is not 0. */
bool frame_walk_next(struct frame_walk *walk, struct frame_row *out);

#endif
