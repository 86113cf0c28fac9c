/* cr_layer.h - the cross representations of all samples at one extraction layer.
 *
 * Threads: any, after cr_layer_open.
 */
#ifndef TOOLS_EVALUATION_CR_LAYER_H
#define TOOLS_EVALUATION_CR_LAYER_H

#include "schema/dtype.h"
#include "schema/name.h"
#include "schema/status.h"
#include "tools/evaluation/cr_start.h"
#include "tools/format/npy_file.h"

#include <stddef.h>
#include <stdint.h>

struct cr_layer {
	struct name name;
	struct npy_file file; /* owned; zeroed if `rows` come from elsewhere */
	const uint8_t *rows;  /* [count, dim] of dtype, any alignment; borrowed from the file */
	size_t count;
	uint32_t dim;
	enum dtype dtype;      /* f32, f16 or bf16 */
	struct cr_start start; /* owned; the states that aggregation begins with; zeroed: none */
};

/* Opens NAME=FILE.npy; the file is [count, dim] of f4, f2 or u2 (bf16), all of it finite.
 *   text   borrowed as long as the layer is open
 *   count  of the samples
 * Errors: BAD_REQUEST  naming the layer, what was given and what is allowed; those of the file. */
enum status cr_layer_open(const char *text, size_t count, struct cr_layer *out, struct error *err);
/* Fine for one that is zeroed. */
void cr_layer_close(struct cr_layer *layer);

/* Fills `out`, f32[dim], with the vector of a row of the file. */
void cr_layer_vector(const struct cr_layer *layer, size_t row, float *out);

#endif
