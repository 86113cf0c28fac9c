/* fake_write.c - answers puts, samples, deletes and merges as fake_write.h says. */
#include "tests/unit/client/fake_write.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void copy_text(struct wire_value map, const char *name, char *text, size_t size)
{
	struct wire_bytes bytes = {0};
	wire_str(wire_get(map, name), &bytes);
	assert(bytes.len < size);
	if (bytes.len > 0) {
		memcpy(text, bytes.data, bytes.len);
	}
	text[bytes.len] = '\0';
}

static struct column column_of(struct wire_value map, const char *name)
{
	struct wire_bytes bytes = {0};
	struct column column = {.there = wire_bin(wire_get(map, name), &bytes), .len = bytes.len};
	if (bytes.len > 0) {
		memcpy(column.data, bytes.data,
			bytes.len < COLUMN_BYTES ? bytes.len : COLUMN_BYTES);
	}
	return column;
}

static void note_samples(struct wire_value params, struct seen *seen)
{
	copy_text(params, "layer", seen->layer, sizeof seen->layer);
	copy_text(params, "source", seen->source, sizeof seen->source);
	seen->has_position = wire_uint(wire_get(params, "position"), &seen->position);
	seen->users = column_of(params, "users");
	seen->items = column_of(params, "items");
}

static void note(const struct fake_call *call, struct seen *seen)
{
	*seen = (struct seen){.fields = fake_params(call)};
	assert(call->method.len < sizeof seen->method);
	memcpy(seen->method, call->method.data, call->method.len);
	copy_text(call->params, "release", seen->release, sizeof seen->release);
	copy_text(call->params, "table", seen->table, sizeof seen->table);
	copy_text(call->params, "dtype", seen->dtype, sizeof seen->dtype);
	wire_bool(wire_get(call->params, "if_newer"), &seen->if_newer);
	wire_bool(wire_get(call->params, "allow_nonfinite"), &seen->allow_nonfinite);
	wire_bool(wire_get(call->params, "any_time"), &seen->any_time);
	wire_bool(wire_get(call->params, "first"), &seen->first);
	seen->keys = column_of(call->params, "keys");
	seen->rows = column_of(call->params, "rows");
	seen->scales = column_of(call->params, "scales");
	seen->times = column_of(call->params, "times");
	seen->tags = column_of(call->params, "tags");
	seen->weights = column_of(call->params, "weights");
	note_samples(call->params, seen);
	const struct wire_value parts = wire_get(call->params, "parts");
	for (size_t i = 0; i < wire_size(parts) && i < 4; i++) {
		const struct wire_value part = wire_item(parts, i);
		struct seen_part *out = &seen->parts[seen->part_count++];
		out->fields = wire_size(part);
		copy_text(part, "table", out->table, sizeof out->table);
		out->keys = column_of(part, "keys");
		out->rows = column_of(part, "rows");
	}
	struct wire_bytes rows = {0};
	wire_bin(wire_get(call->params, "rows"), &rows);
	for (size_t i = 0; i < rows.len; i++) {
		seen->row_sum += rows.data[i];
	}
}

static void answer_fields(struct fake_call *call, const struct writer *writer,
	const char *const *names, size_t count)
{
	size_t fields = 0;
	for (size_t i = 0; i < count; i++) {
		fields += writer->without == NULL || strcmp(writer->without, names[i]) != 0;
	}
	fake_result(call);
	wire_write_map(call->out, fields);
	for (size_t i = 0; i < count; i++) {
		if (writer->without != NULL && strcmp(writer->without, names[i]) == 0) {
			continue;
		}
		wire_write_str(call->out, names[i]);
		if (strcmp(names[i], "release") == 0) {
			wire_write_str(call->out, "ckpt-3");
		} else {
			wire_write_uint(call->out, 40 + i);
		}
	}
}

void answer_writes(struct fake_call *call, const void *arg)
{
	static const char *const put[] = {"release", "sequence", "applied"};
	static const char *const observe[] = {"release", "sequence", "applied", "next"};
	static const char *const delete[] = {"release", "sequence", "deleted"};
	static const char *const merge[] = {"tables", "rows", "bytes", "elapsed_ms"};
	const struct writer *writer = arg;
	call->slow = writer->slow;
	if (writer->seen != NULL) {
		note(call, writer->seen);
	}
	if (writer->close_at == call->number + 1) {
		call->close = true;
	} else if (writer->refuse != STATUS_OK) {
		struct error err;
		error_set(&err, writer->refuse, "release 'r': no");
		rpc_write_error(call->out, call->msgid, &err);
	} else if (fake_is(call, "put")) {
		answer_fields(call, writer, put, 3);
	} else if (fake_is(call, "observe")) {
		answer_fields(call, writer, observe,
			writer->seen != NULL && writer->seen->source[0] == '\0' ? 3 : 4);
	} else if (fake_is(call, "delete")) {
		answer_fields(call, writer, delete, 3);
	} else {
		answer_fields(call, writer, merge, 4);
	}
}

const uint64_t two_keys[2] = {7, UINT64_MAX};
const float two_rows[2 * DIM] = {1, 2, 3, 4, 5, 6};

struct rep_rows rows_of_two(void)
{
	return (struct rep_rows){.keys = rep_keys_u64(two_keys, 2),
		.dtype = REP_F32,
		.rows = two_rows,
		.rows_bytes = sizeof two_rows};
}

void assert_column(const struct column *column, const void *data, size_t len)
{
	assert_true(column->there);
	assert_int_equal(column->len, len);
	assert_memory_equal(column->data, data, len);
}
