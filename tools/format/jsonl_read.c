/* jsonl_read.c - reads a row's JSON object. */
#include "tools/format/jsonl_row.h"

#include "schema/dtype.h"
#include "schema/limits.h"
#include "tools/format/json_scan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct jsonl_reader {
	const struct rep_table_spec *spec; /* borrowed */
	struct buffer row;                 /* one row, before it joins the batch */
	/* Which members the first row had besides key and vector; all rows must have them. */
	bool decided;
	bool has_scale;
	bool has_time;
	bool has_tags;
	bool has_weight;
};

/* The members of a line's object. One that is not there, or is null, is JSON_ABSENT. */
struct members {
	struct json_value key;
	struct json_value key_hex;
	struct json_value vector;
	struct json_value time;
	struct json_value tags;
	struct json_value scale;
	struct json_value weight;
	struct json_value history_times;
};

enum status jsonl_reader_open(const struct rep_table_spec *spec, struct jsonl_reader **out,
	struct error *err)
{
	struct jsonl_reader *reader = calloc(1, sizeof *reader);
	if (reader == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for a JSON reader");
	}
	reader->spec = spec;
	*out = reader;
	return STATUS_OK;
}

void jsonl_reader_close(struct jsonl_reader *reader)
{
	if (reader != NULL) {
		buffer_fini(&reader->row);
		free(reader);
	}
}

/* How a message quotes a value: whole, or its beginning. */
enum { QUOTE_BYTES = 40 };
static const char *quote(const struct json_value *value, char out[ERROR_QUOTE_BYTES])
{
	const bool cut = value->len > QUOTE_BYTES;
	error_quote(out, value->text, cut ? QUOTE_BYTES : value->len);
	if (cut) {
		memcpy(out + QUOTE_BYTES, "...", sizeof "...");
	}
	return value->kind != JSON_ABSENT ? out : "nothing";
}

/* An integer between two bounds. */
static bool read_small(const struct json_value *value, int64_t low, int64_t high, int64_t *out)
{
	return json_value_i64(value, out) && *out >= low && *out <= high;
}

/* ---- members ---- */

/* Takes one `"name": value` of an object that is known to be well-formed. */
static enum status find_member(struct json_scan *scan, struct members *out, bool *seen,
	struct error *err)
{
	const struct {
		const char *name;
		struct json_value *target;
	} names[] = {{"key", &out->key}, {"key_hex", &out->key_hex}, {"vector", &out->vector},
		{"time", &out->time}, {"tags", &out->tags}, {"scale", &out->scale},
		{"weight", &out->weight}, {"history_times", &out->history_times}};
	char name[ERROR_QUOTE_BYTES];
	char quoted[ERROR_QUOTE_BYTES];
	struct json_value each;
	bool whole = json_scan_value(scan, &each);
	const size_t len = json_value_string(&each, name, sizeof name);
	size_t i = 0;
	while (i < sizeof names / sizeof names[0] &&
		(strlen(names[i].name) != len || memcmp(names[i].name, name, len) != 0)) {
		i++;
	}
	if (i == sizeof names / sizeof names[0]) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s' is not a member of a row: key (or key_hex), vector, time, "
			"tags, scale, weight, history_times",
			error_quote(quoted, name, len < sizeof name ? len : sizeof name));
	}
	if (seen[i]) {
		return error_set(err, STATUS_BAD_REQUEST, "a member is given twice: '%s'",
			names[i].name);
	}
	seen[i] = true;
	whole = whole && json_scan_mark(scan, ':') && json_scan_value(scan, &each);
	assert(whole);
	if (each.kind != JSON_NULL) {
		*names[i].target = each;
	}
	return STATUS_OK;
}

static enum status find_members(const struct json_value *object, struct members *out,
	struct error *err)
{
	struct json_scan scan = {.text = object->text, .len = object->len, .at = 1};
	bool seen[sizeof *out / sizeof out->key] = {false};
	while (!json_scan_mark(&scan, '}')) {
		const enum status status = find_member(&scan, out, seen, err);
		if (status != STATUS_OK) {
			return status;
		}
		json_scan_mark(&scan, ',');
	}
	return STATUS_OK;
}

/* The first row decides which members all rows have. */
static enum status check_members(struct jsonl_reader *reader, const struct members *members,
	struct error *err)
{
	if (!reader->decided) {
		reader->decided = true;
		reader->has_scale = members->scale.kind != JSON_ABSENT;
		reader->has_time = members->time.kind != JSON_ABSENT;
		reader->has_tags = members->tags.kind != JSON_ABSENT;
		reader->has_weight = members->weight.kind != JSON_ABSENT;
		if (reader->has_scale && reader->spec->dtype == REP_BIT) {
			return error_set(err, STATUS_BAD_REQUEST, "scale: rows of bits have none");
		}
		if (reader->has_tags && !reader->spec->tags) {
			return error_set(err, STATUS_BAD_REQUEST, "tags: the table has none");
		}
		const bool has_history = reader->spec->history != 0;
		if (reader->has_weight && (reader->spec->kind != REP_CR || has_history)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"weight: only rows of kind cr have it, and no histories");
		}
		if (reader->has_time && has_history) {
			return error_set(err, STATUS_BAD_REQUEST,
				"time: history_times has those of all vectors of a history");
		}
	}
	const struct {
		const char *name;
		bool had;
		bool has;
	} all[] = {{"scale", reader->has_scale, members->scale.kind != JSON_ABSENT},
		{"time", reader->has_time, members->time.kind != JSON_ABSENT},
		{"tags", reader->has_tags, members->tags.kind != JSON_ABSENT},
		{"weight", reader->has_weight, members->weight.kind != JSON_ABSENT}};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		if (all[i].had != all[i].has) {
			return error_set(err, STATUS_BAD_REQUEST,
				"%s: some rows have it, others not", all[i].name);
		}
	}
	return STATUS_OK;
}

/* ---- the key ---- */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const struct json_value *value, uint8_t *key, size_t *len)
{
	char text[2 * LIMIT_KEY_BYTES];
	if (value->kind != JSON_STRING) {
		return false;
	}
	const size_t digits = json_value_string(value, text, sizeof text);
	if (digits % 2 != 0 || digits > sizeof text) {
		return false;
	}
	for (size_t i = 0; i < digits / 2; i++) {
		int high = digit_of(text[2 * i]);
		int low = digit_of(text[2 * i + 1]);
		if (high < 0 || low < 0) {
			return false;
		}
		key[i] = (uint8_t)(high << 4 | low);
	}
	*len = digits / 2;
	return true;
}

static enum status read_bytes_key(const struct members *members, struct jsonl_batch *batch,
	struct error *err)
{
	uint8_t packed[1 + LIMIT_KEY_BYTES];
	size_t len = 0;
	if (members->key_hex.kind != JSON_ABSENT) {
		if (members->key.kind != JSON_ABSENT ||
			!read_hex(&members->key_hex, packed + 1, &len)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"key_hex: not hexadecimal digits, two a byte, of 1 to %u bytes",
				LIMIT_KEY_BYTES);
		}
	} else if (members->key.kind == JSON_STRING) {
		len = json_value_string(&members->key, (char *)packed + 1, LIMIT_KEY_BYTES);
	}
	if (len == 0 || len > LIMIT_KEY_BYTES) {
		return error_set(err, STATUS_BAD_REQUEST, "key: not a string of 1 to %u bytes",
			LIMIT_KEY_BYTES);
	}
	packed[0] = (uint8_t)len;
	return buffer_add(&batch->keys, packed, 1 + len);
}

static enum status read_key(const struct jsonl_reader *reader, const struct members *members,
	struct jsonl_batch *batch, struct error *err)
{
	batch->key_type = reader->spec->key_type;
	if (batch->key_type == REP_KEY_BYTES) {
		return read_bytes_key(members, batch, err);
	}
	uint64_t key = 0;
	char quoted[ERROR_QUOTE_BYTES];
	if (members->key_hex.kind != JSON_ABSENT || !json_value_u64(&members->key, &key)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"key: %s given, keys of this table are integers of 0 to 2^64 - 1",
			quote(&members->key, quoted));
	}
	return buffer_add(&batch->keys, &key, sizeof key);
}

/* ---- the vector ---- */

/* Writes one element into the row. */
static bool read_element(const struct json_value *value, enum rep_dtype dtype, uint8_t *row,
	size_t index)
{
	int64_t code = 0;
	float number = 0;
	double sum = 0;
	if (dtype == REP_F64) {
		if (!json_value_double(value, &sum)) {
			return false;
		}
		memcpy(row + index * sizeof sum, &sum, sizeof sum);
	} else if (dtype == REP_F32) {
		if (!json_value_float(value, &number)) {
			return false;
		}
		memcpy(row + index * sizeof number, &number, sizeof number);
	} else if (dtype == REP_I8) {
		if (!read_small(value, INT8_MIN, INT8_MAX, &code)) {
			return false;
		}
		row[index] = (uint8_t)code;
	} else {
		if (!read_small(value, 0, 1, &code)) {
			return false;
		}
		row[index / 8] |= (uint8_t)(code << (7 - index % 8));
	}
	return true;
}

/* How many elements an array has; it is known to be well-formed. */
static uint32_t count_elements(const struct json_value *array)
{
	struct json_scan scan = {.text = array->text, .len = array->len, .at = 1};
	struct json_value each;
	uint32_t count = 0;
	while (!json_scan_mark(&scan, ']') && json_scan_value(&scan, &each)) {
		json_scan_mark(&scan, ',');
		count++;
	}
	return count;
}

static enum status read_view(const struct jsonl_reader *reader, const struct json_value *array,
	uint32_t view, enum rep_dtype dtype, struct error *err)
{
	const uint32_t dim = reader->spec->dim;
	struct json_scan scan = {.text = array->text, .len = array->len, .at = 1};
	uint32_t i = 0;
	while (i < dim && array->kind == JSON_ARRAY && !json_scan_mark(&scan, ']')) {
		struct json_value element = {0};
		char quoted[ERROR_QUOTE_BYTES];
		json_scan_value(&scan, &element);
		json_scan_mark(&scan, ',');
		if (!read_element(&element, dtype, reader->row.data,
			    jsonl_index(dtype, dim, view, i))) {
			return error_set(err, STATUS_BAD_REQUEST,
				"vector: element %u of view %u, %s, is not a number that %s rows hold",
				i, view, quote(&element, quoted), dtype_name((enum dtype)dtype));
		}
		i++;
	}
	if (i < dim || !json_scan_mark(&scan, ']')) {
		return error_set(err, STATUS_BAD_REQUEST,
			"vector: view %u is not an array of %u elements: it has %u", view, dim,
			array->kind == JSON_ARRAY ? count_elements(array) : 0);
	}
	return STATUS_OK;
}

/* Whether a row may have so many vectors; those of a history are whole places. */
static bool fits_views(const struct rep_table_spec *spec, uint32_t views)
{
	return spec->history == 0 ? views == spec->views
				  : views > 0 && views <= spec->views &&
					    views % (spec->views / spec->history) == 0;
}

/* The times of a history: one for each place that has vectors; those of the others are 0. */
static enum status read_places(const struct jsonl_reader *reader, const struct members *members,
	struct jsonl_batch *batch, struct error *err)
{
	const uint64_t history = reader->spec->history;
	const struct json_value *array = &members->history_times;
	if (history == 0) {
		return array->kind == JSON_ABSENT ? STATUS_OK
						  : error_set(err, STATUS_BAD_REQUEST,
							    "history_times: the table has none");
	}
	const uint32_t taken =
		count_elements(&members->vector) / (uint32_t)(reader->spec->views / history);
	const size_t bytes = history * sizeof(int64_t);
	if (array->kind != JSON_ARRAY || count_elements(array) != taken) {
		return error_set(err, STATUS_BAD_REQUEST,
			"history_times: not an array of %u, one time for each vector", taken);
	}
	uint8_t *room = buffer_room(&batch->history_times, bytes);
	if (room == NULL) {
		return STATUS_NO_MEMORY;
	}
	memset(room, 0, bytes);
	struct json_scan scan = {.text = array->text, .len = array->len, .at = 1};
	for (uint32_t i = 0; i < taken; i++) {
		struct json_value each = {0};
		int64_t time = 0;
		json_scan_value(&scan, &each);
		json_scan_mark(&scan, ',');
		if (!json_value_i64(&each, &time)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"history_times: element %u is not an integer", i);
		}
		memcpy(room + i * sizeof time, &time, sizeof time);
	}
	batch->history_times.len += bytes;
	batch->history = history;
	return buffer_add(&batch->counts, &taken, sizeof taken);
}

static enum status read_views(const struct jsonl_reader *reader, const struct json_value *vector,
	enum rep_dtype dtype, struct error *err)
{
	struct json_scan scan = {.text = vector->text, .len = vector->len, .at = 1};
	struct json_scan first = scan;
	const bool nested = json_scan_mark(&first, '[');
	if (!nested && reader->spec->views == 1 && reader->spec->history == 0) {
		return read_view(reader, vector, 0, dtype, err);
	}
	const uint32_t views = count_elements(vector);
	if (!nested || !fits_views(reader->spec, views)) {
		return error_set(err, STATUS_BAD_REQUEST, "vector: not an array of %u views%s",
			reader->spec->views,
			reader->spec->history != 0 ? ", or of those of fewer places" : "");
	}
	for (uint32_t view = 0; view < views; view++) {
		struct json_value each = {0};
		json_scan_value(&scan, &each);
		json_scan_mark(&scan, ',');
		const enum status status = read_view(reader, &each, view, dtype, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

static enum status read_vector(struct jsonl_reader *reader, const struct members *members,
	struct jsonl_batch *batch, struct error *err)
{
	const struct rep_table_spec *spec = reader->spec;
	if (members->vector.kind != JSON_ARRAY) {
		return error_set(err, STATUS_BAD_REQUEST, "vector: not an array");
	}
	batch->dtype = spec->dtype == REP_BIT ? REP_BIT
		       : reader->has_scale    ? REP_I8
		       : reader->has_weight   ? REP_F64
					      : REP_F32;
	size_t row_bytes = dtype_row_bytes((enum dtype)batch->dtype, spec->dim, spec->views);
	reader->row.len = 0;
	uint8_t *row = buffer_room(&reader->row, row_bytes);
	if (row == NULL) {
		return STATUS_NO_MEMORY;
	}
	memset(row, 0, row_bytes);
	const enum status status = read_views(reader, &members->vector, batch->dtype, err);
	return status != STATUS_OK ? status : buffer_add(&batch->rows, row, row_bytes);
}

/* ---- the rest ---- */

static enum status read_columns(const struct jsonl_reader *reader, const struct members *members,
	struct jsonl_batch *batch, struct error *err)
{
	enum status status = STATUS_OK;
	if (reader->has_scale && batch->dtype == REP_I8) {
		float scale = 0;
		if (!json_value_float(&members->scale, &scale)) {
			return error_set(err, STATUS_BAD_REQUEST, "scale: not a number");
		}
		status = buffer_add(&batch->scales, &scale, sizeof scale);
	}
	if (status == STATUS_OK && reader->has_time) {
		int64_t time = 0;
		if (!json_value_i64(&members->time, &time)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"time: not an integer, as Unix time is");
		}
		status = buffer_add(&batch->times, &time, sizeof time);
	}
	if (status == STATUS_OK && reader->has_tags) {
		uint64_t tags = 0;
		if (!json_value_u64(&members->tags, &tags)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"tags: not an integer of 0 to 2^64 - 1");
		}
		status = buffer_add(&batch->tags, &tags, sizeof tags);
	}
	if (status == STATUS_OK && reader->has_weight) {
		double weight = 0;
		if (!json_value_double(&members->weight, &weight)) {
			return error_set(err, STATUS_BAD_REQUEST, "weight: not a number");
		}
		status = buffer_add(&batch->weights, &weight, sizeof weight);
	}
	return status;
}

static enum status read_row(struct jsonl_reader *reader, const struct json_value *object,
	struct jsonl_batch *batch, struct error *err)
{
	struct members members = {0};
	enum status status = find_members(object, &members, err);
	if (status == STATUS_OK) {
		status = check_members(reader, &members, err);
	}
	if (status == STATUS_OK) {
		status = read_vector(reader, &members, batch, err);
	}
	if (status == STATUS_OK) {
		status = read_key(reader, &members, batch, err);
	}
	if (status == STATUS_OK) {
		status = read_columns(reader, &members, batch, err);
	}
	if (status == STATUS_OK) {
		status = read_places(reader, &members, batch, err);
	}
	if (status == STATUS_OK) {
		batch->count++;
	} else if (status == STATUS_NO_MEMORY) {
		error_set(err, status, "no memory for a row");
	}
	return status;
}

enum status jsonl_read(struct jsonl_reader *reader, const char *text, size_t len,
	struct jsonl_batch *batch, struct error *err)
{
	struct json_scan scan = {.text = text, .len = len};
	struct json_value object;
	if (!json_scan_value(&scan, &object)) {
		return error_set(err, STATUS_BAD_REQUEST, "not JSON: %s%s (at byte %zu)",
			scan.wrong, scan.not_text ? "; such bytes go into key_hex" : "", scan.at);
	}
	if (!json_scan_ended(&scan)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"not JSON: something stands behind it (at byte %zu); one object a line",
			scan.at);
	}
	if (object.kind != JSON_OBJECT) {
		return error_set(err, STATUS_BAD_REQUEST, "not a JSON object; one object a line");
	}
	return read_row(reader, &object, batch, err);
}
