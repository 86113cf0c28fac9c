/* jsonl_write.c - writes a row as a JSON object. */
#include "tools/format/jsonl_row.h"

#include "schema/dtype.h"
#include "tools/format/json.h"
#include "tools/format/json_write.h"

#include <math.h>
#include <string.h>

double jsonl_element(enum rep_dtype dtype, const void *values, size_t i)
{
	const uint8_t *bytes = values;
	uint16_t half = 0;
	float single = 0;
	double whole = 0;
	switch (dtype) {
	case REP_F32:
		memcpy(&single, bytes + 4 * i, 4);
		return (double)single;
	case REP_F64:
		memcpy(&whole, bytes + 8 * i, 8);
		return whole;
	case REP_F16:
		memcpy(&half, bytes + 2 * i, 2);
		return (double)dtype_f32_of_f16(half);
	case REP_BF16:
		memcpy(&half, bytes + 2 * i, 2);
		return (double)dtype_f32_of_bf16(half);
	case REP_I8:
		return (int8_t)bytes[i];
	case REP_BIT:
		return bytes[i / 8] >> (7 - i % 8) & 1;
	case REP_DTYPE_TABLE:
		break;
	}
	return 0;
}

static void write_view(struct json_writer *json, const char *name, const struct jsonl_row *row,
	uint32_t view)
{
	json_write_array(json, name);
	for (uint32_t i = 0; i < row->dim; i++) {
		size_t index = jsonl_index(row->dtype, row->dim, view, i);
		const double element = jsonl_element(row->dtype, row->values, index);
		if (row->dtype == REP_F64 && isfinite(element)) {
			json_write_double_17(json, NULL, element);
		} else {
			json_write_float(json, NULL, (float)element);
		}
	}
	json_write_array_end(json);
}

/* One view is an array of numbers. Several, and those of a history, are an array of such. */
static void write_vector(struct json_writer *json, const struct jsonl_row *row)
{
	if (row->views == 1 && row->history == 0) {
		write_view(json, "vector", row, 0);
		return;
	}
	const uint32_t views =
		row->history == 0 ? row->views : row->views / row->history * row->taken;
	json_write_array(json, "vector");
	for (uint32_t view = 0; view < views; view++) {
		write_view(json, NULL, row, view);
	}
	json_write_array_end(json);
}

static void write_key(struct json_writer *json, const struct jsonl_row *row)
{
	if (row->key_type == REP_KEY_U64) {
		uint64_t key = 0;
		memcpy(&key, row->key, sizeof key);
		json_write_u64(json, "key", key);
	} else if (json_is_utf8(row->key, row->key_len)) {
		json_write_string(json, "key", row->key, row->key_len);
	} else {
		json_write_hex(json, "key_hex", row->key, row->key_len);
	}
}

void jsonl_write(FILE *out, const struct jsonl_row *row)
{
	struct json_writer json = {.out = out};
	json_write_object(&json, NULL);
	write_key(&json, row);
	if (row->why != NULL) {
		json_write_text(&json, "why", row->why);
	}
	if (row->values != NULL) {
		write_vector(&json, row);
	}
	if (row->time != NULL) {
		json_write_i64(&json, "time", *row->time);
	}
	if (row->history_times != NULL) {
		json_write_array(&json, "history_times");
		for (uint32_t i = 0; i < row->taken; i++) {
			json_write_i64(&json, NULL, row->history_times[i]);
		}
		json_write_array_end(&json);
	}
	if (row->tags != NULL) {
		json_write_u64(&json, "tags", *row->tags);
	}
	if (row->weight != NULL) {
		json_write_double_17(&json, "weight", *row->weight);
	}
	if (row->scale != NULL) {
		json_write_float(&json, "scale", *row->scale);
	}
	json_write_object_end(&json);
	json_write_line(&json);
}
