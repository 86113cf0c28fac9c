/* score_kernels.h - distances and counts of bits, by one set of loops for each instruction set.
 *
 * Inner products are in adapter_kernels.h. Every set gives the same bits: a squared distance is
 * summed as a dot product there, in 16 partial sums that are added in one order.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_SCORE_SCORE_KERNELS_H
#define DAEMON_RETRIEVAL_SCORE_SCORE_KERNELS_H

#include "daemon/retrieval/layers/adapter_kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct score_kernels {
	const char *name;
	/* y[r][o] = the sum of (x[r][i] - w[o][i])^2; the product's bias is not used. */
	void (*distances)(const struct adapter_product *product);
	/* How many bits are set in both? Both have `len` bytes. */
	uint32_t (*common_bits)(const uint8_t *a, const uint8_t *b, size_t len);
	/* Is one of the values nearer to zero than `least`, but not zero? */
	bool (*has_small)(const float *values, size_t count, float least);
};

/* Set `i` of those that this machine can run, the fastest first; NULL behind the last. */
const struct score_kernels *score_kernels_at(size_t i);

#endif
