/* source_npy.c - rows from npy files, which are mapped; one file a column. */
#include "tools/format/source.h"

#include "schema/checksum.h"
#include "schema/dtype.h"
#include "schema/limits.h"
#include "tools/format/buffer.h"
#include "tools/format/npy.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct array {
	const char *path; /* borrowed; NULL: not given */
	struct mapping mapping;
	struct npy npy;
};

struct source_npy {
	struct source source; /* first */
	struct source_options options;
	struct array keys;
	struct array rows;
	struct array times;
	struct array scales;
	struct array tags;
	struct array weights;
	enum dtype dtype;
	size_t row_bytes;
	/* The columns of one chunk, copied to be aligned; keys packed. */
	struct buffer key_buffer;
	struct buffer time_buffer;
	struct buffer scale_buffer;
	struct buffer tag_buffer;
	struct buffer weight_buffer;
};

static enum status wrong(const struct array *array, struct error *err, const char *what)
{
	return error_set(err, STATUS_BAD_REQUEST, "'%s': %s", array->path, what);
}

/* An array's descr and shape for a person: "f4", "[100, 64]". */
struct given {
	char descr[32];
	char shape[96];
};

static struct given given_of(const struct array *array)
{
	struct given given = {0};
	const struct npy *npy = &array->npy;
	snprintf(given.descr, sizeof given.descr, "%c%zu", npy->kind, npy->item_bytes);
	size_t len = (size_t)snprintf(given.shape, sizeof given.shape, "[");
	for (uint32_t i = 0; i < npy->dims && len < sizeof given.shape; i++) {
		len += (size_t)snprintf(given.shape + len, sizeof given.shape - len, "%s%" PRIu64,
			i > 0 ? ", " : "", npy->shape[i]);
	}
	if (len < sizeof given.shape) {
		snprintf(given.shape + len, sizeof given.shape - len, "]");
	}
	return given;
}

/* The array's descr is not one that the table takes. */
static enum status wrong_descr(const struct array *array, struct error *err, const char *allowed)
{
	return error_set(err, STATUS_BAD_REQUEST, "'%s': descr: %s given, %s", array->path,
		given_of(array).descr, allowed);
}

static bool is_type(const struct array *array, char kind, size_t bytes)
{
	return array->npy.kind == kind && array->npy.item_bytes == bytes;
}

static enum status open_array(struct array *array, const char *path, struct error *err)
{
	array->path = path;
	if (path == NULL) {
		return STATUS_OK;
	}
	enum status status = mapping_open(path, &array->mapping, err);
	if (status == STATUS_OK) {
		static const uint8_t none[1];
		const uint8_t *data = array->mapping.data != NULL ? array->mapping.data : none;
		status = npy_read(data, array->mapping.len, path, &array->npy, err);
	}
	return status;
}

/* ---- keys ---- */

/* Element i of an array of integers of any size. negative: out, whether it is below 0. */
static uint64_t integer_at(const struct npy *npy, uint64_t i, bool *negative)
{
	const uint8_t *at = npy->data + i * npy->item_bytes;
	uint64_t value = 0;
	memcpy(&value, at, npy->item_bytes);
	*negative = npy->kind == 'i' && (at[npy->item_bytes - 1] & 0x80) != 0;
	return value;
}

static int64_t signed_at(const struct npy *npy, uint64_t i)
{
	bool negative = false;
	const unsigned unused_bits = (unsigned)(64 - 8 * npy->item_bytes);
	return (int64_t)(integer_at(npy, i, &negative) << unused_bits) >> unused_bits;
}

/* How many bytes string i has without the NULs that NumPy pads it with. */
static size_t string_bytes(const struct npy *npy, uint64_t i)
{
	const uint8_t *at = npy->data + i * npy->item_bytes;
	size_t len = npy->item_bytes;
	while (len > 0 && at[len - 1] == 0) {
		len--;
	}
	return len;
}

static enum status check_u64_keys(const struct array *keys, struct error *err)
{
	if (keys->npy.kind != 'u' && keys->npy.kind != 'i') {
		return wrong_descr(keys, err,
			"keys of this table are integers: save x.astype('u8')");
	}
	for (uint64_t i = 0; keys->npy.kind == 'i' && i < keys->npy.elements; i++) {
		bool negative = false;
		integer_at(&keys->npy, i, &negative);
		if (negative) {
			return error_set(err, STATUS_BAD_REQUEST,
				"'%s': key %" PRIu64 " is %" PRId64
				"; keys of this table are 0 to 2^64 - 1",
				keys->path, i, signed_at(&keys->npy, i));
		}
	}
	return STATUS_OK;
}

static enum status check_byte_keys(const struct array *keys, struct error *err)
{
	if (keys->npy.kind != 'S') {
		return wrong_descr(keys, err,
			"keys of this table are byte strings: save x.astype('S')");
	}
	for (uint64_t i = 0; i < keys->npy.elements; i++) {
		size_t len = string_bytes(&keys->npy, i);
		if (len == 0 || len > LIMIT_KEY_BYTES) {
			return error_set(err, STATUS_BAD_REQUEST,
				"'%s': key %" PRIu64 " has %zu bytes; 1 to %u are allowed",
				keys->path, i, len, LIMIT_KEY_BYTES);
		}
	}
	return STATUS_OK;
}

static enum status check_keys(const struct source_npy *source, struct error *err)
{
	if (source->keys.npy.dims != 1) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': shape: %s given, keys have one dimension", source->keys.path,
			given_of(&source->keys).shape);
	}
	return source->options.spec->key_type == REP_KEY_BYTES ? check_byte_keys(&source->keys, err)
							       : check_u64_keys(&source->keys, err);
}

/* ---- rows ---- */

static enum dtype dtype_of_array(const struct npy *npy)
{
	static const struct {
		size_t bytes;
		enum dtype dtype;
		char kind;
	} types[] = {{4, DTYPE_F32, 'f'}, {2, DTYPE_F16, 'f'}, {2, DTYPE_BF16, 'u'},
		{1, DTYPE_I8, 'i'}, {1, DTYPE_BIT, 'u'}};
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (npy->kind == types[i].kind && npy->item_bytes == types[i].bytes) {
			return types[i].dtype;
		}
	}
	return DTYPE_NONE;
}

static enum status check_rows(struct source_npy *source, struct error *err)
{
	const struct rep_table_spec *spec = source->options.spec;
	const struct npy *npy = &source->rows.npy;
	source->dtype = dtype_of_array(npy);
	if (source->dtype == DTYPE_NONE) {
		return wrong_descr(&source->rows, err,
			"rows are f4, f2, u2 (bf16), i1 (i8, with --scales) or u1 (packed bits): save x.astype('f4')");
	}
	if (!dtype_convertible(source->dtype, (enum dtype)spec->dtype)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': descr: %s rows do not convert into %s, which the table holds",
			source->rows.path, dtype_name(source->dtype),
			dtype_name((enum dtype)spec->dtype));
	}
	source->row_bytes = dtype_row_bytes(source->dtype, spec->dim, spec->views);
	size_t elements = source->row_bytes / npy->item_bytes;
	bool flat = npy->dims == 2 && npy->shape[1] == elements;
	bool viewed = npy->dims == 3 && npy->shape[1] == spec->views &&
		      npy->shape[2] == elements / spec->views;
	if (!flat && !viewed) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': shape: %s given, rows of this table are [n, %zu] or [n, %u, %zu]",
			source->rows.path, given_of(&source->rows).shape, elements, spec->views,
			elements / spec->views);
	}
	if (npy->shape[0] != source->keys.npy.shape[0]) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': shape: %" PRIu64 " rows, but '%s' has %" PRIu64 " keys",
			source->rows.path, npy->shape[0], source->keys.path,
			source->keys.npy.shape[0]);
	}
	return STATUS_OK;
}

/* ---- other columns ---- */

static enum status check_column(const struct source_npy *source, const struct array *column,
	char kind, size_t bytes, struct error *err)
{
	if (column->path == NULL) {
		return STATUS_OK;
	}
	if (!is_type(column, kind, bytes)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': descr: %s given, this column is %c%zu: save x.astype('%c%zu')",
			column->path, given_of(column).descr, kind, bytes, kind, bytes);
	}
	if (column->npy.dims != 1 || column->npy.shape[0] != source->keys.npy.shape[0]) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': shape: %s given, [%" PRIu64 "] is as many as there are keys",
			column->path, given_of(column).shape, source->keys.npy.shape[0]);
	}
	return STATUS_OK;
}

static enum status check_columns(const struct source_npy *source, struct error *err)
{
	bool i8 = source->dtype == DTYPE_I8;
	if (i8 && source->scales.path == NULL) {
		return wrong(&source->rows, err, "i8 rows need --scales, one f4 a row");
	}
	if (!i8 && source->scales.path != NULL) {
		return wrong(&source->scales, err, "only i8 rows have scales");
	}
	if (source->tags.path != NULL && !source->options.spec->tags) {
		return wrong(&source->tags, err, "this table has no tags");
	}
	if (source->weights.path != NULL && source->options.spec->kind != REP_CR) {
		return wrong(&source->weights, err, "only tables of kind cr have weights");
	}
	enum status status = check_column(source, &source->scales, 'f', 4, err);
	if (status == STATUS_OK) {
		status = check_column(source, &source->times, 'i', 8, err);
	}
	if (status == STATUS_OK) {
		status = check_column(source, &source->tags, 'u', 8, err);
	}
	if (status == STATUS_OK) {
		status = check_column(source, &source->weights, 'f', 4, err);
	}
	return status;
}

/* ---- handing out ---- */

static enum status pack_keys(struct source_npy *source, uint64_t first, uint32_t count,
	struct rep_rows *out)
{
	const struct npy *npy = &source->keys.npy;
	struct buffer *buffer = &source->key_buffer;
	if (is_type(&source->keys, 'u', 8)) {
		out->keys = (struct rep_keys){REP_KEY_U64, count, npy->data + first * 8,
			(size_t)count * 8};
		return STATUS_OK;
	}
	buffer->len = 0;
	for (uint64_t i = first; i < first + count; i++) {
		enum status status = STATUS_OK;
		if (npy->kind == 'S') {
			const uint8_t len = (uint8_t)string_bytes(npy, i);
			status = buffer_add(buffer, &len, 1);
			if (status == STATUS_OK) {
				status = buffer_add(buffer, npy->data + i * npy->item_bytes, len);
			}
		} else {
			bool negative = false;
			const uint64_t key = integer_at(npy, i, &negative);
			status = buffer_add(buffer, &key, sizeof key);
		}
		if (status != STATUS_OK) {
			return status;
		}
	}
	out->keys = (struct rep_keys){npy->kind == 'S' ? REP_KEY_BYTES : REP_KEY_U64, count,
		buffer->data, buffer->len};
	return STATUS_OK;
}

/* Copies a slice of a column, so that it is aligned. */
static enum status copy_column(const struct array *column, struct buffer *buffer, uint64_t first,
	uint32_t count, const void **out)
{
	if (column->path == NULL) {
		return STATUS_OK;
	}
	buffer->len = 0;
	enum status status = buffer_add(buffer, column->npy.data + first * column->npy.item_bytes,
		count * column->npy.item_bytes);
	*out = buffer->data;
	return status;
}

static enum status slice(struct source_npy *source, uint64_t first, uint32_t count,
	struct rep_rows *out, struct error *err)
{
	const void *scales = NULL;
	const void *times = NULL;
	const void *tags = NULL;
	const void *weights = NULL;
	*out = (struct rep_rows){
		.dtype = (enum rep_dtype)source->dtype,
		.rows = source->rows.npy.data + first * source->row_bytes,
		.allow_nonfinite = source->options.allow_nonfinite,
		.any_time = source->options.time.any,
	};
	enum status status = pack_keys(source, first, count, out);
	if (status == STATUS_OK) {
		status = copy_column(&source->scales, &source->scale_buffer, first, count, &scales);
	}
	if (status == STATUS_OK) {
		status = copy_column(&source->times, &source->time_buffer, first, count, &times);
	}
	if (status == STATUS_OK) {
		status = copy_column(&source->tags, &source->tag_buffer, first, count, &tags);
	}
	if (status == STATUS_OK) {
		status = copy_column(&source->weights, &source->weight_buffer, first, count,
			&weights);
	}
	if (status != STATUS_OK) {
		return error_set(err, status, "no memory for a chunk of %u rows", count);
	}
	if (times != NULL) {
		char what[256];
		snprintf(what, sizeof what, "'%s'", source->times.path);
		status = row_times_take(&source->options.time,
			(int64_t *)(void *)source->time_buffer.data, count, what, first, err);
	}
	out->scales = scales;
	out->times = times;
	out->tags = tags;
	out->weights = weights;
	return status;
}

static uint32_t chunk_at(const struct source_npy *source, uint64_t first)
{
	assert(first <= source->keys.npy.elements);
	uint64_t left = source->keys.npy.elements - first;
	return left < source->options.chunk_rows ? (uint32_t)left : source->options.chunk_rows;
}

static enum status next(struct source *base, struct rep_rows *out, struct error *err)
{
	struct source_npy *source = (struct source_npy *)base;
	uint32_t count = chunk_at(source, base->done);
	enum status status = slice(source, base->done, count, out, err);
	base->done += count;
	/* One byte of each page: rows are not copied, and are to be there when they are sent. */
	enum { PAGE_BYTES = 4096 };
	const volatile uint8_t *rows = out->rows;
	for (size_t at = 0; at < count * source->row_bytes; at += PAGE_BYTES) {
		(void)rows[at];
	}
	return status != STATUS_OK ? status : mapping_check(err);
}

/* Adds rows to the hash of the content, while the processor's cache has them. */
static uint64_t add_content(uint64_t before, const struct rep_rows *rows, size_t rows_bytes)
{
	const size_t count = rows->keys.count;
	const uint64_t parts[] = {before, checksum(rows->keys.data, rows->keys.bytes),
		checksum(rows->rows, rows_bytes),
		rows->times != NULL ? checksum(rows->times, count * 8) : 1,
		rows->tags != NULL ? checksum(rows->tags, count * 8) : 1,
		rows->scales != NULL ? checksum(rows->scales, count * 4) : 1,
		rows->weights != NULL ? checksum(rows->weights, count * 4) : 1};
	return checksum(parts, sizeof parts);
}

/* Checks every value of every row, before anything is sent. */
static enum status check_values(struct source_npy *source, struct error *err)
{
	char what[256];
	snprintf(what, sizeof what, "'%s'", source->rows.path);
	for (uint64_t first = 0; first < source->keys.npy.elements;) {
		struct rep_rows rows;
		uint32_t count = chunk_at(source, first);
		enum status status = slice(source, first, count, &rows, err);
		if (status == STATUS_OK) {
			status = source_check(&rows, &source->options, what, first, err);
		}
		if (status != STATUS_OK) {
			return status;
		}
		if (mapping_check(err) != STATUS_OK) {
			return STATUS_BAD_REQUEST;
		}
		source->source.content =
			add_content(source->source.content, &rows, count * source->row_bytes);
		first += count;
	}
	return STATUS_OK;
}

static void close_npy(struct source *base)
{
	struct source_npy *source = (struct source_npy *)base;
	struct array *arrays[] = {&source->keys, &source->rows, &source->times, &source->scales,
		&source->tags, &source->weights};
	for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
		mapping_close(&arrays[i]->mapping);
	}
	buffer_fini(&source->key_buffer);
	buffer_fini(&source->time_buffer);
	buffer_fini(&source->scale_buffer);
	buffer_fini(&source->tag_buffer);
	buffer_fini(&source->weight_buffer);
	free(source);
}

static enum status open_arrays(struct source_npy *source, struct error *err)
{
	const struct source_options *options = &source->options;
	enum status status = open_array(&source->keys, options->keys, err);
	if (status == STATUS_OK) {
		status = open_array(&source->rows, options->rows, err);
	}
	if (status == STATUS_OK) {
		status = open_array(&source->times, options->times, err);
	}
	if (status == STATUS_OK) {
		status = open_array(&source->scales, options->scales, err);
	}
	if (status == STATUS_OK) {
		status = open_array(&source->tags, options->tags, err);
	}
	if (status == STATUS_OK) {
		status = open_array(&source->weights, options->weights, err);
	}
	return status;
}

enum status source_open_npy(const struct source_options *options, struct source **out,
	struct error *err)
{
	struct source_npy *source = calloc(1, sizeof *source);
	if (source == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for an import");
	}
	source->source = (struct source){.next = next, .close = close_npy};
	source->options = *options;
	enum status status = open_arrays(source, err);
	if (status == STATUS_OK) {
		status = check_keys(source, err);
	}
	if (status == STATUS_OK) {
		status = check_rows(source, err);
	}
	if (status == STATUS_OK) {
		status = check_columns(source, err);
	}
	if (status == STATUS_OK) {
		status = check_values(source, err);
	}
	if (status != STATUS_OK) {
		close_npy(&source->source);
		return status;
	}
	source->source.total = source->keys.npy.elements;
	*out = &source->source;
	return STATUS_OK;
}
