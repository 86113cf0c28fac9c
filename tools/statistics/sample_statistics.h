/* sample_statistics.h - what a sample of rows tells: how far they have collapsed, and how far the
 * views repeat one another.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_STATISTICS_SAMPLE_STATISTICS_H
#define TOOLS_STATISTICS_SAMPLE_STATISTICS_H

#include "schema/status.h"
#include "tools/statistics/matrix.h"
#include "tools/statistics/spectrum.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One view of the rows. */
struct view_statistics {
	double information_abundance;
	size_t effective_rank;
};

/* Two views of the rows, first < second. */
struct pair_statistics {
	uint32_t first;
	uint32_t second;
	double mean_abs_covariance;
};

/* A zeroed one is that of no rows. */
struct sample_statistics {
	size_t rows;
	size_t width;   /* columns: views x dim */
	bool *constant; /* owned; a column's: all its elements are equal. NULL below 2 rows */
	size_t constant_count; /* columns */
	double mean_abs_mean;  /* the mean over all columns of |mean of a column| */
	struct spectrum spectrum;
	uint32_t views;                    /* 1: no `each_view`, no `pairs` */
	struct view_statistics *each_view; /* owned */
	struct pair_statistics *pairs; /* owned; (0,1), (0,2), ... (1,2), ...; NULL below 2 rows,
					* and when they were not asked for */
	size_t pair_count;
	double pairs_mean; /* of mean_abs_covariance */
};

enum sample_extent {
	SAMPLE_WHOLE,
	SAMPLE_WITHOUT_PAIRS, /* pairs of views take too long */
};

/* Fills `out`, which the caller has zeroed and ends by sample_statistics_fini, whatever this
 * returns.
 *
 *   rows   finite elements; columns are `views` views of the same dim, one behind the other. No
 *          rows are fine too: the figures stay 0.
 *
 * Errors: those of spectrum_of and covariance_mean_abs. */
enum status sample_statistics_of(const struct matrix *rows, uint32_t views,
	enum sample_extent extent, struct sample_statistics *out);

/* Fine for one that is zeroed. */
void sample_statistics_fini(struct sample_statistics *statistics);

#endif
