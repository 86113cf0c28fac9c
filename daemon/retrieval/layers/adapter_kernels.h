/* adapter_kernels.h - the loops of adapter.c and scorer.c, one set for each instruction set.
 *
 * Every set gives the same bits. A dot product keeps 16 partial sums: element i is added to sum i %
 * 16 by a fused multiply-add, and zeros fill the last elements up to 16. Then sum l + 8 is added to
 * sum l for l < 8, sum l + 4 for l < 4, sum l + 2 for l < 2, and at last sum 1 to sum 0.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_LAYERS_ADAPTER_KERNELS_H
#define DAEMON_RETRIEVAL_LAYERS_ADAPTER_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

/* y[r][o] = x[r] . w[o] + bias[o]. */
struct adapter_product {
	const float *x;    /* [rows, in] */
	const float *w;    /* [outs, in] */
	const float *bias; /* [outs]; NULL: none */
	float *y;          /* [rows, y_stride]; the first `outs` values of each row are written */
	size_t rows;
	size_t outs;
	size_t in;
	size_t y_stride;
};

struct adapter_kernels {
	const char *name;
	void (*product)(const struct adapter_product *product);
	/* Each changes `count` values in place. */
	void (*relu)(float *values, size_t count);
	void (*silu)(float *values, size_t count);
	void (*sigmoid)(float *values, size_t count);
	void (*tanh)(float *values, size_t count);
	/* values[i] = x[i] * sigmoid(values[i]) */
	void (*gate)(float *values, const float *x, size_t count);
	/* Is each of the values finite, and none nearer to zero than `least`? */
	bool (*in_range)(const float *values, size_t count, float least);
};

/* Set `i` of those that this machine can run, the fastest first; NULL behind the last. */
const struct adapter_kernels *adapter_kernels_at(size_t i);

#endif
