/* score_kernels.h - distances and counts of bits, one set of loops for each instruction set.
 *
 * Inner products are those of adapter_kernels.h. Every set gives the same bits: a squared distance
 * adds up as a dot product there does, 16 partial sums and one order.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_SCORE_SCORE_KERNELS_H
#define DAEMON_RETRIEVAL_SCORE_SCORE_KERNELS_H

#include "daemon/retrieval/layers/adapter_kernels.h"

#include <stddef.h>
#include <stdint.h>

struct score_kernels {
	const char *name;
	/* y[r][o] = the sum of (x[r][i] - w[o][i])^2; the product's bias is not used. */
	void (*distances)(const struct adapter_product *product);
	/* Bits that are set in both, of `len` bytes. */
	uint32_t (*common_bits)(const uint8_t *a, const uint8_t *b, size_t len);
};

/* Set `i`, the fastest first, or NULL beyond the last; only those that this machine runs. */
const struct score_kernels *score_kernels_at(size_t i);

#endif
