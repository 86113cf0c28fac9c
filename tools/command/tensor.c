/* tensor.c - repstore tensor: small named arrays of a release, from and into npy files. Those of a
 * safetensors file are tensor_import.c and tensor_dump.c. */
#include "schema/tensor.h"
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/release_argument.h"
#include "tools/command/tensor_file.h"
#include "tools/format/buffer.h"
#include "tools/format/json_write.h"
#include "tools/format/npy.h"
#include "tools/format/output.h"
#include "tools/format/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)NPY_DIMS_MAX == (int)REP_TENSOR_DIMS, "a tensor's shape fits a header");

/* NumPy's type for each dtype. NumPy has no bf16: its bits are u2. */
static const struct {
	enum rep_tensor_dtype dtype;
	char kind;
	size_t bytes;
	const char *descr;
} types[] = {
	{REP_TENSOR_F32, 'f', 4, "<f4"}, {REP_TENSOR_F16, 'f', 2, "<f2"},
	{REP_TENSOR_F64, 'f', 8, "<f8"}, {REP_TENSOR_I8, 'i', 1, "|i1"},
	{REP_TENSOR_I16, 'i', 2, "<i2"}, {REP_TENSOR_I32, 'i', 4, "<i4"},
	{REP_TENSOR_I64, 'i', 8, "<i8"}, {REP_TENSOR_U8, 'u', 1, "|u1"},
	{REP_TENSOR_U16, 'u', 2, "<u2"}, {REP_TENSOR_U32, 'u', 4, "<u4"},
	{REP_TENSOR_U64, 'u', 8, "<u8"},
	{REP_TENSOR_BF16, 'u', 2, "<u2"}, /* behind u16: u2 is bf16 only if --dtype says so */
};

enum { TYPES = sizeof types / sizeof types[0] };

/* "live" is the live release, which the library knows as NULL. */
static const char *release_of(const char *text)
{
	return strcmp(text, "live") == 0 ? NULL : text;
}

/* Reads exactly `count` arguments. */
static int read_rest(struct session *session, int count, const char *expected, int argc,
	char **argv, struct rest *rest)
{
	int status = options_read(session, NULL, 0, argc, argv, rest);
	if (status == EXIT_DONE && rest->count != count) {
		status = session_usage(session, "tensor %s: %s", argv[0], expected);
	}
	return status;
}

/* ---- put ---- */

static enum status describe(const struct npy *npy, const char *path, const char *dtype,
	struct rep_tensor *out, struct error *err)
{
	for (size_t i = 0; i < TYPES; i++) {
		const bool is_asked =
			dtype == NULL ||
			strcmp(tensor_dtype_name((enum tensor_dtype)types[i].dtype), dtype) == 0;
		if (is_asked && types[i].kind == npy->kind && types[i].bytes == npy->item_bytes) {
			out->dtype = types[i].dtype;
			out->dims = npy->dims;
			memcpy(out->shape, npy->shape, sizeof out->shape);
			return STATUS_OK;
		}
	}
	return dtype == NULL
		       ? error_set(err, STATUS_UNSUPPORTED,
				 "'%s': descr: %c%zu given, numbers are kept: f2, f4, f8, i1 to i8, u1 to u8",
				 path, npy->kind, npy->item_bytes)
		       : error_set(err, STATUS_BAD_REQUEST, "'%s': descr: %c%zu given, not %s",
				 path, npy->kind, npy->item_bytes, dtype);
}

static int put_file(struct session *session, const char *release, struct rep_tensor *tensor,
	const struct npy *npy)
{
	struct rep_error err;
	const size_t bytes = npy->elements * npy->item_bytes;
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	if (rep_tensor_put(session->client, release_of(release), tensor, npy->data, bytes, &err) !=
		REP_OK) {
		return session_refuse(session, &err);
	}
	if (session->json) {
		struct json_writer json = {.out = stdout};
		json_write_object(&json, NULL);
		json_write_text(&json, "release", release);
		json_write_text(&json, "tensor", tensor->name);
		json_write_u64(&json, "bytes", bytes);
		json_write_object_end(&json);
		json_write_line(&json);
	} else {
		char size[TEXT_BYTES];
		printf("tensor %s put into %s, %s\n", tensor->name, release,
			text_size(bytes, size));
	}
	return session_finish(session, EXIT_DONE);
}

static int run_put(struct session *session, int argc, char **argv)
{
	const char *dtype = NULL;
	const struct option_row rows[] = {{"dtype", OPTION_TEXT, &dtype}};
	struct rest rest;
	int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count != 3) {
		return session_usage(session, "tensor put: a release, a name and a file");
	}
	struct rep_tensor tensor = {.dims = 0};
	const char *path = rest.values[2];
	if (strlen(rest.values[1]) >= sizeof tensor.name) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"tensor: a name of %zu bytes given", strlen(rest.values[1]));
	}
	memcpy(tensor.name, rest.values[1], strlen(rest.values[1]) + 1);
	struct mapping mapping = {0};
	struct npy npy;
	struct error err;
	enum status read = mapping_open(path, &mapping, &err);
	if (read == STATUS_OK) {
		static const uint8_t none[1];
		read = npy_read(mapping.data != NULL ? mapping.data : none, mapping.len, path, &npy,
			&err);
	}
	if (read == STATUS_OK) {
		read = describe(&npy, path, dtype, &tensor, &err);
	}
	status = read == STATUS_OK ? put_file(session, rest.values[0], &tensor, &npy)
				   : session_refuse_error(session, &err);
	mapping_close(&mapping);
	return status;
}

/* ---- get ---- */

static enum status write_file(const char *path, const struct rep_tensor *tensor, const void *data,
	struct error *err)
{
	const char *descr = "";
	for (size_t i = 0; i < TYPES; i++) {
		descr = types[i].dtype == tensor->dtype ? types[i].descr : descr;
	}
	uint8_t header[NPY_HEADER_BYTES_WRITTEN];
	const size_t header_bytes = npy_write_header(descr, tensor->shape, tensor->dims, header);
	struct output output = {0};
	enum status status = output_open(path, &output, err);
	if (status == STATUS_OK) {
		status = output_write(&output, header, header_bytes, err);
	}
	if (status == STATUS_OK) {
		status = output_write(&output, data, tensor->bytes, err);
	}
	if (status == STATUS_OK) {
		return output_commit(&output, err);
	}
	output_abort(&output);
	return status;
}

static int run_get(struct session *session, int argc, char **argv)
{
	struct rest rest;
	struct rep_error rep_err;
	struct rep_tensor tensor;
	void *data = NULL;
	int status = read_rest(session, 3, "a release, a name and a file", argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	if (rep_tensor_get(session->client, release_of(rest.values[0]), rest.values[1], &tensor,
		    &data, &rep_err) != REP_OK) {
		return session_refuse(session, &rep_err);
	}
	struct error err;
	const enum status written = write_file(rest.values[2], &tensor, data, &err);
	free(data);
	if (written != STATUS_OK) {
		return session_refuse_error(session, &err);
	}
	return session_finish(session, EXIT_DONE);
}

/* ---- list, delete ---- */

static const char *shape_of(struct wire_value list, char *text, size_t size)
{
	size_t len = (size_t)snprintf(text, size, "[");
	for (size_t i = 0; i < wire_size(list) && len < size; i++) {
		uint64_t number = 0;
		(void)wire_uint(wire_item(list, i), &number);
		len += (size_t)snprintf(text + len, size - len, "%s%" PRIu64, i > 0 ? ", " : "",
			number);
	}
	if (len < size) {
		(void)snprintf(text + len, size - len, "]");
	}
	return text;
}

static void print_list(struct wire_value result)
{
	struct text_table table = {.columns = 4};
	struct wire_value list = wire_get(result, "tensors");
	text_cell(&table, "TENSOR");
	text_cell(&table, "DTYPE");
	text_cell(&table, "SHAPE");
	text_cell(&table, "BYTES");
	for (size_t i = 0; i < wire_size(list); i++) {
		struct wire_value each = wire_item(list, i);
		char text[TENSOR_SHAPE_BYTES];
		char size[TEXT_BYTES];
		text_cell(&table, "%s", text_str_of(each, "tensor", text, sizeof text));
		text_cell(&table, "%s", text_str_of(each, "dtype", text, sizeof text));
		text_cell(&table, "%s", shape_of(wire_get(each, "shape"), text, sizeof text));
		text_cell(&table, "%s", text_size(text_uint_of(each, "bytes"), size));
	}
	text_print(&table);
}

static int call_tensor(struct session *session, const char *method, const char *release,
	const char *tensor, void (*print)(struct wire_value result))
{
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	struct wire_writer params = {0};
	wire_write_map(&params, (size_t)(release != NULL) + (size_t)(tensor != NULL));
	if (release != NULL) {
		wire_write_str(&params, "release");
		wire_write_str(&params, release);
	}
	if (tensor != NULL) {
		wire_write_str(&params, "tensor");
		wire_write_str(&params, tensor);
	}
	struct answer answer = {0};
	if (!session_call(session, method, &params, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, print);
}

static int run_list(struct session *session, int argc, char **argv)
{
	const char *option = NULL;
	const char *release = NULL;
	const struct option_row rows[] = {{"release", OPTION_TEXT, &option}};
	struct rest rest;
	int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status == EXIT_DONE) {
		status = release_argument_read(session, &rest, option, &release);
	}
	return status == EXIT_DONE ? call_tensor(session, "tensor.list", release, NULL, print_list)
				   : status;
}

static void print_deleted(struct wire_value result)
{
	char release[80];
	char tensor[80];
	printf("tensor %s deleted from %s\n", text_str_of(result, "tensor", tensor, sizeof tensor),
		text_str_of(result, "release", release, sizeof release));
}

static int run_delete(struct session *session, int argc, char **argv)
{
	struct rest rest;
	int status = read_rest(session, 2, "a release and a name", argc, argv, &rest);
	return status != EXIT_DONE ? status
				   : call_tensor(session, "tensor.delete", rest.values[0],
					     rest.values[1], print_deleted);
}

static const struct verb verbs[] = {
	{"put", run_put},
	{"get", run_get},
	{"list", run_list},
	{"import", tensor_import},
	{"dump", tensor_dump},
	{"delete", run_delete},
};

static int run(struct session *session, int argc, char **argv)
{
	return command_run_verb(session, verbs, sizeof verbs / sizeof verbs[0], argc, argv);
}

const struct command cmd_tensor = {
	.name = "tensor",
	.summary = "small named arrays of a release: projections, adapters, weights",
	.usage =
		"tensor put RELEASE NAME FILE.npy [--dtype bf16]\n"
		"       repstore tensor get RELEASE NAME FILE.npy\n"
		"       repstore tensor import RELEASE FILE.safetensors [NAME...] [--strip PREFIX]\n"
		"       repstore tensor dump RELEASE FILE.safetensors [NAME...]\n"
		"       repstore tensor list [RELEASE] | delete RELEASE NAME\n",
	.help = "  --dtype    bf16: the file's u2 are the bits of bf16; they come back as u2\n"
		"  --strip    takes PREFIX off the beginning of the file's names\n"
		"Arrays of numbers (f2, f4, f8, i1 to i8, u1 to u8) in C order, with up to 8\n"
		"dimensions and 64 MiB. RELEASE may be open, sealed or `live`. One of the same name\n"
		"is replaced. Tensors are published, rolled back and dropped with their release.\n"
		"Named as PyTorch's state_dict names them, NAME.weight and NAME.bias, they are\n"
		"layers that a fetch can send rows through: `repstore fetch TABLE KEY --through NAME`.\n"
		"`import` puts all tensors of a safetensors file, or those named: up to 64, of 64 MiB\n"
		"together, in one step, and more in several. `dump` writes such a file.\n"
		"`get` to - writes to stdout. `list --release RELEASE` is `list RELEASE`.\n",
	.run = run,
};
