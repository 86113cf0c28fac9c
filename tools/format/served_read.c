/* served_read.c - checks frames and what stands in them. */
#include "tools/format/served_read.h"

#include "schema/limits.h"
#include "schema/served.h"

#include <string.h>

enum status served_reader_open(const char *path, struct served_reader *out, struct error *err)
{
	static const uint8_t none[1];
	struct served_reader reader = {.path = path, .at = SERVED_HEAD_BYTES};
	enum status status = mapping_open(path, &reader.mapping, err);
	if (status != STATUS_OK) {
		return status;
	}
	const uint8_t *data = reader.mapping.data != NULL ? reader.mapping.data : none;
	status = served_read_head(data, reader.mapping.len, &reader.begun_ms);
	if (status != STATUS_OK) {
		served_reader_close(&reader);
		return error_set(err, status, "'%s': %s", path,
			status == STATUS_UNSUPPORTED
				? "served rows of a version that this build does not know"
				: "no file of served rows, or its head is damaged");
	}
	*out = reader;
	return STATUS_OK;
}

void served_reader_close(struct served_reader *reader)
{
	wire_close(reader->message);
	mapping_close(&reader->mapping);
	*reader = (struct served_reader){0};
}

static bool read_text(struct wire_value map, const char *name, char out[SERVED_TEXT_BYTES])
{
	struct wire_bytes text = {0};
	if (!wire_str(wire_get(map, name), &text) || text.len >= SERVED_TEXT_BYTES ||
		memchr(text.data, 0, text.len) != NULL) {
		return false;
	}
	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
	return true;
}

static bool read_record(struct wire_value map, struct served_record *out)
{
	out->parts = wire_get(map, "parts");
	out->part_count = wire_size(out->parts);
	return wire_type(out->parts) == WIRE_ARRAY &&
	       wire_int(wire_get(map, "time"), &out->time_ms) &&
	       wire_uint(wire_get(map, "sequence"), &out->sequence) &&
	       read_text(map, "release", out->release) && read_text(map, "client", out->client);
}

/* Parses a body, which must be one message. Errors: CORRUPT, NO_MEMORY. */
static enum status read_body(struct served_reader *reader, const uint8_t *body, size_t len,
	struct served_record *out)
{
	struct wire_skim skim = {0};
	if (wire_skim(&skim, body, len) != STATUS_OK || skim.at != len) {
		return STATUS_CORRUPT;
	}
	const enum status status = wire_reopen(body, len, &reader->message);
	if (status != STATUS_OK) {
		return status == STATUS_NO_MEMORY ? status : STATUS_CORRUPT;
	}
	return read_record(wire_root(reader->message), out) ? STATUS_OK : STATUS_CORRUPT;
}

enum status served_reader_next(struct served_reader *reader, struct served_record *out, bool *more,
	struct error *err)
{
	const size_t left = reader->mapping.len - reader->at;
	size_t body_len = 0;
	*more = false;
	if (left == 0 || reader->end != SERVED_END_WHOLE) {
		return STATUS_OK;
	}
	const uint8_t *frame = reader->mapping.data + reader->at;
	enum status status = served_read_frame(frame, left, &body_len);
	if (status == STATUS_OK) {
		status = read_body(reader, frame + SERVED_FRAME_BYTES, body_len, out);
	}
	if (status == STATUS_NO_MEMORY) {
		return error_set(err, status, "no memory for a fetch of '%s'", reader->path);
	}
	if (status != STATUS_OK) {
		reader->end = status == STATUS_AGAIN ? SERVED_END_CUT : SERVED_END_DAMAGED;
		return STATUS_OK;
	}
	reader->at += SERVED_FRAME_BYTES + body_len;
	*more = true;
	return STATUS_OK;
}

/* Reads a number up to `most`. */
static bool read_number(struct wire_value map, const char *name, uint32_t most, uint32_t *out)
{
	uint64_t number = 0;
	if (!wire_uint(wire_get(map, name), &number) || number == 0 || number > most) {
		return false;
	}
	*out = (uint32_t)number;
	return true;
}

/* Reads a bin that must have so many bytes. */
static bool read_column(struct wire_value map, const char *name, size_t len, const uint8_t **out)
{
	struct wire_bytes bytes = {0};
	if (!wire_bin(wire_get(map, name), &bytes) || bytes.len != len) {
		return false;
	}
	*out = bytes.data;
	return true;
}

static bool read_keys(struct wire_value map, struct served_rows *out)
{
	struct wire_bytes type = {0};
	struct wire_bytes keys = {0};
	if (!wire_str(wire_get(map, "key"), &type) || !wire_bin(wire_get(map, "keys"), &keys)) {
		return false;
	}
	out->key_type = key_type_of_name((const char *)type.data, type.len);
	out->keys = keys.data;
	return out->key_type != KEY_NONE &&
	       keys_count(out->key_type, keys.data, keys.len, &out->count, NULL) == STATUS_OK;
}

bool served_record_rows(const struct served_record *record, size_t i, struct served_rows *out)
{
	const struct wire_value map = wire_item(record->parts, i);
	struct wire_bytes table = {0};
	struct wire_bytes dtype = {0};
	*out = (struct served_rows){0};
	if (!wire_str(wire_get(map, "table"), &table) ||
		!wire_str(wire_get(map, "dtype"), &dtype) ||
		table_name_check((const char *)table.data, table.len, "table", &out->table, NULL) !=
			STATUS_OK ||
		!read_keys(map, out) || !read_number(map, "dim", UINT32_MAX, &out->dim) ||
		!read_number(map, "views", LIMIT_VIEWS, &out->views) ||
		!wire_bool(wire_get(map, "raw"), &out->raw) ||
		!wire_bool(wire_get(map, "through"), &out->through) ||
		!read_column(map, "found", ((size_t)out->count + 7) / 8, &out->found)) {
		return false;
	}
	out->dtype = dtype_of_name((const char *)dtype.data, dtype.len);
	if (out->dtype == DTYPE_NONE || out->dim > LIMIT_MESSAGE_BYTES) {
		return false;
	}
	out->stride = dtype_row_bytes(out->dtype, out->dim, out->views);
	if (wire_get(map, "rows").object == NULL) {
		return true;
	}
	return read_column(map, "rows", out->count * out->stride, &out->rows) &&
	       (out->dtype != DTYPE_I8 ||
		       read_column(map, "scales", out->count * sizeof(float), &out->scales));
}
