/* sample_size.h - how many rows a sample may have within bounds of memory and time.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_STATISTICS_SAMPLE_SIZE_H
#define TOOLS_STATISTICS_SAMPLE_SIZE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SAMPLE_ROWS_DEFAULT = 4096,
	/* The sample gets smaller than this only to save memory, not to save time. */
	SAMPLE_ROWS_FEW = 256,
};

/* The bound of the sample in f32 together with the copy in double that is worked on. */
#define SAMPLE_BYTES_MAX (UINT64_C(1) << 30)

/* Bytes for each row of the sample. */
uint64_t sample_row_bytes(uint32_t dim, uint32_t views);

/* As many rows as SAMPLE_BYTES_MAX has room for, but at least 1. */
uint64_t sample_rows_max(uint32_t dim, uint32_t views);

/* SAMPLE_ROWS_DEFAULT, or fewer if rows are so wide that so many would take too much memory or
 * time. */
uint64_t sample_rows_default(uint32_t dim, uint32_t views);

/* Whether the covariances of all pairs of views over so many rows take less than about half a
 * minute. */
bool sample_affords_pairs(uint64_t rows, uint32_t dim, uint32_t views);

#endif
