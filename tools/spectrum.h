/* spectrum.h - singular values of a matrix of rows, and what they say of its collapse.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_SPECTRUM_H
#define TOOLS_SPECTRUM_H

#include "schema/status.h"
#include "tools/matrix.h"

#include <stddef.h>

struct spectrum {
	double *values; /* owned; largest first; of the matrix as it is, not centred */
	size_t count;   /* min(rows, columns) */
	/* The sum of the values over the largest: near `count` where every direction is used
	 * alike, near 1 where all rows lie on a line. 0 when all values are 0.
	 * Source: Guo et al., On the Embedding Collapse When Scaling up Recommendation Models,
	 * arXiv 2310.04400. */
	double information_abundance;
	/* Directions that hold 99 % of the energy (the sum of squared values); 0 when there is
	 * none. */
	size_t effective_rank;
};

/* Finite elements only, at least one. Takes 8 bytes an element while it works.
 * Errors: NO_MEMORY; INTERNAL  the iteration did not converge. */
enum status spectrum_of(const struct matrix *matrix, struct spectrum *out);

/* Fine for one that is zeroed. */
void spectrum_fini(struct spectrum *spectrum);

#endif
