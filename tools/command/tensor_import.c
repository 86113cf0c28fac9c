/* tensor_import.c - repstore tensor import: all tensors of a safetensors file, or some, into a
 * release.
 *
 * Every one is checked before the first is sent. They are put by as few requests as can be, and each
 * request is all or nothing: the weights of a module are replaced in one step.
 */
#include "tools/command/tensor_file.h"

#include "schema/limits.h"
#include "schema/name.h"
#include "schema/tensor.h"
#include "schema/wire.h"
#include "tools/command/options.h"
#include "tools/format/buffer.h"
#include "tools/format/json_write.h"
#include "tools/format/npy.h"
#include "tools/format/safetensors.h"
#include "tools/format/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A tensor that is to be put. */
struct item {
	const struct safetensor *tensor; /* borrowed */
	const struct tensor_type *type;
	struct name name;
};

struct tensor_load {
	const char *path;
	const char *strip; /* what is taken off the beginning of names; or NULL */
	char release
		[72]; /* after the first put: the one that it went into, even if that was `live` */
	struct rest names; /* the tensors that are wanted; all if there are none */
	struct mapping mapping;
	struct safetensors file;
	struct item *items; /* owned */
	size_t count;
	uint64_t bytes; /* that were put */
	uint64_t requests;
};

/* ---- what is to be put ---- */

static bool is_wanted(const struct tensor_load *load, const struct safetensor *tensor)
{
	for (int i = 0; i < load->names.count; i++) {
		if (strcmp(load->names.values[i], tensor->name) == 0) {
			return true;
		}
	}
	return load->names.count == 0;
}

static enum status check_shape(const struct tensor_load *load, const struct safetensor *tensor,
	struct error *err)
{
	char quoted[ERROR_QUOTE_BYTES];
	char shape[NPY_SHAPE_BYTES];
	bool fits = tensor->bytes > 0 && tensor->bytes <= LIMIT_TENSOR_BYTES;
	for (uint32_t i = 0; i < tensor->dims; i++) {
		fits = fits && tensor->shape[i] <= UINT32_MAX;
	}
	return fits ? STATUS_OK
		    : error_set(err, STATUS_TOO_LARGE,
			      "'%s': tensor '%s': shape: %s %s given, 1 to %u bytes are kept",
			      load->path, error_quote(quoted, tensor->name, strlen(tensor->name)),
			      tensor->type->name, npy_shape(tensor->shape, tensor->dims, shape),
			      LIMIT_TENSOR_BYTES);
}

/* The name in the release: without what is stripped, and as names there must be. */
static enum status name_item(const struct tensor_load *load, struct item *item, struct error *err)
{
	const char *name = item->tensor->name;
	char what[512];
	const size_t strip_len = load->strip != NULL ? strlen(load->strip) : 0;
	if (strip_len > 0 && strncmp(name, load->strip, strip_len) == 0) {
		name += strip_len;
	}
	snprintf(what, sizeof what, "'%s': tensor%s", load->path,
		strip_len == 0 ? " (--strip PREFIX takes off a beginning)" : "");
	enum status status = name_check(name, strlen(name), what, &item->name, err);
	for (size_t i = 0; i < load->count && status == STATUS_OK; i++) {
		if (strcmp(load->items[i].name.text, item->name.text) == 0) {
			status = error_set(err, STATUS_BAD_REQUEST,
				"'%s': without --strip '%s' two tensors are '%s'", load->path,
				load->strip, item->name.text);
		}
	}
	return status;
}

static enum status add_item(struct tensor_load *load, const struct safetensor *tensor,
	struct error *err)
{
	char quoted[ERROR_QUOTE_BYTES];
	assert(load->items != NULL && tensor->name != NULL);
	struct item item = {
		.tensor = tensor,
		.type = tensor_type_of_kind(tensor->type->kind, tensor->type->bytes),
	};
	if (item.type == NULL) {
		return error_set(err, STATUS_UNSUPPORTED,
			"'%s': tensor '%s': dtype: %s given; F16, BF16, F32, F64, I8 to I64 and U8 to U64 are kept",
			load->path, error_quote(quoted, tensor->name, strlen(tensor->name)),
			tensor->type->name);
	}
	if (load->count == LIMIT_TENSORS) {
		return error_set(err, STATUS_TOO_LARGE,
			"'%s': more than %u tensors, which a release holds; name those that are wanted",
			load->path, LIMIT_TENSORS);
	}
	enum status status = check_shape(load, tensor, err);
	if (status == STATUS_OK) {
		status = name_item(load, &item, err);
	}
	if (status == STATUS_OK) {
		load->items[load->count++] = item;
	}
	return status;
}

/* Says which of the wanted tensors the file has not. */
static enum status check_names(const struct tensor_load *load, struct error *err)
{
	char quoted[ERROR_QUOTE_BYTES];
	for (int i = 0; i < load->names.count; i++) {
		size_t at = 0;
		while (at < load->file.count &&
			strcmp(load->file.tensors[at].name, load->names.values[i]) != 0) {
			at++;
		}
		if (at == load->file.count) {
			return error_set(err, STATUS_NOT_FOUND,
				"'%s': there is no tensor '%s' in it", load->path,
				error_quote(quoted, load->names.values[i],
					strlen(load->names.values[i])));
		}
	}
	return load->file.count > 0 ? STATUS_OK
				    : error_set(err, STATUS_BAD_REQUEST,
					      "'%s': there are no tensors in it", load->path);
}

static enum status read_file(struct tensor_load *load, struct error *err)
{
	static const uint8_t none[1];
	enum status status = mapping_open(load->path, &load->mapping, err);
	if (status == STATUS_OK) {
		const uint8_t *data = load->mapping.data != NULL ? load->mapping.data : none;
		status = safetensors_read(data, load->mapping.len, load->path, &load->file, err);
	}
	if (status == STATUS_OK) {
		status = check_names(load, err);
	}
	load->items = calloc(LIMIT_TENSORS, sizeof *load->items);
	if (status == STATUS_OK && load->items == NULL) {
		status = error_set(err, STATUS_NO_MEMORY, "no memory for a list of tensors");
	}
	for (size_t i = 0; i < load->file.count && status == STATUS_OK; i++) {
		if (is_wanted(load, &load->file.tensors[i])) {
			status = add_item(load, &load->file.tensors[i], err);
		}
	}
	return status == STATUS_OK || mapping_check(err) == STATUS_OK ? status : STATUS_BAD_REQUEST;
}

/* ---- putting ---- */

/* How many of the items from `first` on go into one request. */
static size_t count_of_request(const struct tensor_load *load, size_t first)
{
	uint64_t bytes = 0;
	size_t count = 0;
	while (first + count < load->count && count < LIMIT_TENSORS_PUT) {
		assert(load->items[first + count].tensor != NULL);
		bytes += load->items[first + count].tensor->bytes;
		if (bytes > LIMIT_TENSOR_BYTES) {
			break;
		}
		count++;
	}
	assert(count > 0);
	return count;
}

static void write_item(struct wire_writer *params, const struct item *item)
{
	const struct safetensor *tensor = item->tensor;
	wire_write_map(params, 4);
	wire_write_str(params, "tensor");
	wire_write_str(params, item->name.text);
	wire_write_str(params, "dtype");
	wire_write_str(params, tensor_dtype_name((enum tensor_dtype)item->type->dtype));
	wire_write_str(params, "shape");
	wire_write_array(params, tensor->dims);
	for (uint32_t i = 0; i < tensor->dims; i++) {
		wire_write_uint(params, tensor->shape[i]);
	}
	wire_write_str(params, "data");
	wire_write_bin(params, tensor->data, (size_t)tensor->bytes);
}

/* Puts the items [first, first + count). */
static int put_items(struct session *session, struct tensor_load *load, size_t first, size_t count)
{
	struct wire_writer params = {0};
	struct error err;
	wire_write_map(&params, 2);
	wire_write_str(&params, "release");
	wire_write_str(&params, load->release);
	wire_write_str(&params, "tensors");
	wire_write_array(&params, count);
	for (size_t i = 0; i < count; i++) {
		write_item(&params, &load->items[first + i]);
	}
	if (mapping_check(&err) != STATUS_OK) {
		wire_writer_fini(&params);
		return session_refuse_error(session, &err);
	}
	struct answer answer = {0};
	if (!session_call(session, "tensor.put", &params, &answer)) {
		if (first > 0 && !session->json) {
			fprintf(stderr, "repstore: %zu of %zu tensors were put\n", first,
				load->count);
		}
		return EXIT_REFUSED;
	}
	text_str_of(answer.result, "release", load->release, sizeof load->release);
	load->bytes += text_uint_of(answer.result, "bytes");
	load->requests++;
	answer_close(&answer);
	return EXIT_DONE;
}

static int report(const struct session *session, const struct tensor_load *load)
{
	if (session->json) {
		struct json_writer json = {.out = stdout};
		json_write_object(&json, NULL);
		json_write_text(&json, "release", load->release);
		json_write_u64(&json, "tensors", load->count);
		json_write_u64(&json, "bytes", load->bytes);
		json_write_u64(&json, "requests", load->requests);
		json_write_object_end(&json);
		json_write_line(&json);
	} else {
		char size[TEXT_BYTES];
		printf("%zu tensors put into %s, %s", load->count, load->release,
			text_size(load->bytes, size));
		if (load->requests > 1) {
			printf(", in %" PRIu64 " steps", load->requests);
		}
		putchar('\n');
	}
	return session_finish(session, EXIT_DONE);
}

static int put_all(struct session *session, struct tensor_load *load)
{
	int status = session_connect(session) ? EXIT_DONE : EXIT_REFUSED;
	for (size_t first = 0; first < load->count && status == EXIT_DONE;) {
		const size_t count = count_of_request(load, first);
		status = put_items(session, load, first, count);
		first += count;
	}
	return status == EXIT_DONE ? report(session, load) : status;
}

int tensor_import(struct session *session, int argc, char **argv)
{
	struct tensor_load load = {0};
	const struct option_row rows[] = {{"strip", OPTION_TEXT, &load.strip}};
	struct rest rest;
	struct error err;
	int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count < 2) {
		return session_usage(session, "tensor import: a release and a safetensors file");
	}
	if (strlen(rest.values[0]) >= sizeof load.release) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"release: a name of %zu bytes given", strlen(rest.values[0]));
	}
	memcpy(load.release, rest.values[0], strlen(rest.values[0]) + 1);
	load.path = rest.values[1];
	load.names = (struct rest){.count = rest.count - 2, .values = rest.values + 2};
	status = read_file(&load, &err) == STATUS_OK ? put_all(session, &load)
						     : session_refuse_error(session, &err);
	free(load.items);
	safetensors_fini(&load.file);
	mapping_close(&load.mapping);
	return status;
}
