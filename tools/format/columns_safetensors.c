/* columns_safetensors.c - finds the columns of an import among the tensors of a safetensors file. */
#include "tools/format/columns.h"

#include "tools/format/safetensors.h"

#include <inttypes.h>
#include <string.h>

/* The dtypes that each column may have. PyTorch had no U64 for long, so I64 is taken as well: keys are
 * checked not to be negative, and tags are bits. */
static const struct {
	const char *says;
	const char *dtypes[9];
} allowed[COLUMNS] = {
	[COLUMN_KEYS] = {"integers: I64, U64 or narrower",
		{"I64", "U64", "I32", "U32", "I16", "U16", "I8", "U8"}},
	[COLUMN_ROWS] = {"F32, F16, BF16, I8 (with scales), U8 (packed bits) or, of sums, F64",
		{"F32", "F16", "BF16", "I8", "U8", "F64"}},
	[COLUMN_TIMES] = {"I64", {"I64"}},
	[COLUMN_SCALES] = {"F32", {"F32"}},
	[COLUMN_TAGS] = {"U64 or I64", {"U64", "I64"}},
	[COLUMN_WEIGHTS] = {"F64 or F32", {"F64", "F32"}},
	[COLUMN_COUNTS] = {"U32", {"U32"}},
	[COLUMN_HISTORY_TIMES] = {"I64", {"I64"}},
};

static enum status check_dtype(const char *name, enum column column,
	const struct safetensor *tensor, struct error *err)
{
	for (size_t i = 0; allowed[column].dtypes[i] != NULL; i++) {
		if (strcmp(allowed[column].dtypes[i], tensor->type->name) == 0) {
			return STATUS_OK;
		}
	}
	return error_set(err, STATUS_BAD_REQUEST, "'%s: %s': dtype: %s given, this column is %s",
		name, tensor->name, tensor->type->name, allowed[column].says);
}

/* A tensor as an array of NumPy's: bf16 is u2 there, and tags are u8. */
static struct npy array_of(enum column column, const struct safetensor *tensor)
{
	struct npy npy = {
		.kind = tensor->type->kind == 'B' || column == COLUMN_TAGS ? 'u'
									   : tensor->type->kind,
		.item_bytes = tensor->type->bytes,
		.dims = tensor->dims,
		.elements = tensor->bytes / tensor->type->bytes,
		.data = tensor->data,
	};
	memcpy(npy.shape, tensor->shape, sizeof npy.shape);
	return npy;
}

/* The keys of a table of byte strings: each is a row of bytes, with NULs behind it. */
static enum status strings_of(const char *name, const struct safetensor *tensor, struct npy *out,
	struct error *err)
{
	char shape[NPY_SHAPE_BYTES];
	if (strcmp(tensor->type->name, "U8") != 0 || tensor->dims != 2 || tensor->shape[1] == 0) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s: %s': %s %s given; keys of this table are byte strings: U8 [n, width], with NULs behind the shorter ones",
			name, tensor->name, tensor->type->name,
			npy_shape(tensor->shape, tensor->dims, shape));
	}
	if (tensor->shape[1] > NPY_ITEM_BYTES_MAX) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s: %s': keys of %llu bytes given, at most %d allowed with their NULs",
			name, tensor->name, (unsigned long long)tensor->shape[1],
			NPY_ITEM_BYTES_MAX);
	}
	*out = array_of(COLUMN_KEYS, tensor);
	out->kind = 'S';
	out->dims = 1;
	out->item_bytes = (size_t)tensor->shape[1];
	out->elements = tensor->shape[0];
	return STATUS_OK;
}

static enum status open_tensor(const struct safetensor *tensor, const char *name, bool byte_keys,
	struct columns *out, struct error *err)
{
	const enum column column = column_find(tensor->name, strlen(tensor->name));
	char quoted[ERROR_QUOTE_BYTES];
	struct npy npy = {0};
	if (column == COLUMNS) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': tensor '%s' is no column of a table: " COLUMN_NAMES
			" are; `repstore tensor import` takes tensors of any name",
			name, error_quote(quoted, tensor->name, strlen(tensor->name)));
	}
	enum status status = STATUS_OK;
	if (column == COLUMN_KEYS && byte_keys) {
		status = strings_of(name, tensor, &npy, err);
	} else {
		status = check_dtype(name, column, tensor, err);
		npy = array_of(column, tensor);
	}
	return status == STATUS_OK ? array_open_memory(&out->arrays[column], name,
					     column_name(column), &npy, err)
				   : status;
}

enum status columns_read_safetensors(const uint8_t *file, size_t len, const char *name,
	bool byte_keys, struct columns *out, struct error *err)
{
	struct safetensors read = {0};
	enum status status = safetensors_read(file, len, name, &read, err);
	for (size_t i = 0; i < read.count && status == STATUS_OK; i++) {
		status = open_tensor(&read.tensors[i], name, byte_keys, out, err);
	}
	safetensors_fini(&read);
	static const enum column needed[] = {COLUMN_KEYS, COLUMN_ROWS};
	for (size_t i = 0; i < 2 && status == STATUS_OK; i++) {
		if (out->arrays[needed[i]].name == NULL) {
			status = error_set(err, STATUS_BAD_REQUEST,
				"'%s': there is no tensor '%s' in it", name,
				column_name(needed[i]));
		}
	}
	return status;
}

enum status columns_open_safetensors(const char *path, bool byte_keys, struct columns *out,
	struct error *err)
{
	static const uint8_t none[1];
	enum status status = mapping_open(path, &out->archive, err);
	if (status == STATUS_OK) {
		const uint8_t *data = out->archive.data != NULL ? out->archive.data : none;
		status =
			columns_read_safetensors(data, out->archive.len, path, byte_keys, out, err);
	}
	return status == STATUS_OK || mapping_check(err) == STATUS_OK ? status : STATUS_BAD_REQUEST;
}
