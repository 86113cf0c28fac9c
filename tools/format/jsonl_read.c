/* jsonl_read.c - parses a row's JSON object, by way of json-c. */
#include "tools/format/jsonl_row.h"

#include "schema/dtype.h"
#include "schema/limits.h"

#include <json-c/json.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* Levels: object, vector, view, element. One is to spare. */
	DEPTH_MAX = 5,
};

struct jsonl_reader {
	const struct rep_table_spec *spec; /* borrowed */
	struct json_tokener *tokener;      /* owned */
	struct buffer row;                 /* one row, before it joins the batch */
	/* Which members the first row had besides key and vector; all rows must have them. */
	bool decided;
	bool has_scale;
	bool has_time;
	bool has_tags;
	bool has_weight;
	/* The line that is being read. */
	const char *text;
	size_t len;
};

/* The members of a line's object; NULL: not there. */
struct members {
	struct json_object *key;
	struct json_object *key_hex;
	struct json_object *vector;
	struct json_object *time;
	struct json_object *tags;
	struct json_object *scale;
	struct json_object *weight;
};

enum status jsonl_reader_open(const struct rep_table_spec *spec, struct jsonl_reader **out,
	struct error *err)
{
	struct jsonl_reader *reader = calloc(1, sizeof *reader);
	struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	if (reader == NULL || tokener == NULL) {
		json_tokener_free(tokener);
		free(reader);
		return error_set(err, STATUS_NO_MEMORY, "no memory for a JSON reader");
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	reader->spec = spec;
	reader->tokener = tokener;
	*out = reader;
	return STATUS_OK;
}

void jsonl_reader_close(struct jsonl_reader *reader)
{
	if (reader != NULL) {
		json_tokener_free(reader->tokener);
		buffer_fini(&reader->row);
		free(reader);
	}
}

/* ---- numbers ---- */

/* json-c turns every integer that is too large into the largest one. The largest is accepted only
 * if the line holds just its digits. */
static bool line_has_number(const struct jsonl_reader *reader, const char *digits)
{
	size_t digits_len = strlen(digits);
	const char *at = reader->text;
	const char *end = reader->text + reader->len;
	while ((at = memmem(at, (size_t)(end - at), digits, digits_len)) != NULL) {
		const char *behind = at + digits_len;
		bool starts = at == reader->text || at[-1] < '0' || at[-1] > '9';
		bool ends = behind == end || *behind < '0' || *behind > '9';
		if (starts && ends) {
			return true;
		}
		at = behind;
	}
	return false;
}

/* A non-negative integer of at most 64 bits. */
static bool read_u64(const struct jsonl_reader *reader, struct json_object *value, uint64_t *out)
{
	if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0) {
		return false;
	}
	uint64_t number = json_object_get_uint64(value);
	if (number == UINT64_MAX && !line_has_number(reader, "18446744073709551615")) {
		return false;
	}
	*out = number;
	return true;
}

static bool read_float(struct json_object *value, float *out)
{
	if (json_object_is_type(value, json_type_string)) {
		static const struct {
			const char *name;
			float value;
		} names[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
		for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
			if (strcmp(json_object_get_string(value), names[i].name) == 0) {
				*out = names[i].value;
				return true;
			}
		}
		return false;
	}
	if (json_object_is_type(value, json_type_int)) {
		int64_t number = json_object_get_int64(value);
		*out = (float)number;
		return number != INT64_MIN && number != INT64_MAX; /* json-c may have cut it */
	}
	*out = (float)json_object_get_double(value);
	return json_object_is_type(value, json_type_double);
}

/* An integer between two bounds. */
static bool read_small(struct json_object *value, int64_t low, int64_t high, int64_t *out)
{
	*out = json_object_get_int64(value);
	return json_object_is_type(value, json_type_int) && *out >= low && *out <= high;
}

/* ---- members ---- */

static enum status find_members(struct json_object *object, struct members *out, struct error *err)
{
	const struct {
		const char *name;
		struct json_object **target;
	} names[] = {{"key", &out->key}, {"key_hex", &out->key_hex}, {"vector", &out->vector},
		{"time", &out->time}, {"tags", &out->tags}, {"scale", &out->scale},
		{"weight", &out->weight}};
	struct json_object_iterator at = json_object_iter_begin(object);
	struct json_object_iterator end = json_object_iter_end(object);
	for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
		const char *name = json_object_iter_peek_name(&at);
		size_t i = 0;
		while (i < sizeof names / sizeof names[0] && strcmp(names[i].name, name) != 0) {
			i++;
		}
		if (i == sizeof names / sizeof names[0]) {
			return error_set(err, STATUS_BAD_REQUEST, "'%s' is not a member of a row",
				name);
		}
		*names[i].target = json_object_iter_peek_value(&at);
	}
	return STATUS_OK;
}

/* The first row decides which members all rows have. */
static enum status check_members(struct jsonl_reader *reader, const struct members *members,
	struct error *err)
{
	if (!reader->decided) {
		reader->decided = true;
		reader->has_scale = members->scale != NULL;
		reader->has_time = members->time != NULL;
		reader->has_tags = members->tags != NULL;
		reader->has_weight = members->weight != NULL;
		if (reader->has_scale && reader->spec->dtype == REP_BIT) {
			return error_set(err, STATUS_BAD_REQUEST, "scale: rows of bits have none");
		}
		if (reader->has_tags && !reader->spec->tags) {
			return error_set(err, STATUS_BAD_REQUEST, "tags: the table has none");
		}
		if (reader->has_weight && reader->spec->kind != REP_CR) {
			return error_set(err, STATUS_BAD_REQUEST,
				"weight: only rows of kind cr have it");
		}
	}
	const struct {
		const char *name;
		bool had;
		bool has;
	} all[] = {{"scale", reader->has_scale, members->scale != NULL},
		{"time", reader->has_time, members->time != NULL},
		{"tags", reader->has_tags, members->tags != NULL},
		{"weight", reader->has_weight, members->weight != NULL}};
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

static bool read_hex(struct json_object *value, uint8_t *key, size_t *len)
{
	if (!json_object_is_type(value, json_type_string)) {
		return false;
	}
	const char *text = json_object_get_string(value);
	size_t digits = (size_t)json_object_get_string_len(value);
	if (digits % 2 != 0 || digits > (size_t)2 * LIMIT_KEY_BYTES) {
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
	if (members->key_hex != NULL) {
		if (members->key != NULL || !read_hex(members->key_hex, packed + 1, &len)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"key_hex: not hexadecimal digits, two a byte, of 1 to %u bytes",
				LIMIT_KEY_BYTES);
		}
	} else if (json_object_is_type(members->key, json_type_string)) {
		len = (size_t)json_object_get_string_len(members->key);
		if (len <= LIMIT_KEY_BYTES) {
			memcpy(packed + 1, json_object_get_string(members->key), len);
		}
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
	if (members->key_hex != NULL || !read_u64(reader, members->key, &key)) {
		return error_set(err, STATUS_BAD_REQUEST, "key: not an integer of 0 to 2^64 - 1");
	}
	return buffer_add(&batch->keys, &key, sizeof key);
}

/* ---- the vector ---- */

/* Writes one element into the row. */
static bool read_element(struct json_object *value, enum rep_dtype dtype, uint8_t *row,
	size_t index)
{
	int64_t code = 0;
	float number = 0;
	if (dtype == REP_F32) {
		if (!read_float(value, &number)) {
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

static enum status read_view(const struct jsonl_reader *reader, struct json_object *array,
	uint32_t view, enum rep_dtype dtype, struct error *err)
{
	uint32_t dim = reader->spec->dim;
	if (!json_object_is_type(array, json_type_array) ||
		json_object_array_length(array) != dim) {
		return error_set(err, STATUS_BAD_REQUEST,
			"vector: view %u is not an array of %u elements", view, dim);
	}
	for (uint32_t i = 0; i < dim; i++) {
		struct json_object *element = json_object_array_get_idx(array, i);
		if (!read_element(element, dtype, reader->row.data,
			    jsonl_index(dtype, dim, view, i))) {
			return error_set(err, STATUS_BAD_REQUEST,
				"vector: element %u of view %u is not a number that %s rows hold",
				i, view,
				dtype == REP_F32 ? "f32" : (dtype == REP_I8 ? "i8" : "bit"));
		}
	}
	return STATUS_OK;
}

static enum status read_vector(struct jsonl_reader *reader, const struct members *members,
	struct jsonl_batch *batch, struct error *err)
{
	const struct rep_table_spec *spec = reader->spec;
	if (!json_object_is_type(members->vector, json_type_array)) {
		return error_set(err, STATUS_BAD_REQUEST, "vector: not an array");
	}
	batch->dtype = spec->dtype == REP_BIT ? REP_BIT : (reader->has_scale ? REP_I8 : REP_F32);
	size_t row_bytes = dtype_row_bytes((enum dtype)batch->dtype, spec->dim, spec->views);
	reader->row.len = 0;
	uint8_t *row = buffer_room(&reader->row, row_bytes);
	if (row == NULL) {
		return STATUS_NO_MEMORY;
	}
	memset(row, 0, row_bytes);
	size_t len = json_object_array_length(members->vector);
	bool nested = len > 0 && json_object_is_type(json_object_array_get_idx(members->vector, 0),
					 json_type_array);
	if (!nested && spec->views == 1) {
		enum status status = read_view(reader, members->vector, 0, batch->dtype, err);
		return status != STATUS_OK ? status : buffer_add(&batch->rows, row, row_bytes);
	}
	if (!nested || len != spec->views) {
		return error_set(err, STATUS_BAD_REQUEST, "vector: not an array of %u views",
			spec->views);
	}
	for (uint32_t view = 0; view < spec->views; view++) {
		enum status status = read_view(reader,
			json_object_array_get_idx(members->vector, view), view, batch->dtype, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return buffer_add(&batch->rows, row, row_bytes);
}

/* ---- the rest ---- */

static enum status read_columns(const struct jsonl_reader *reader, const struct members *members,
	struct jsonl_batch *batch, struct error *err)
{
	enum status status = STATUS_OK;
	if (reader->has_scale && batch->dtype == REP_I8) {
		float scale = 0;
		if (!read_float(members->scale, &scale)) {
			return error_set(err, STATUS_BAD_REQUEST, "scale: not a number");
		}
		status = buffer_add(&batch->scales, &scale, sizeof scale);
	}
	if (status == STATUS_OK && reader->has_time) {
		int64_t time = 0;
		if (!read_small(members->time, 0, LIMIT_TIME_MS, &time)) {
			return error_set(err, STATUS_BAD_REQUEST, "time: not Unix milliseconds");
		}
		status = buffer_add(&batch->times, &time, sizeof time);
	}
	if (status == STATUS_OK && reader->has_tags) {
		uint64_t tags = 0;
		if (!read_u64(reader, members->tags, &tags)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"tags: not an integer of 0 to 2^64 - 1");
		}
		status = buffer_add(&batch->tags, &tags, sizeof tags);
	}
	if (status == STATUS_OK && reader->has_weight) {
		float weight = 0;
		if (!read_float(members->weight, &weight)) {
			return error_set(err, STATUS_BAD_REQUEST, "weight: not a number");
		}
		status = buffer_add(&batch->weights, &weight, sizeof weight);
	}
	return status;
}

static enum status read_row(struct jsonl_reader *reader, struct json_object *object,
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
		batch->count++;
	} else if (status == STATUS_NO_MEMORY) {
		error_set(err, status, "no memory for a row");
	}
	return status;
}

/* Counts the members of the object in the line. When a member stands there twice, json-c keeps the
 * last one and does not tell. */
static int count_members(const struct jsonl_reader *reader)
{
	int count = 0;
	int depth = 0;
	bool string = false;
	for (const char *at = reader->text; at < reader->text + reader->len; at++) {
		if (*at == '"') {
			string = !string;
		} else if (string) {
			at += *at == '\\';
		} else {
			depth += (*at == '{') - (*at == '}');
			count += *at == ':' && depth == 1;
		}
	}
	return count;
}

enum status jsonl_read(struct jsonl_reader *reader, const char *text, size_t len,
	struct jsonl_batch *batch, struct error *err)
{
	if (len > INT32_MAX) {
		return error_set(err, STATUS_TOO_LARGE, "a line of %zu bytes", len);
	}
	reader->text = text;
	reader->len = len;
	json_tokener_reset(reader->tokener);
	struct json_object *object = json_tokener_parse_ex(reader->tokener, text, (int)len);
	enum json_tokener_error code = json_tokener_get_error(reader->tokener);
	enum status status = STATUS_OK;
	if (code != json_tokener_success) {
		status = error_set(err, STATUS_BAD_REQUEST, "not JSON: %s (at byte %zu)",
			code == json_tokener_continue ? "the line ends too early"
						      : json_tokener_error_desc(code),
			json_tokener_get_parse_end(reader->tokener));
	} else if (!json_object_is_type(object, json_type_object)) {
		status = error_set(err, STATUS_BAD_REQUEST, "not a JSON object");
	} else if (count_members(reader) != json_object_object_length(object)) {
		status = error_set(err, STATUS_BAD_REQUEST, "a member is given twice");
	} else {
		status = read_row(reader, object, batch, err);
	}
	json_object_put(object);
	return status;
}
