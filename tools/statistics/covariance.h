/* covariance.h - how far two views of the same rows repeat one another.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_STATISTICS_COVARIANCE_H
#define TOOLS_STATISTICS_COVARIANCE_H

#include "schema/status.h"
#include "tools/statistics/matrix.h"

/* The mean of |C_ij| over all columns i of `a` and j of `b`, where
 * C = (a - mean a)^T (b - mean b) / (rows - 1). It is near 0 when neither view follows linearly
 * from the other. It grows with the square of the rows' scale.
 *
 *   a, b   finite elements, the same number of rows, at least 2
 *
 * Takes memory of 8 bytes for each element of both, and 64 rows of C.
 * Errors: NO_MEMORY.
 * Source: the covariance loss of Lin et al., Crocodile: Cross Experts Covariance for
 * Disentangled Learning in Multi-Domain Recommendation, arXiv 2405.12706: a sum
 * over pairs of experts, each divided by the columns of both. The paper does not divide by the
 * rows; this does, so that samples of different sizes can be compared.
 */
enum status covariance_mean_abs(const struct matrix *a, const struct matrix *b, double *out);

#endif
