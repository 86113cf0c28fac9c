/* cr_layer.c - opens and checks a layer's vectors. */
#include "tools/evaluation/cr_layer.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static enum dtype dtype_of(const struct npy *npy)
{
	if (npy->kind == 'f' && npy->item_bytes == 4) {
		return DTYPE_F32;
	}
	if (npy->item_bytes == 2 && (npy->kind == 'f' || npy->kind == 'u')) {
		return npy->kind == 'f' ? DTYPE_F16 : DTYPE_BF16;
	}
	return DTYPE_NONE;
}

static enum status check(const struct cr_layer *layer, struct error *err)
{
	const struct npy *npy = &layer->file.npy;
	char given[NPY_FILE_SHAPE_BYTES];
	npy_file_shape(&layer->file, given);
	if (layer->dtype == DTYPE_NONE) {
		return error_set(err, STATUS_BAD_REQUEST,
			"--layer %s: '%s': %s given, f4, f2 or u2 (bf16) allowed", layer->name.text,
			layer->file.path, given);
	}
	if (npy->dims != 2 || npy->shape[0] != layer->count || npy->shape[1] == 0 ||
		npy->shape[1] > LIMIT_DIM) {
		return error_set(err, STATUS_BAD_REQUEST,
			"--layer %s: '%s': %s given, [%zu, dim] is as many as there are samples, "
			"dim 1 to %u",
			layer->name.text, layer->file.path, given, layer->count, LIMIT_DIM);
	}
	const size_t at = dtype_first_nonfinite(layer->dtype, npy->data, npy->elements);
	if (at < npy->elements) {
		return error_set(err, STATUS_BAD_REQUEST,
			"--layer %s: '%s': sample %zu, element %zu is NaN or infinite, finite "
			"numbers allowed",
			layer->name.text, layer->file.path, at / npy->shape[1], at % npy->shape[1]);
	}
	return STATUS_OK;
}

enum status cr_layer_open(const char *text, size_t count, struct cr_layer *out, struct error *err)
{
	struct cr_layer layer = {.count = count};
	const char *equals = strchr(text, '=');
	if (equals == NULL) {
		return error_set(err, STATUS_BAD_REQUEST,
			"--layer: '%s' given, NAME=FILE.npy "
			"allowed",
			text);
	}
	enum status status = name_check(text, (size_t)(equals - text), "--layer", &layer.name, err);
	if (status == STATUS_OK) {
		status = npy_file_open(equals + 1, &layer.file, err);
	}
	if (status == STATUS_OK) {
		layer.dtype = dtype_of(&layer.file.npy);
		status = check(&layer, err);
	}
	if (status != STATUS_OK) {
		cr_layer_close(&layer);
		return status;
	}
	layer.rows = layer.file.npy.data;
	layer.dim = (uint32_t)layer.file.npy.shape[1];
	*out = layer;
	return STATUS_OK;
}

void cr_layer_close(struct cr_layer *layer)
{
	npy_file_close(&layer->file);
	cr_start_fini(&layer->start);
	*layer = (struct cr_layer){0};
}

void cr_layer_vector(const struct cr_layer *layer, size_t row, float *out)
{
	assert(row < layer->count);
	const size_t bytes = dtype_row_bytes(layer->dtype, layer->dim, 1);
	const struct dtype_rows target = {DTYPE_F32, out, NULL};
	const struct dtype_rows source = {layer->dtype, (void *)(layer->rows + row * bytes), NULL};
	dtype_convert(&target, &source, 1, layer->dim, 1);
}
