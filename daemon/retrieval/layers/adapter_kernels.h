/* adapter_kernels.h - the loops of adapter.c, one set for each instruction set.
 *
 * Every set gives the same bits. A dot product keeps 16 partial sums, element i in sum i % 16, each
 * step a fused multiply-add; the last few elements are filled up with zeros to 16. Then the
 * sums l and l + 8 are added, l and l + 4, l and l + 2, and the last two.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_LAYERS_ADAPTER_KERNELS_H
#define DAEMON_RETRIEVAL_LAYERS_ADAPTER_KERNELS_H

#include <stddef.h>

/* y[r][o] = x[r] . w[o] + bias[o]. */
struct adapter_product {
	const float *x;    /* [rows, in] */
	const float *w;    /* [outs, in] */
	const float *bias; /* [outs]; NULL: none */
	float *y;          /* [rows, y_stride], the first outs of each are written */
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
};

/* Set `i`, the fastest first, or NULL beyond the last; only those that this machine runs. */
const struct adapter_kernels *adapter_kernels_at(size_t i);

#endif
