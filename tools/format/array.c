/* array.c - hands out arrays in place where they can be, and from a buffer where not. */
#include "tools/format/array.h"

#include "tools/format/inflater.h"
#include "tools/format/zip.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

enum { ALIGN_BYTES = 8 };

static uint64_t bytes_of(const struct array *array)
{
	return array->npy.elements * array->npy.item_bytes;
}

static enum status name_array(struct array *array, const char *archive, const char *column,
	struct error *err)
{
	const int len = column != NULL ? asprintf(&array->name, "%s: %s", archive, column)
				       : asprintf(&array->name, "%s", archive);
	if (len < 0) {
		array->name = NULL;
		return error_set(err, STATUS_NO_MEMORY, "no memory for the name of an array");
	}
	return STATUS_OK;
}

enum status array_open_npy(struct array *array, const char *path, struct error *err)
{
	static const uint8_t none[1];
	enum status status = name_array(array, path, NULL, err);
	if (status == STATUS_OK) {
		status = mapping_open(path, &array->mapping, err);
	}
	if (status == STATUS_OK) {
		const uint8_t *data = array->mapping.data != NULL ? array->mapping.data : none;
		status = npy_read(data, array->mapping.len, path, &array->npy, err);
	}
	return status;
}

enum status array_open_memory(struct array *array, const char *archive, const char *column,
	const struct npy *npy, struct error *err)
{
	array->npy = *npy;
	return name_array(array, archive, column, err);
}

/* A file that was cut reads as zeros, so whatever seems wrong with it may be that. */
static enum status damaged(const struct array *array, struct error *err)
{
	return mapping_check(err) != STATUS_OK
		       ? STATUS_BAD_REQUEST
		       : error_set(err, STATUS_BAD_REQUEST,
				 "'%s': it has not the CRC that the directory of the zip archive says; it is damaged",
				 array->name);
}

/* ---- members ---- */

/* Makes room for a piece in memory of the array's own. */
static enum status room(struct array *array, size_t len, void **out, struct error *err)
{
	array->piece.len = 0;
	*out = buffer_room(&array->piece, len > 0 ? len : 1);
	return *out != NULL
		       ? STATUS_OK
		       : error_set(err, STATUS_NO_MEMORY,
				 "no memory for a piece of %zu bytes of '%s'", len, array->name);
}

/* Reads the header of a deflated member, whose first bytes are inflated for that. */
static enum status inflate_head(struct array *array, const struct zip_member *member,
	struct error *err)
{
	const size_t len =
		member->bytes < NPY_HEAD_BYTES_MAX ? (size_t)member->bytes : NPY_HEAD_BYTES_MAX;
	void *head = NULL;
	enum status status = room(array, len, &head, err);
	if (status == STATUS_OK) {
		status = inflater_read(array->inflater, head, len, err);
	}
	if (status == STATUS_OK) {
		status = npy_read_head(head, len, member->bytes, array->name, &array->npy, err);
	}
	array->npy.header = NULL; /* the next piece takes its place */
	return status;
}

enum status array_open_member(struct array *array, const char *archive, const char *column,
	const struct zip_member *member, struct error *err)
{
	enum status status = name_array(array, archive, column, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (member->method == ZIP_DEFLATED) {
		status = inflater_open(member, array->name, &array->inflater, err);
		if (status == STATUS_OK) {
			status = inflate_head(array, member, err);
		}
	} else {
		array->has_crc = true;
		array->crc = member->crc;
		status = npy_read(member->packed, member->packed_bytes, array->name, &array->npy,
			err);
	}
	const void *none = NULL;
	if (status == STATUS_OK && bytes_of(array) == 0) {
		status = array_read(array, 0, 0, &none, err); /* nothing else would read it */
	}
	return status;
}

void array_close(struct array *array)
{
	inflater_close(array->inflater);
	mapping_close(&array->mapping);
	buffer_fini(&array->piece);
	free(array->name);
	*array = (struct array){0};
}

/* ---- pieces ---- */

/* Passes the header, from the beginning. */
static enum status begin(struct array *array, struct error *err)
{
	const size_t header_bytes = array->npy.header_bytes;
	void *header = NULL;
	array->read = 0;
	if (array->has_crc) {
		array->crc_read = (uint32_t)crc32_z(0, array->npy.header, header_bytes);
	}
	if (array->inflater == NULL) {
		return STATUS_OK;
	}
	enum status status = inflater_rewind(array->inflater, err);
	if (status == STATUS_OK) {
		status = room(array, header_bytes, &header, err);
	}
	return status == STATUS_OK ? inflater_read(array->inflater, header, header_bytes, err)
				   : status;
}

static enum status read_in_place(struct array *array, size_t len, const void **out,
	struct error *err)
{
	const uint8_t *data = array->npy.data + array->read;
	void *copy = NULL;
	if (array->has_crc) {
		array->crc_read = (uint32_t)crc32_z(array->crc_read, data, len);
		if (array->read + len == bytes_of(array) && array->crc_read != array->crc) {
			return damaged(array, err);
		}
	}
	*out = data;
	if ((uintptr_t)data % ALIGN_BYTES == 0) {
		return STATUS_OK;
	}
	const enum status status = room(array, len, &copy, err);
	if (status == STATUS_OK && len > 0) {
		memcpy(copy, data, len);
	}
	*out = copy;
	return status;
}

enum status array_read(struct array *array, uint64_t at, size_t len, const void **out,
	struct error *err)
{
	assert(array->name != NULL && (at == 0 || at == array->read));
	assert(len <= bytes_of(array) - at);
	enum status status = at == 0 ? begin(array, err) : STATUS_OK;
	void *piece = NULL;
	if (status == STATUS_OK && array->inflater == NULL) {
		status = read_in_place(array, len, out, err);
	} else if (status == STATUS_OK) {
		status = room(array, len, &piece, err);
		if (status == STATUS_OK) {
			status = inflater_read(array->inflater, piece, len, err);
		}
		*out = piece;
	}
	if (status == STATUS_OK) {
		array->read = at + len;
	} else if (status == STATUS_BAD_REQUEST && mapping_check(err) != STATUS_OK) {
		return STATUS_BAD_REQUEST;
	}
	return status;
}
