/* write_part.h - what a write does to one table: checked, converted, compared with what is there,
 * linked into its memtable and written into the frame.
 *
 *     write_part_find       finds the table
 *     write_part_bytes_max  how much room it needs in the frame
 *     write_part_prepare    reads and checks; changes nothing
 *     write_part_link       links each row above `visible`, and ends the part of the frame; of
 *                           FRAME_SAMPLES the frame has the samples, which are not its business
 *     write_part_end        gives the memtable back what was not linked
 *     write_part_fini       frees it; a zeroed one too
 *
 * Threads: the one that holds the writer's apply_lock, within one snapshot.
 */
#ifndef DAEMON_STORE_WRITE_WRITE_PART_H
#define DAEMON_STORE_WRITE_WRITE_PART_H

#include "daemon/store/log/frame.h"
#include "daemon/store/memtable/memtable_room.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/write/write.h"

struct write_part {
	const struct table_write *given; /* borrowed */
	enum frame_kind kind;
	bool if_newer;             /* only rows that are newer than what is there */
	int64_t now_ms;            /* the request's clock */
	const struct table *table; /* of the snapshot */
	int64_t *base_times;   /* owned: of each key's row, before this write; NULL: nobody asks */
	const uint8_t *rows;   /* in the table's dtype: in `kept`, or where they were given */
	const uint8_t *scales; /* f32 of an i8 table: the same */
	/* Borrowed: of FRAME_SAMPLES the rows, which are in the memtable's memory already. */
	struct memtable_room *room;
	uint8_t *kept;   /* owned: converted rows; NULL: they came in the table's dtype */
	uint32_t linked; /* of its rows, once it was linked */
};

/* Whether a table takes writes. Errors: CORRUPT  it has a damaged segment. */
enum status write_part_check_table(const struct table *table, struct error *err);

/* Sets table. Errors: NOT_FOUND; BAD_REQUEST  the type of the keys; CORRUPT. */
enum status write_part_find(struct write_part *part, const struct release *release,
	struct error *err);

size_t write_part_bytes_max(const struct write_part *part);

/* Sets what is owned. Errors: BAD_REQUEST, CORRUPT, NO_MEMORY. */
enum status write_part_prepare(struct write_part *part, struct error *err);

/* Links the rows, writes the part at *end and moves *end behind it. If no row is wanted, *end stays.
 * *rows: how many were linked. After an error too the frame has the rows that were linked, so that
 * they can be taken back. Errors: NO_MEMORY, TOO_LARGE. */
enum status write_part_link(const struct write_part *part, const struct memtable_change *change,
	uint8_t **end, uint32_t *rows, struct error *err);

void write_part_end(struct write_part *part);

void write_part_fini(struct write_part *part);

#endif
