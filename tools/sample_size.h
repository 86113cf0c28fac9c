/* sample_size.h - how many rows of a table its statistics are made of, within memory and time.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_SAMPLE_SIZE_H
#define TOOLS_SAMPLE_SIZE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SAMPLE_ROWS_DEFAULT = 4096,
	/* Fewer are not taken to save time, only to save memory. */
	SAMPLE_ROWS_FEW = 256,
};

/* Of the sample in f32 and of the copy in double that is worked on. */
#define SAMPLE_BYTES_MAX (UINT64_C(1) << 30)

/* Bytes for each row of the sample. */
uint64_t sample_row_bytes(uint32_t dim, uint32_t views);

/* The most rows that SAMPLE_BYTES_MAX has room for, >= 1. */
uint64_t sample_rows_max(uint32_t dim, uint32_t views);

/* SAMPLE_ROWS_DEFAULT, or fewer where rows are so wide that these would take too much memory or
 * time. */
uint64_t sample_rows_default(uint32_t dim, uint32_t views);

/* Whether the covariances of all pairs of views over so many rows are done in half a minute
 * or so. */
bool sample_affords_pairs(uint64_t rows, uint32_t dim, uint32_t views);

#endif
