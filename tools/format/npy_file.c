/* npy_file.c - maps a file and reads its header. */
#include "tools/format/npy_file.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum status npy_file_open(const char *path, struct npy_file *out, struct error *err)
{
	struct npy_file file = {.path = path};
	enum status status = mapping_open(path, &file.mapping, err);
	if (status == STATUS_OK) {
		static const uint8_t none[1];
		const uint8_t *data = file.mapping.data != NULL ? file.mapping.data : none;
		status = npy_read(data, file.mapping.len, path, &file.npy, err);
	}
	if (status != STATUS_OK) {
		npy_file_close(&file);
		return status;
	}
	*out = file;
	return STATUS_OK;
}

void npy_file_close(struct npy_file *file)
{
	mapping_close(&file->mapping);
	*file = (struct npy_file){0};
}

const char *npy_file_shape(const struct npy_file *file, char text[NPY_FILE_SHAPE_BYTES])
{
	const struct npy *npy = &file->npy;
	char shape[NPY_SHAPE_BYTES];
	snprintf(text, NPY_FILE_SHAPE_BYTES, "%c%zu %s", npy->kind, npy->item_bytes,
		npy_shape(npy->shape, npy->dims, shape));
	return text;
}

bool npy_file_integer(const struct npy_file *file, uint64_t i, int64_t *out)
{
	const struct npy *npy = &file->npy;
	assert(i < npy->elements && npy->item_bytes <= sizeof(uint64_t));
	const uint8_t *at = npy->data + i * npy->item_bytes;
	const unsigned unused_bits = (unsigned)(64 - 8 * npy->item_bytes);
	uint64_t value = 0;
	memcpy(&value, at, npy->item_bytes);
	if (npy->kind == 'i') {
		*out = (int64_t)(value << unused_bits) >> unused_bits;
		return true;
	}
	*out = (int64_t)value;
	return value <= INT64_MAX;
}
