/* npz_map.c - lays an npz file out, and writes what depends on its elements at the end. */
#include "tools/format/npz_map.h"

#include "tools/format/npy.h"
#include "tools/format/zip_write.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* An npy header has as many bytes whatever its shape's first number is; others are short. */
static size_t header_of(const struct npz_array *array, uint8_t header[NPY_HEADER_BYTES_WRITTEN])
{
	return npy_write_header(array->descr, array->shape, array->dims, header);
}

enum status npz_map_add(struct npz_map *npz, const char *name, const char *descr,
	const uint64_t *shape, uint32_t dims, struct error *err)
{
	assert(npz->map == NULL && dims >= 1 && dims <= NPZ_MAP_DIMS);
	uint8_t header[NPY_HEADER_BYTES_WRITTEN];
	assert(strlen(descr) > 2);
	size_t bytes = strtoul(descr + 2, NULL, 10); /* of an element */
	bool too_large = npz->count == NPZ_MAP_ARRAYS_MAX;
	for (uint32_t i = 0; i < dims; i++) {
		too_large = too_large || __builtin_mul_overflow(bytes, shape[i], &bytes);
	}
	if (too_large || bytes > SIZE_MAX / 4 || npz->len > SIZE_MAX / 4) {
		return error_set(err, STATUS_TOO_LARGE, "'%s': more than a file can hold", name);
	}
	if (npz->count == npz->cap) {
		const size_t cap = npz->cap > 0 ? 2 * npz->cap : 16;
		struct npz_array *arrays = reallocarray(npz->arrays, cap, sizeof *arrays);
		if (arrays == NULL) {
			return error_set(err, STATUS_NO_MEMORY, "no memory for arrays");
		}
		npz->arrays = arrays;
		npz->cap = cap;
	}
	struct npz_array *array = &npz->arrays[npz->count];
	*array = (struct npz_array){.dims = dims};
	memcpy(array->shape, shape, dims * sizeof *shape);
	snprintf(array->descr, sizeof array->descr, "%s", descr);
	const int len = snprintf(array->name, sizeof array->name, "%s.npy", name);
	assert(len > 0 && (size_t)len < sizeof array->name);
	array->at = npz->len + zip_write_header_bytes(array->name);
	array->len = header_of(array, header) + bytes;
	npz->len = array->at + array->len;
	npz->count++;
	return STATUS_OK;
}

static enum status failed(const struct npz_map *npz, const char *what, int error_number,
	struct error *err)
{
	return error_set(err, status_of_errno(error_number), "%s '%s', %zu bytes: %s", what,
		npz->output.path, npz->len, strerror(error_number));
}

enum status npz_map_create(struct npz_map *npz, const char *path, struct error *err)
{
	assert(npz->count > 0 && npz->map == NULL);
	if (strcmp(path, "-") == 0) {
		return error_set(err, STATUS_BAD_REQUEST,
			"npz goes into a file, not to standard output");
	}
	enum status status = output_open(path, &npz->output, err);
	if (status != STATUS_OK) {
		return status;
	}
	const int fd = fileno(npz->output.file);
	const int error_number = posix_fallocate(fd, 0, (off_t)npz->len);
	if (error_number != 0) {
		return failed(npz, "take room for", error_number, err);
	}
	void *map = mmap(NULL, npz->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		return failed(npz, "map", errno, err);
	}
	npz->map = map;
	for (size_t i = 0; i < npz->count; i++) {
		struct npz_array *array = &npz->arrays[i];
		uint8_t header[NPY_HEADER_BYTES_WRITTEN];
		const size_t header_bytes = header_of(array, header);
		memcpy(npz->map + array->at, header, header_bytes);
		array->data = npz->map + array->at + header_bytes;
	}
	return STATUS_OK;
}

enum status npz_map_commit(struct npz_map *npz, struct error *err)
{
	struct zip_writer writer = {.output = &npz->output};
	enum status status = STATUS_OK;
	assert(npz->map != NULL);
	for (size_t i = 0; i < npz->count && status == STATUS_OK; i++) {
		const struct npz_array *array = &npz->arrays[i];
		status = zip_write_placed(&writer, array->name, npz->map + array->at, array->len,
			err);
		assert(status != STATUS_OK || writer.at == array->at + array->len);
	}
	if (status == STATUS_OK) {
		status = zip_write_end(&writer, err);
	}
	zip_writer_fini(&writer);
	return status == STATUS_OK ? output_commit(&npz->output, err) : status;
}

void npz_map_close(struct npz_map *npz)
{
	if (npz->map != NULL) {
		munmap(npz->map, npz->len);
	}
	output_abort(&npz->output);
	free(npz->arrays);
	*npz = (struct npz_map){0};
}
