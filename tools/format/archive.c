/* archive.c - writes npy files into one npz or safetensors file. */
#include "tools/format/archive.h"

#include "tools/format/npy.h"
#include "tools/format/output.h"
#include "tools/format/safetensors.h"
#include "tools/format/zip_write.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The file of a column, mapped. `data` is NULL where there is none. */
struct member {
	enum column column;
	const uint8_t *data;
	size_t len;
	struct npy npy;
};

static enum status map_member(const struct output *output, struct member *out, struct error *err)
{
	struct stat info = {0};
	void *data = MAP_FAILED;
	if (fflush(output->file) == 0 && fstat(fileno(output->file), &info) == 0) {
		out->len = (size_t)info.st_size;
		data = mmap(NULL, out->len, PROT_READ, MAP_SHARED, fileno(output->file), 0);
	}
	if (data == MAP_FAILED) {
		return error_set(err, STATUS_IO, "'%s' could not be read again", output->path);
	}
	out->data = data;
	return npy_read(out->data, out->len, output->path, &out->npy, err);
}

static enum status write_npz(struct output *target, const struct member *members, size_t count,
	struct error *err)
{
	struct zip_writer writer = {.output = target};
	enum status status = STATUS_OK;
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		char name[32];
		snprintf(name, sizeof name, "%s.npy", column_name(members[i].column));
		status = zip_write_member(&writer, name, members[i].data, members[i].len, err);
	}
	if (status == STATUS_OK) {
		status = zip_write_end(&writer, err);
	}
	zip_writer_fini(&writer);
	return status;
}

/* A column as a tensor. Strings become bytes, [n, width]; NumPy's u2 of rows is bf16. */
static struct safetensor tensor_of(const struct member *member)
{
	const struct npy *npy = &member->npy;
	struct safetensor tensor = {
		.name = column_name(member->column),
		.dims = npy->dims,
		.bytes = npy->elements * npy->item_bytes,
		.data = npy->data,
	};
	memcpy(tensor.shape, npy->shape, sizeof tensor.shape);
	if (npy->kind == 'S') {
		tensor.type = safetensors_type_of('u', 1);
		tensor.shape[tensor.dims++] = npy->item_bytes;
	} else if (member->column == COLUMN_ROWS && npy->kind == 'u' && npy->item_bytes == 2) {
		tensor.type = safetensors_type_of('B', 2);
	} else {
		tensor.type = safetensors_type_of(npy->kind, npy->item_bytes);
	}
	assert(tensor.type != NULL && tensor.dims <= SAFETENSORS_DIMS_MAX);
	return tensor;
}

static enum status write_safetensors(struct output *target, const struct member *members,
	size_t count, struct error *err)
{
	struct safetensor tensors[COLUMNS];
	for (size_t i = 0; i < count; i++) {
		tensors[i] = tensor_of(&members[i]);
	}
	enum status status = safetensors_write_header(tensors, count, target, err);
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		status = output_write(target, tensors[i].data, (size_t)tensors[i].bytes, err);
	}
	return status;
}

enum status archive_write(enum format format, struct output *target,
	struct output *const columns[COLUMNS], struct error *err)
{
	struct member members[COLUMNS] = {0};
	size_t count = 0;
	enum status status = STATUS_OK;
	for (size_t i = 0; i < COLUMNS && status == STATUS_OK; i++) {
		if (columns[i]->file != NULL) {
			members[count].column = (enum column)i;
			status = map_member(columns[i], &members[count++], err);
		}
	}
	if (status == STATUS_OK) {
		status = format == FORMAT_NPZ ? write_npz(target, members, count, err)
					      : write_safetensors(target, members, count, err);
	}
	for (size_t i = 0; i < count; i++) {
		if (members[i].data != NULL) {
			munmap((void *)members[i].data, members[i].len);
		}
	}
	return status;
}
