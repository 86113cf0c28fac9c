/* frame_samples.h - the part of a frame that holds samples, as they were added to several tables.
 *
 * The states that they led to are not in the log: they would be twice as large, and a sample counts
 * in several tables. A replay adds the samples again, in the order of the log, to the states that
 * there are by then; as the arithmetic depends on nothing else, they lead to the same bits.
 *
 *   part   head (32 bytes) | u64 numbers of the tables | keys of users | keys of items |
 *          i64 times | f32 rows; each column begins at a multiple of 8
 *
 * schema/DISK.md, "Samples", has every byte.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_LOG_FRAME_SAMPLES_H
#define DAEMON_STORE_LOG_FRAME_SAMPLES_H

#include "daemon/store/log/frame.h"
#include "schema/key.h"

#include <string.h>

enum { FRAME_SAMPLES_HEAD_BYTES = 32 };

/* Samples in the order in which they count, in columns; borrowed. */
struct frame_samples {
	uint32_t count;
	uint32_t elements; /* of a row */
	/* Of each sample. KEY_NONE: none of the tables has such keys. Those that were read have no
	 * offsets: `at` is NULL, for byte strings too. */
	struct keys users;
	struct keys items;
	size_t user_bytes; /* of all keys of users together, as they are packed */
	size_t item_bytes;
	const uint8_t *times; /* i64[count] */
	const float *rows;    /* f32[count, elements], aligned to 4 */
	uint32_t table_count;
	const uint8_t *tables; /* u64[table_count], the numbers of tables, at any alignment */
};

/* The bytes of the part, with its head. */
size_t frame_samples_bytes(const struct frame_samples *samples);

/* Writes a whole part at `at`, and returns where the next one goes. */
uint8_t *frame_put_samples(uint8_t *at, const struct frame_samples *samples);

/* Reads a FRAME_SAMPLES; `out` points into it. Errors: CORRUPT. */
enum status frame_read_samples(const struct frame_part *part, struct frame_samples *out);

/* The number of table i. */
static inline uint64_t frame_samples_table(const struct frame_samples *samples, uint32_t i)
{
	uint64_t number;
	memcpy(&number, samples->tables + (size_t)i * sizeof number, sizeof number);
	return number;
}

#endif
