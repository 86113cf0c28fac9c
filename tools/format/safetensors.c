/* safetensors.c - reads the header of a safetensors file, and checks where it puts the tensors. */
#include "tools/format/safetensors.h"

#include "tools/format/file_kind.h"
#include "tools/format/json_scan.h"
#include "tools/format/little.h"
#include "tools/format/npy.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8 };
static_assert((int)SAFETENSORS_DIMS_MAX == (int)NPY_DIMS_MAX, "a shape is printed as one of npy");

static const struct safetensors_type types[] = {
	{"F32", 'f', 4},
	{"F16", 'f', 2},
	{"BF16", 'B', 2},
	{"F64", 'f', 8},
	{"I8", 'i', 1},
	{"I16", 'i', 2},
	{"I32", 'i', 4},
	{"I64", 'i', 8},
	{"U8", 'u', 1},
	{"U16", 'u', 2},
	{"U32", 'u', 4},
	{"U64", 'u', 8},
	{"BOOL", 'b', 1},
	{"F8_E4M3", 'x', 1},
	{"F8_E5M2", 'x', 1},
	{"F8_E8M0", 'x', 1},
	{"C64", 'x', 8},
};
enum { TYPES = sizeof types / sizeof types[0] };

const struct safetensors_type *safetensors_type_of(char kind, size_t bytes)
{
	for (size_t i = 0; i < TYPES; i++) {
		if (types[i].kind == kind && types[i].bytes == bytes) {
			return &types[i];
		}
	}
	return NULL;
}

/* A file that is being read. */
struct reader {
	const char *name;
	struct json_scan scan;
	struct safetensors *out;
	size_t cap;       /* of out->tensors */
	size_t names_len; /* of out->names */
	struct error *err;
};

static enum status wrong_json(const struct reader *reader, const char *what)
{
	return error_set(reader->err, STATUS_BAD_REQUEST, "'%s': header: %s (at byte %zu of it)",
		reader->name, what != NULL ? what : "not JSON", reader->scan.at);
}

static enum status wrong(const struct reader *reader, const char *tensor, const char *what)
{
	char quoted[ERROR_QUOTE_BYTES];
	return error_set(reader->err, STATUS_BAD_REQUEST, "'%s': tensor '%s': %s", reader->name,
		error_quote(quoted, tensor, strlen(tensor)), what);
}

static bool is_text(const struct json_value *value, const char *text)
{
	char own[16];
	const size_t len = strlen(text);
	return value->kind == JSON_STRING && json_value_string(value, own, sizeof own) == len &&
	       memcmp(own, text, len) == 0;
}

/* ---- one tensor ---- */

static enum status read_type(const struct reader *reader, const struct json_value *value,
	struct safetensor *out)
{
	char quoted[ERROR_QUOTE_BYTES];
	char name[ERROR_QUOTE_BYTES];
	for (size_t i = 0; i < TYPES; i++) {
		if (is_text(value, types[i].name)) {
			out->type = &types[i];
			return STATUS_OK;
		}
	}
	return error_set(reader->err, STATUS_BAD_REQUEST,
		"'%s': tensor '%s': dtype: %s given; F16, BF16, F32, F64, I8 to I64, U8 to U64, BOOL, F8_E4M3, F8_E5M2, F8_E8M0 and C64 are known",
		reader->name, error_quote(name, out->name, strlen(out->name)),
		error_quote(quoted, value->text, value->len));
}

/* Reads an array of at most `cap` numbers. False: it is none, or has more. */
static bool read_numbers(const struct json_value *value, uint64_t *out, uint32_t cap,
	uint32_t *count)
{
	struct json_scan scan = {.text = value->text, .len = value->len};
	if (value->kind != JSON_ARRAY || !json_scan_mark(&scan, '[')) {
		return false;
	}
	*count = 0;
	while (!json_scan_mark(&scan, ']')) {
		struct json_value each = {0};
		if (*count == cap || !json_scan_value(&scan, &each) ||
			!json_value_u64(&each, &out[*count])) {
			return false;
		}
		++*count;
		json_scan_mark(&scan, ',');
	}
	return true;
}

/* Checks that the bytes between the offsets are those of the shape. */
static enum status check_bytes(const struct reader *reader, struct safetensor *tensor,
	const uint64_t offsets[2])
{
	char quoted[ERROR_QUOTE_BYTES];
	char shape[NPY_SHAPE_BYTES];
	uint64_t bytes = tensor->type->bytes;
	for (uint32_t i = 0; i < tensor->dims; i++) {
		if (__builtin_mul_overflow(bytes, tensor->shape[i], &bytes)) {
			return wrong(reader, tensor->name, "shape: its bytes are over 2^64");
		}
	}
	if (offsets[0] > offsets[1] || offsets[1] - offsets[0] != bytes) {
		return error_set(reader->err, STATUS_BAD_REQUEST,
			"'%s': tensor '%s': data_offsets: %" PRIu64 " to %" PRIu64
			" given, %s %s has %" PRIu64 " bytes",
			reader->name, error_quote(quoted, tensor->name, strlen(tensor->name)),
			offsets[0], offsets[1], tensor->type->name,
			npy_shape(tensor->shape, tensor->dims, shape), bytes);
	}
	tensor->at = offsets[0];
	tensor->bytes = bytes;
	return STATUS_OK;
}

/* The three members of a tensor's entry. */
struct entry {
	struct json_value dtype;
	struct json_value shape;
	struct json_value offsets;
};

/* Finds the members of an object that is known to be well-formed. */
static enum status find_members(const struct reader *reader, const char *name,
	const struct json_value *object, struct entry *out)
{
	struct json_scan scan = {.text = object->text, .len = object->len, .at = 1};
	while (object->kind == JSON_OBJECT && !json_scan_mark(&scan, '}')) {
		struct json_value member = {0};
		struct json_value value = {0};
		bool whole = json_scan_value(&scan, &member) && json_scan_mark(&scan, ':') &&
			     json_scan_value(&scan, &value);
		assert(whole);
		json_scan_mark(&scan, ',');
		struct json_value *target = is_text(&member, "dtype")          ? &out->dtype
					    : is_text(&member, "shape")        ? &out->shape
					    : is_text(&member, "data_offsets") ? &out->offsets
									       : NULL;
		if (target == NULL || target->kind != JSON_ABSENT) {
			return wrong(reader, name,
				"a member that is not dtype, shape or data_offsets, or is there twice");
		}
		*target = value;
	}
	return STATUS_OK;
}

static enum status read_tensor(struct reader *reader, const char *name,
	const struct json_value *object)
{
	struct entry entry = {0};
	struct safetensor tensor = {.name = name};
	uint64_t offsets[2] = {0};
	uint32_t count = 0;
	assert(name != NULL);
	enum status status = find_members(reader, name, object, &entry);
	if (status == STATUS_OK && entry.dtype.kind == JSON_ABSENT) {
		status = wrong(reader, name, "it has no dtype");
	}
	if (status == STATUS_OK) {
		status = read_type(reader, &entry.dtype, &tensor);
	}
	if (status != STATUS_OK) {
		return status;
	}
	if (!read_numbers(&entry.shape, tensor.shape, SAFETENSORS_DIMS_MAX, &tensor.dims)) {
		return wrong(reader, name, "shape: not an array of at most 8 numbers below 2^64");
	}
	if (!read_numbers(&entry.offsets, offsets, 2, &count) || count != 2) {
		return wrong(reader, name, "data_offsets: not two numbers below 2^64");
	}
	status = check_bytes(reader, &tensor, offsets);
	if (status != STATUS_OK) {
		return status;
	}
	struct safetensors *out = reader->out;
	if (out->count == SAFETENSORS_COUNT_MAX) {
		return wrong(reader, name, "more than 100000 tensors in one file");
	}
	if (out->count == reader->cap) {
		reader->cap = reader->cap > 0 ? 2 * reader->cap : 64;
		struct safetensor *more = realloc(out->tensors, reader->cap * sizeof *more);
		if (more == NULL) {
			return error_set(reader->err, STATUS_NO_MEMORY,
				"'%s': no memory for %zu tensors", reader->name, reader->cap);
		}
		out->tensors = more;
	}
	out->tensors[out->count++] = tensor;
	return STATUS_OK;
}

/* ---- the header ---- */

/* Keeps a tensor's name, which ends in a NUL. */
static enum status keep_name(struct reader *reader, const struct json_value *value,
	const char **out)
{
	/* A name has at most as many bytes as its text, whose quotes leave room for the NUL. */
	char *name = reader->out->names + reader->names_len;
	const size_t len = json_value_string(value, name, value->len - 1);
	assert(len < value->len);
	name[len] = '\0';
	if (len == 0 || strlen(name) != len) {
		return wrong_json(reader, "the name of a tensor is empty, or has a NUL in it");
	}
	reader->names_len += len + 1;
	*out = name;
	return STATUS_OK;
}

/* Takes one `"name": {...}`. */
static enum status take_entry(struct reader *reader)
{
	struct json_scan *scan = &reader->scan;
	struct json_value name = {0};
	struct json_value value = {0};
	if (!json_scan_value(scan, &name)) {
		return wrong_json(reader, scan->wrong);
	}
	if (name.kind != JSON_STRING || !json_scan_mark(scan, ':')) {
		return wrong_json(reader, "not a name and a colon");
	}
	if (!json_scan_value(scan, &value)) {
		return wrong_json(reader, scan->wrong);
	}
	if (value.kind != JSON_OBJECT) {
		return wrong_json(reader, "what a name has is not an object");
	}
	if (is_text(&name, "__metadata__")) {
		return STATUS_OK; /* text for people and programs, of which nothing is used */
	}
	const char *kept = NULL;
	const enum status status = keep_name(reader, &name, &kept);
	return status == STATUS_OK ? read_tensor(reader, kept, &value) : status;
}

static enum status read_header(struct reader *reader)
{
	struct json_scan *scan = &reader->scan;
	if (scan->len == 0 || scan->text[0] != '{') {
		return wrong_json(reader, "not a JSON object");
	}
	scan->at = 1;
	bool comma = true;
	while (!json_scan_mark(scan, '}')) {
		if (!comma) {
			return wrong_json(reader, "a comma is missing");
		}
		const enum status status = take_entry(reader);
		if (status != STATUS_OK) {
			return status;
		}
		comma = json_scan_mark(scan, ',');
	}
	return json_scan_ended(scan) ? STATUS_OK
				     : wrong_json(reader, "something stands behind the object");
}

/* ---- all tensors ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct safetensor *)a)->name, ((const struct safetensor *)b)->name);
}

static int by_place(const void *a, const void *b)
{
	const struct safetensor *left = a;
	const struct safetensor *right = b;
	if (left->at != right->at) {
		return left->at < right->at ? -1 : 1;
	}
	if (left->bytes != right->bytes) {
		return left->bytes < right->bytes ? -1 : 1; /* empty ones are before their place */
	}
	return by_name(a, b);
}

static enum status check_names(const struct reader *reader)
{
	struct safetensors *out = reader->out;
	qsort(out->tensors, out->count, sizeof *out->tensors, by_name);
	for (size_t i = 1; i < out->count; i++) {
		if (strcmp(out->tensors[i - 1].name, out->tensors[i].name) == 0) {
			return wrong(reader, out->tensors[i].name, "it is in the file twice");
		}
	}
	return STATUS_OK;
}

/* Checks that the tensors take all of the data, each byte once, and finds theirs. */
static enum status place_tensors(const struct reader *reader, const uint8_t *data, size_t data_len)
{
	struct safetensors *out = reader->out;
	char quoted[ERROR_QUOTE_BYTES];
	uint64_t end = 0;
	if (out->count > 1) {
		qsort(out->tensors, out->count, sizeof *out->tensors, by_place);
	}
	for (size_t i = 0; i < out->count; i++) {
		struct safetensor *each = &out->tensors[i];
		error_quote(quoted, each->name, strlen(each->name));
		if (each->at > data_len || each->bytes > data_len - each->at) {
			return error_set(reader->err, STATUS_BAD_REQUEST,
				"'%s': tensor '%s' ends at byte %" PRIu64
				" of the data, of which the file has %zu; it is cut",
				reader->name, quoted, each->at + each->bytes, data_len);
		}
		if (each->at != end) {
			return error_set(reader->err, STATUS_BAD_REQUEST,
				"'%s': tensor '%s' begins at byte %" PRIu64
				" of the data, the one before ends at %" PRIu64
				"; they stand one behind the other",
				reader->name, quoted, each->at, end);
		}
		each->data = data + each->at;
		end = each->at + each->bytes;
	}
	return end == data_len ? STATUS_OK
			       : error_set(reader->err, STATUS_BAD_REQUEST,
					 "'%s': its tensors have %" PRIu64
					 " bytes of data, the file has %zu",
					 reader->name, end, data_len);
}

/* What looks like a long header is mostly the beginning of another kind of file. */
static enum status refuse_long_header(const uint8_t *file, size_t len, uint64_t header_len,
	const char *name, struct error *err)
{
	const bool has_header = len > LENGTH_BYTES && file[LENGTH_BYTES] == '{';
	const char *kind = has_header ? NULL : file_kind_by_content(file, len);
	if (kind != NULL) {
		return error_set(err, STATUS_BAD_REQUEST, "'%s': not a safetensors file, but %s",
			name, kind);
	}
	return error_set(err, STATUS_BAD_REQUEST,
		"'%s': %sa header of %" PRIu64 " bytes given, at most %d allowed", name,
		has_header ? "" : "not a safetensors file: ", header_len,
		SAFETENSORS_HEADER_BYTES_MAX);
}

enum status safetensors_read(const uint8_t *file, size_t len, const char *name,
	struct safetensors *out, struct error *err)
{
	const uint64_t header_len = len >= LENGTH_BYTES ? little_read(file, LENGTH_BYTES) : 0;
	if (len < LENGTH_BYTES) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': not a safetensors file: it has %zu bytes", name, len);
	}
	if (header_len > SAFETENSORS_HEADER_BYTES_MAX) {
		return refuse_long_header(file, len, header_len, name, err);
	}
	if (header_len > len - LENGTH_BYTES) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': a header of %" PRIu64 " bytes, but the file has %zu; it is cut",
			name, header_len, len);
	}
	struct safetensors read = {.names = malloc((size_t)header_len + 1)};
	struct reader reader = {
		.name = name,
		.scan = {.text = (const char *)file + LENGTH_BYTES, .len = (size_t)header_len},
		.out = &read,
		.err = err,
	};
	enum status status = read.names != NULL ? read_header(&reader)
						: error_set(err, STATUS_NO_MEMORY,
							  "'%s': no memory for its header", name);
	if (status == STATUS_OK && read.count > 1) {
		status = check_names(&reader);
	}
	if (status == STATUS_OK) {
		status = place_tensors(&reader, file + LENGTH_BYTES + header_len,
			len - LENGTH_BYTES - (size_t)header_len);
	}
	if (status != STATUS_OK) {
		safetensors_fini(&read);
		return status;
	}
	*out = read;
	return STATUS_OK;
}

void safetensors_fini(struct safetensors *file)
{
	free(file->tensors);
	free(file->names);
	*file = (struct safetensors){0};
}
