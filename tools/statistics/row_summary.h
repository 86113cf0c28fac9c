/* row_summary.h - what each row of a table tells by itself: norm, age, and whether it is suspect.
 *
 * Threads: one a summary.
 */
#ifndef TOOLS_STATISTICS_ROW_SUMMARY_H
#define TOOLS_STATISTICS_ROW_SUMMARY_H

#include "schema/status.h"
#include "tools/statistics/distribution.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct row_summary {
	int64_t began_ms; /* when it was initialised */
	int64_t now_ms;   /* the caller moves it forward, so that rows written during the walk do
			   * not count as rows of the future */
	uint64_t rows;
	uint64_t zero;             /* all elements 0 */
	uint64_t nonfinite;        /* an element is NaN or infinite; such rows have no norm */
	uint64_t future;           /* time above now_ms */
	struct distribution norms; /* L2, of finite rows */
	struct distribution ages;  /* began_ms - time, in ms; of all rows */
};

/* Takes no memory yet; later 16 bytes for each row, up to `capacity` rows (struct distribution). */
void row_summary_init(struct row_summary *summary, int64_t now_ms, uint64_t capacity,
	uint64_t seed);

/* Takes a row of `width` elements. finite: out, whether all of them are finite.
 * Errors: NO_MEMORY  the summary cannot be used any more. */
enum status row_summary_add(struct row_summary *summary, const float *row, size_t width,
	int64_t time_ms, bool *finite);

/* Ages in ms: now_ms - time, which is negative for rows of the future. False: there are no rows.
 * Else as distribution_summarize. */
bool row_summary_ages(struct row_summary *summary, struct distribution_summary *out);

/* Fine for one that is zeroed. */
void row_summary_fini(struct row_summary *summary);

#endif
