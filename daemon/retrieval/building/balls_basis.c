/* balls_basis.c - finds principal directions by orthogonal iteration. */
#include "daemon/retrieval/building/balls_basis.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/balls/balls_norm.h"
#include "daemon/retrieval/building/balls_random.h"
#include "daemon/retrieval/layers/adapter_kernels.h"

enum { ROUNDS = 8, SOME = 256 };

static void subtract(float *from, const float *direction, double much, uint32_t dim)
{
	for (uint32_t d = 0; d < dim; d++) {
		from[d] = (float)((double)from[d] - much * (double)direction[d]);
	}
}

/* Makes the directions orthonormal, and a second time to remove what rounding left. A direction
 * that vanishes is drawn anew. */
static void orthonormalize(const struct balls_variation *variation, uint64_t *random)
{
	const uint32_t dim = variation->dim;
	for (uint32_t i = 0; i < variation->wanted; i++) {
		float *own = variation->basis + (size_t)i * dim;
		double before = balls_norm(own, dim);
		for (int again = 0; again < 2; again++) {
			for (uint32_t j = 0; j < i; j++) {
				const float *other = variation->basis + (size_t)j * dim;
				subtract(own, other, balls_dot(own, other, dim), dim);
			}
			const double norm = balls_norm(own, dim);
			if (!(norm > before * 1e-5) && again == 0) {
				for (uint32_t d = 0; d < dim; d++) {
					own[d] = (float)(balls_random_unit(random) - 0.5);
				}
				before = 0;
				again = -1;
				continue;
			}
			for (uint32_t d = 0; d < dim; d++) {
				own[d] = (float)((double)own[d] / norm);
			}
		}
	}
}

/* next = rows^T rows basis. The same products give `captured`. */
static void multiply(const struct balls_variation *variation, float *products, float *next)
{
	const uint32_t dim = variation->dim;
	const uint32_t wanted = variation->wanted;
	memset(next, 0, (size_t)wanted * dim * sizeof *next);
	memset(variation->captured, 0, wanted * sizeof *variation->captured);
	for (size_t first = 0; first < variation->count; first += SOME) {
		const size_t rows =
			variation->count - first < SOME ? variation->count - first : SOME;
		const struct adapter_product product = {
			.x = variation->rows + first * dim,
			.w = variation->basis,
			.y = products,
			.rows = rows,
			.outs = wanted,
			.in = dim,
			.y_stride = wanted,
		};
		adapter_kernels_at(0)->product(&product);
		for (size_t i = 0; i < rows; i++) {
			const float *row = product.x + i * dim;
			for (uint32_t j = 0; j < wanted; j++) {
				const float much = products[i * wanted + j];
				float *sum = next + (size_t)j * dim;
				variation->captured[j] += (double)much * (double)much;
				for (uint32_t d = 0; d < dim; d++) {
					sum[d] += much * row[d];
				}
			}
		}
	}
}

static enum status iterate(const struct balls_variation *variation, float *products, float *next)
{
	uint64_t random = variation->seed;
	const size_t count = (size_t)variation->wanted * variation->dim;
	for (size_t i = 0; i < count; i++) {
		variation->basis[i] = (float)(balls_random_unit(&random) - 0.5);
	}
	orthonormalize(variation, &random);
	for (int round = 0; round < ROUNDS; round++) {
		if (variation->stop != NULL && *variation->stop) {
			return STATUS_BUSY;
		}
		multiply(variation, products, next);
		memcpy(variation->basis, next, count * sizeof *next);
		orthonormalize(variation, &random);
	}
	multiply(variation, products, next);
	return STATUS_OK;
}

enum status balls_basis(const struct balls_variation *variation)
{
	assert(variation->wanted > 0 && variation->wanted <= variation->dim);
	float *products = malloc((size_t)SOME * variation->wanted * sizeof *products);
	float *next = malloc((size_t)variation->wanted * variation->dim * sizeof *next);
	enum status status = STATUS_NO_MEMORY;
	if (products != NULL && next != NULL) {
		status = iterate(variation, products, next);
	}
	free(products);
	free(next);
	if (status == STATUS_OK) {
		double total = 0;
		for (size_t i = 0; i < variation->count; i++) {
			const float *row = variation->rows + i * variation->dim;
			total += balls_dot(row, row, variation->dim);
		}
		for (uint32_t i = 0; i < variation->wanted; i++) {
			variation->captured[i] = total > 0 ? variation->captured[i] / total : 1;
		}
	}
	return status;
}
