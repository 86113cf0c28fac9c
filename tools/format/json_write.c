/* json_write.c - puts commas, colons and brackets around values. */
#include "tools/format/json_write.h"

#include "tools/format/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

static_assert(JSON_WRITE_DEPTH_MAX <= 32, "each level is a bit of json_writer.objects");

static uint32_t level_bit(const struct json_writer *writer)
{
	assert(writer->depth > 0);
	return UINT32_C(1) << (writer->depth - 1);
}

static bool in_object(const struct json_writer *writer)
{
	return writer->depth > 0 && (writer->objects & level_bit(writer)) != 0;
}

/* Puts a comma, unless the value is the first one of its object or array. */
static void separate(struct json_writer *writer)
{
	assert(!writer->done);
	if (writer->depth == 0) {
		writer->done = true;
		return;
	}
	if ((writer->filled & level_bit(writer)) != 0) {
		(void)fputs(", ", writer->out);
	}
	writer->filled |= level_bit(writer);
}

/* Puts what stands before a value. */
static void lead(struct json_writer *writer, const char *name)
{
	assert((name != NULL) == in_object(writer));
	separate(writer);
	if (name != NULL) {
		json_text(writer->out, name);
		(void)fputs(": ", writer->out);
	}
}

static void open_level(struct json_writer *writer, char bracket, bool object)
{
	assert(writer->depth < JSON_WRITE_DEPTH_MAX);
	(void)putc(bracket, writer->out);
	writer->depth++;
	writer->done = false;
	writer->filled &= ~level_bit(writer);
	if (object) {
		writer->objects |= level_bit(writer);
	} else {
		writer->objects &= ~level_bit(writer);
	}
}

static void close_level(struct json_writer *writer, char bracket)
{
	(void)putc(bracket, writer->out);
	writer->depth--;
	writer->done = writer->depth == 0;
}

void json_write_object(struct json_writer *writer, const char *name)
{
	lead(writer, name);
	open_level(writer, '{', true);
}

void json_write_object_end(struct json_writer *writer)
{
	assert(in_object(writer));
	close_level(writer, '}');
}

void json_write_array(struct json_writer *writer, const char *name)
{
	lead(writer, name);
	open_level(writer, '[', false);
}

void json_write_array_end(struct json_writer *writer)
{
	assert(writer->depth > 0 && !in_object(writer));
	close_level(writer, ']');
}

void json_write_line(struct json_writer *writer)
{
	assert(writer->done && writer->depth == 0);
	(void)putc('\n', writer->out);
	writer->done = false;
}

void json_write_text(struct json_writer *writer, const char *name, const char *text)
{
	if (text == NULL) {
		json_write_null(writer, name);
		return;
	}
	lead(writer, name);
	json_text(writer->out, text);
}

void json_write_string(struct json_writer *writer, const char *name, const uint8_t *text,
	size_t len)
{
	lead(writer, name);
	json_string(writer->out, text, len);
}

void json_write_hex(struct json_writer *writer, const char *name, const uint8_t *data, size_t len)
{
	lead(writer, name);
	json_hex(writer->out, data, len);
}

void json_write_u64(struct json_writer *writer, const char *name, uint64_t value)
{
	lead(writer, name);
	(void)fprintf(writer->out, "%" PRIu64, value);
}

void json_write_i64(struct json_writer *writer, const char *name, int64_t value)
{
	lead(writer, name);
	(void)fprintf(writer->out, "%" PRId64, value);
}

void json_write_bool(struct json_writer *writer, const char *name, bool value)
{
	lead(writer, name);
	(void)fputs(value ? "true" : "false", writer->out);
}

void json_write_null(struct json_writer *writer, const char *name)
{
	lead(writer, name);
	(void)fputs("null", writer->out);
}

void json_write_float(struct json_writer *writer, const char *name, float value)
{
	lead(writer, name);
	json_float(writer->out, value);
}

void json_write_double(struct json_writer *writer, const char *name, double value)
{
	lead(writer, name);
	json_double(writer->out, value);
}

void json_write_double_17(struct json_writer *writer, const char *name, double value)
{
	if (!isfinite(value)) {
		json_write_null(writer, name);
		return;
	}
	lead(writer, name);
	(void)fprintf(writer->out, "%.17g", value);
}

void json_write_fixed(struct json_writer *writer, const char *name, double value, int decimals)
{
	if (!isfinite(value)) {
		json_write_null(writer, name);
		return;
	}
	lead(writer, name);
	(void)fprintf(writer->out, "%.*f", decimals, value);
}

/* ---- MessagePack ---- */

static void put_bytes(FILE *out, struct wire_value value)
{
	struct wire_bytes bytes = {0};
	wire_str(value, &bytes);
	if (wire_type(value) == WIRE_STR && json_is_utf8(bytes.data, bytes.len)) {
		json_string(out, bytes.data, bytes.len);
	} else {
		json_hex(out, bytes.data, bytes.len);
	}
}

static void put_value(struct json_writer *writer, struct wire_value value);

static void put_array(struct json_writer *writer, struct wire_value value)
{
	open_level(writer, '[', false);
	for (size_t i = 0; i < wire_size(value); i++) {
		json_write_wire(writer, NULL, wire_item(value, i));
	}
	json_write_array_end(writer);
}

static void put_map(struct json_writer *writer, struct wire_value value)
{
	open_level(writer, '{', true);
	for (size_t i = 0; i < wire_size(value); i++) {
		const struct wire_value key = wire_map_key(value, i);
		separate(writer);
		if (wire_type(key) == WIRE_STR || wire_type(key) == WIRE_BIN) {
			put_bytes(writer->out, key);
		} else {
			(void)fputs("\"?\"", writer->out); /* no name of ours */
		}
		(void)fputs(": ", writer->out);
		put_value(writer, wire_map_value(value, i));
	}
	json_write_object_end(writer);
}

/* Puts the value alone: what stands before it is there. */
/* NOLINTNEXTLINE(misc-no-recursion): a message is at most 16 levels deep */
static void put_value(struct json_writer *writer, struct wire_value value)
{
	FILE *out = writer->out;
	bool flag = false;
	uint64_t number = 0;
	int64_t negative = 0;
	double fraction = 0;
	switch (wire_type(value)) {
	case WIRE_BOOL:
		wire_bool(value, &flag);
		(void)fputs(flag ? "true" : "false", out);
		break;
	case WIRE_UINT:
		wire_uint(value, &number);
		(void)fprintf(out, "%" PRIu64, number);
		break;
	case WIRE_INT:
		wire_int(value, &negative);
		(void)fprintf(out, "%" PRId64, negative);
		break;
	case WIRE_FLOAT:
		wire_float(value, &fraction);
		if (isfinite(fraction)) {
			(void)fprintf(out, "%.17g", fraction);
		} else {
			(void)fputs("null", out);
		}
		break;
	case WIRE_STR:
	case WIRE_BIN:
		put_bytes(out, value);
		break;
	case WIRE_ARRAY:
		put_array(writer, value);
		break;
	case WIRE_MAP:
		put_map(writer, value);
		break;
	case WIRE_ABSENT:
	case WIRE_NIL:
	case WIRE_EXT:
		(void)fputs("null", out);
		break;
	}
}

void json_write_wire(struct json_writer *writer, const char *name, struct wire_value value)
{
	lead(writer, name);
	put_value(writer, value);
}
