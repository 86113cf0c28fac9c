/* balls_basis.h - finds the directions in which rows vary most.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_BASIS_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_BASIS_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct balls_variation {
	const float *rows; /* [count, dim] */
	size_t count;
	uint32_t dim;
	uint32_t wanted; /* directions, at most dim */
	uint64_t seed;
	const _Atomic bool *stop;
	float *basis;     /* out: [wanted, dim], orthonormal, that of most variation first */
	double *captured; /* out: [wanted] the share of the sum of all squares that is along each */
};

/* Errors: NO_MEMORY; BUSY  stopped.
 * Source: orthogonal iteration, Golub and Van Loan, 8.2.4. */
enum status balls_basis(const struct balls_variation *variation);

#endif
