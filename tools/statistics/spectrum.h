/* spectrum.h - singular values of a matrix of rows, and how far they say that it has collapsed.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_STATISTICS_SPECTRUM_H
#define TOOLS_STATISTICS_SPECTRUM_H

#include "schema/status.h"
#include "tools/statistics/matrix.h"

#include <stddef.h>

struct spectrum {
	double *values; /* owned; largest first; the matrix is not centred before */
	size_t count;   /* min(rows, columns) */
	/* The sum of the values, divided by the largest. It is near `count` if all directions are
	 * used alike, and near 1 if all rows lie on a line. 0 when all values are 0.
	 * Source: Guo et al., On the Embedding Collapse When Scaling up Recommendation Models,
	 * arXiv 2310.04400. */
	double information_abundance;
	/* How many directions hold 99 % of the energy (the sum of squared values); 0 when all
	 * values are 0. */
	size_t effective_rank;
};

/* Finite elements only, at least one. Takes memory of 8 bytes an element while it works.
 * Errors: NO_MEMORY; INTERNAL  the iteration did not converge. */
enum status spectrum_of(const struct matrix *matrix, struct spectrum *out);

/* Fine for one that is zeroed. */
void spectrum_fini(struct spectrum *spectrum);

#endif
