/* sample_row.c - finds the members of a sample's object, and reads them. */
#include "tools/format/sample_row.h"

#include "tools/format/json_scan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Longer than a layer may be called; a longer member is nobody's. */
enum { NAME_BYTES = LIMIT_NAME_BYTES + 1, QUOTE_BYTES = 40 };

static const char *const side_names[SAMPLE_SIDES] = {"user", "item"};

/* The members of a line that are asked for. One that is not there, or is null, is JSON_ABSENT. */
struct members {
	struct json_value keys[SAMPLE_SIDES];
	struct json_value time;
	struct json_value *layers; /* [layer_count] */
};

enum status sample_row_open(const char *const *layers, size_t layer_count,
	struct sample_row_reader *out, struct error *err)
{
	*out = (struct sample_row_reader){.is_first = true, .layer_count = layer_count};
	out->layers = calloc(layer_count > 0 ? layer_count : 1, sizeof *out->layers);
	if (out->layers == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for layers");
	}
	for (size_t i = 0; i < layer_count; i++) {
		out->layers[i].name = layers[i];
	}
	return STATUS_OK;
}

void sample_row_close(struct sample_row_reader *reader)
{
	for (size_t i = 0; reader->layers != NULL && i < reader->layer_count; i++) {
		buffer_fini(&reader->layers[i].vector);
	}
	free(reader->layers);
	*reader = (struct sample_row_reader){0};
}

/* ---- members ---- */

static const char *quote(const struct json_value *value, char out[ERROR_QUOTE_BYTES])
{
	const bool is_cut = value->len > QUOTE_BYTES;
	if (value->kind == JSON_ABSENT) {
		return "nothing";
	}
	error_quote(out, value->text, is_cut ? QUOTE_BYTES : value->len);
	if (is_cut) {
		memcpy(out + QUOTE_BYTES, "...", sizeof "...");
	}
	return out;
}

static int name_len(const struct sample_row_layer *layer)
{
	return (int)strcspn(layer->name, "=");
}

static bool is_called(const char *name, size_t name_bytes, const char *text, size_t len)
{
	return name_bytes == len && memcmp(name, text, len) == 0;
}

/* Where a member of this name goes; NULL: nobody asks for it. */
static struct json_value *target_of(const struct sample_row_reader *reader, struct members *members,
	const char *text, size_t len)
{
	for (size_t i = 0; i < SAMPLE_SIDES; i++) {
		if (is_called(side_names[i], strlen(side_names[i]), text, len)) {
			return &members->keys[i];
		}
	}
	if (is_called("time", strlen("time"), text, len)) {
		return &members->time;
	}
	for (size_t i = 0; i < reader->layer_count; i++) {
		const struct sample_row_layer *layer = &reader->layers[i];
		if (is_called(layer->name, (size_t)name_len(layer), text, len)) {
			return &members->layers[i];
		}
	}
	return NULL;
}

/* Finds the members of an object that is known to be well-formed. */
static enum status find_members(const struct sample_row_reader *reader,
	const struct json_value *object, struct members *out, struct error *err)
{
	struct json_scan scan = {.text = object->text, .len = object->len, .at = 1};
	while (!json_scan_mark(&scan, '}')) {
		char name[NAME_BYTES];
		struct json_value each;
		bool whole = json_scan_value(&scan, &each);
		const size_t len = json_value_string(&each, name, sizeof name);
		whole = whole && json_scan_mark(&scan, ':') && json_scan_value(&scan, &each);
		assert(whole);
		(void)whole;
		(void)json_scan_mark(&scan, ',');
		struct json_value *target =
			len <= sizeof name ? target_of(reader, out, name, len) : NULL;
		if (target == NULL) {
			continue;
		}
		if (target->kind != JSON_ABSENT) {
			return error_set(err, STATUS_BAD_REQUEST, "a member is given twice: '%.*s'",
				(int)len, name);
		}
		*target = each;
	}
	return STATUS_OK;
}

/* ---- what they hold ---- */

static enum status read_key(const struct sample_row_reader *reader, size_t side,
	const struct json_value *value, struct sample_key *out, struct error *err)
{
	char quoted[ERROR_QUOTE_BYTES];
	uint64_t number = 0;
	*out = (struct sample_key){.is_string = value->kind == JSON_STRING};
	bool is_key = false;
	if (out->is_string) {
		out->len = json_value_string(value, (char *)out->bytes, sizeof out->bytes);
		/* Strings are padded with NULs. */
		is_key = out->len > 0 && out->len <= sizeof out->bytes &&
			 out->bytes[out->len - 1] != 0;
	} else {
		is_key = json_value_u64(value, &number);
		memcpy(out->bytes, &number, sizeof number);
		out->len = sizeof number;
	}
	if (!is_key) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%s: %s given, an integer of 0 to 2^64 - 1 or a string of 1 to %u bytes "
			"without a NUL behind it allowed",
			side_names[side], quote(value, quoted), LIMIT_KEY_BYTES);
	}
	if (!reader->is_first && out->is_string != reader->keys[side].is_string) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%s: %s given, but that of the first sample is %s", side_names[side],
			quote(value, quoted), out->is_string ? "an integer" : "a string");
	}
	return STATUS_OK;
}

static enum status read_vector(struct sample_row_layer *layer, const struct json_value *value,
	struct error *err)
{
	char quoted[ERROR_QUOTE_BYTES];
	uint32_t count = 0;
	layer->vector.len = 0;
	if (value->kind != JSON_ARRAY) {
		return error_set(err, STATUS_BAD_REQUEST, "%.*s: %s given, an array allowed",
			name_len(layer), layer->name, quote(value, quoted));
	}
	struct json_scan scan = {.text = value->text, .len = value->len, .at = 1};
	while (!json_scan_mark(&scan, ']')) {
		struct json_value each = {0};
		float element = 0;
		(void)json_scan_value(&scan, &each);
		(void)json_scan_mark(&scan, ',');
		if (!json_value_float(&each, &element)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"%.*s: element %u, %s, is not a number that f32 holds",
				name_len(layer), layer->name, count, quote(&each, quoted));
		}
		if (buffer_add(&layer->vector, &element, sizeof element) != STATUS_OK) {
			return error_set(err, STATUS_NO_MEMORY, "no memory for a vector");
		}
		count++;
	}
	if (count == 0 || count > LIMIT_DIM || (layer->dim != 0 && count != layer->dim)) {
		return layer->dim == 0
			       ? error_set(err, STATUS_BAD_REQUEST,
					 "%.*s: %u elements given, 1 to %u allowed",
					 name_len(layer), layer->name, count, LIMIT_DIM)
			       : error_set(err, STATUS_BAD_REQUEST,
					 "%.*s: %u elements given, %u allowed, as in the first "
					 "sample",
					 name_len(layer), layer->name, count, layer->dim);
	}
	return STATUS_OK;
}

static enum status read_members(struct sample_row_reader *reader, const struct members *members,
	struct error *err)
{
	struct sample_key keys[SAMPLE_SIDES];
	char quoted[ERROR_QUOTE_BYTES];
	int64_t time = 0;
	enum status status = STATUS_OK;
	for (size_t i = 0; i < SAMPLE_SIDES && status == STATUS_OK; i++) {
		status = read_key(reader, i, &members->keys[i], &keys[i], err);
	}
	if (status == STATUS_OK && !json_value_i64(&members->time, &time)) {
		status = error_set(err, STATUS_BAD_REQUEST,
			"time: %s given, an integer allowed, as Unix time is",
			quote(&members->time, quoted));
	}
	for (size_t i = 0; i < reader->layer_count && status == STATUS_OK; i++) {
		status = read_vector(&reader->layers[i], &members->layers[i], err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	memcpy(reader->keys, keys, sizeof keys);
	reader->time = time;
	for (size_t i = 0; i < reader->layer_count; i++) {
		struct sample_row_layer *layer = &reader->layers[i];
		layer->dim = (uint32_t)(layer->vector.len / sizeof(float));
	}
	reader->is_first = false;
	return STATUS_OK;
}

enum status sample_row_read(struct sample_row_reader *reader, const char *text, size_t len,
	struct error *err)
{
	struct json_scan scan = {.text = text, .len = len};
	struct json_value object;
	struct members members = {0};
	if (!json_scan_value(&scan, &object)) {
		return error_set(err, STATUS_BAD_REQUEST, "not JSON: %s (at byte %zu)", scan.wrong,
			scan.at);
	}
	if (!json_scan_ended(&scan)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"not JSON: something stands behind it (at byte %zu); one object a line",
			scan.at);
	}
	if (object.kind != JSON_OBJECT) {
		return error_set(err, STATUS_BAD_REQUEST, "not a JSON object; one object a line");
	}
	members.layers =
		calloc(reader->layer_count > 0 ? reader->layer_count : 1, sizeof *members.layers);
	enum status status = members.layers != NULL
				     ? find_members(reader, &object, &members, err)
				     : error_set(err, STATUS_NO_MEMORY, "no memory for layers");
	if (status == STATUS_OK) {
		status = read_members(reader, &members, err);
	}
	free(members.layers);
	return status;
}
