/* fuzz_rpc.c - any message is an envelope or is not, and its params specs or not. */
#include "schema/rpc_head.h"

#include "schema/default_row.h"
#include "schema/limits.h"
#include "schema/spec.h"
#include "schema/tensor.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void require_text(const struct error *err)
{
	size_t len = strnlen(err->text, sizeof err->text);
	require(len < sizeof err->text);
	for (size_t i = 0; i < len; i++) {
		require(err->text[i] >= ' ' && err->text[i] <= '~');
	}
}

/* A spec that was read is written, and reads the same. */
static void expect_same_spec(const struct table_spec *spec)
{
	struct wire_writer writer = {0};
	struct wire_message *message = NULL;
	wire_write_map(&writer, spec_fields(spec));
	spec_write(&writer, spec);
	require(wire_open(writer.data, writer.len, &message) == STATUS_OK);
	struct table_spec back = {0};
	require(spec_read(wire_root(message), SPEC_WANTED, &back, NULL) == STATUS_OK);
	require(strcmp(back.name.text, spec->name.text) == 0);
	require(back.entity == spec->entity && back.kind == spec->kind);
	require(back.dtype == spec->dtype && back.key_type == spec->key_type);
	require(back.dim == spec->dim && back.views == spec->views);
	require(back.ttl_ms == spec->ttl_ms && back.tags == spec->tags);
	require(back.decay_events == spec->decay_events && back.half_life_ms == spec->half_life_ms);
	require(back.reading == spec->reading && back.default_kind == spec->default_kind);
	require(spec_row_bytes(spec) > 0 && spec_row_bytes(spec) <= LIMIT_ROW_BYTES);
	wire_close(message);
	wire_writer_fini(&writer);
}

/* The same of a tensor's. */
static void expect_same_tensor(const struct tensor_spec *spec)
{
	struct wire_writer writer = {0};
	struct wire_message *message = NULL;
	char shape[TENSOR_SHAPE_BYTES];
	wire_write_map(&writer, TENSOR_SPEC_FIELDS);
	tensor_spec_write(&writer, spec);
	require(wire_open(writer.data, writer.len, &message) == STATUS_OK);
	struct tensor_spec back = {0};
	require(tensor_spec_read(wire_root(message), &back, NULL) == STATUS_OK);
	require(strcmp(back.name.text, spec->name.text) == 0 && tensor_same_shape(&back, spec));
	require(tensor_bytes(spec) > 0 && tensor_bytes(spec) <= LIMIT_TENSOR_BYTES);
	require(strlen(tensor_shape_print(spec, shape)) < sizeof shape);
	wire_close(message);
	wire_writer_fini(&writer);
}

static void read_tensor(struct wire_value params)
{
	struct tensor_spec spec;
	struct error err = {0};
	const enum status status = tensor_spec_read(params, &spec, &err);
	require(status == STATUS_OK || status == STATUS_BAD_REQUEST || status == STATUS_TOO_LARGE);
	if (status == STATUS_OK) {
		expect_same_tensor(&spec);
	} else {
		require_text(&err);
	}
}

/* A row that was read is written, and reads the same; and converts into any dtype that it may. */
static void read_default(struct wire_value params, const struct table_spec *spec)
{
	struct default_row row;
	struct default_row back;
	struct error err = {0};
	const enum status status = default_row_read(params, spec, DEFAULT_ROW_STORED, &row, &err);
	if (status != STATUS_OK) {
		require(status == STATUS_BAD_REQUEST);
		require_text(&err);
		return;
	}
	if (row.row == NULL) {
		return;
	}
	require(row.bytes > 0 && row.bytes <= LIMIT_DEFAULT_BYTES);
	struct wire_writer writer = {0};
	struct wire_message *message = NULL;
	wire_write_map(&writer, DEFAULT_ROW_FIELDS);
	default_row_write(&writer, &row);
	require(wire_open(writer.data, writer.len, &message) == STATUS_OK);
	require(default_row_read(wire_root(message), spec, DEFAULT_ROW_STORED, &back, NULL) ==
		STATUS_OK);
	require(back.bytes == row.bytes && memcmp(back.row, row.row, row.bytes) == 0);
	require(back.scale == row.scale);
	uint8_t *target = malloc(dtype_row_bytes(DTYPE_F32, spec->dim, spec->views));
	float scale;
	require(target != NULL);
	default_row_convert(&back, spec, DTYPE_F32, target, &scale);
	free(target);
	wire_close(message);
	wire_writer_fini(&writer);
}

static void read_keys(struct wire_value params, const char *column)
{
	struct error err = {0};
	struct wire_bytes keys;
	uint32_t count = 0;
	if (!wire_bin(wire_get(params, column), &keys)) {
		return;
	}
	const struct key_seed seed = {{1, 2}};
	for (int type = KEY_U64; type <= KEY_BYTES; type++) {
		struct keys batch = {.type = (enum key_type)type, .packed = keys.data};
		if (keys_count(batch.type, keys.data, keys.len, &count, &err) != STATUS_OK) {
			require_text(&err);
			continue;
		}
		uint32_t at[64];
		uint64_t hashes[64];
		char text[LIMIT_KEY_BYTES * 4 + 1];
		batch.count = count < 64 ? count : 64;
		batch.at = at;
		if (batch.type == KEY_BYTES) {
			keys_find_offsets(keys.data, batch.count, at);
		}
		keys_hash(&batch, &seed, 0, batch.count, hashes);
		for (uint32_t i = 0; i < batch.count; i++) {
			size_t len;
			const uint8_t *key = keys_bytes(&batch, i, &len);
			require(siphash(&seed, key, len) == hashes[i]);
			keys_print(&batch, i, text, sizeof text);
			require(strlen(text) >= (batch.type == KEY_BYTES ? len : 1));
		}
	}
}

static void read_params(struct wire_value params)
{
	read_tensor(params);
	struct table_spec spec;
	struct error err = {0};
	enum status status = spec_read(params, SPEC_WANTED, &spec, &err);
	require(status == STATUS_OK || status == STATUS_BAD_REQUEST);
	if (status == STATUS_OK) {
		expect_same_spec(&spec);
		read_default(params, &spec);
	} else {
		require_text(&err);
	}

	static const char *const columns[] = {"keys", "users", "items"};
	for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
		read_keys(params, columns[i]);
	}
}

static void read_error(struct wire_bytes text)
{
	struct error err;
	rpc_split_error(text, &err);
	require(err.status > STATUS_OK && err.status < STATUS_COUNT);
	require_text(&err);
}

static void read_envelope(const struct rpc_envelope *envelope)
{
	switch (envelope->type) {
	case RPC_REQUEST:
	case RPC_NOTIFICATION:
		require(envelope->method.len > 0 && envelope->method.len <= LIMIT_METHOD_BYTES);
		read_params(envelope->params);
		break;
	case RPC_RESPONSE:
		if (envelope->failed) {
			read_error(envelope->error);
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_skim skim = {0};
	struct rpc_subject subject;
	rpc_subject_read(data, size, &subject); /* of what is cut, too */
	require(subject.release.len <= size && subject.trace.len <= size);
	if (wire_skim(&skim, data, size) != STATUS_OK) {
		return 0;
	}
	uint64_t timeout_ms;
	(void)rpc_param_read(data, skim.at, "timeout_ms", &timeout_ms);
	bool flag;
	(void)rpc_param_flag(data, skim.at, "reset", &flag);
	struct wire_bytes text = {0};
	if (rpc_param_text(data, skim.at, "release", &text) ||
		rpc_result_text(data, skim.at, "release", &text)) {
		require(text.data >= data && text.len <= skim.at - (size_t)(text.data - data));
	}
	struct wire_message *message = NULL;
	require(wire_open(data, skim.at, &message) == STATUS_OK);
	struct rpc_envelope envelope;
	struct error err = {0};
	enum status status = rpc_read(wire_root(message), &envelope, &err);
	require(status == STATUS_OK || status == STATUS_BAD_REQUEST || status == STATUS_PROTOCOL);
	if (status == STATUS_OK) {
		read_envelope(&envelope);
	} else {
		require_text(&err);
		require(status == STATUS_PROTOCOL || envelope.type != RPC_RESPONSE);
	}
	wire_close(message);
	return 0;
}
