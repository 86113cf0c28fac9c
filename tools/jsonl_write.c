/* jsonl_write.c - writes a row as a JSON object. */
#include "tools/jsonl_row.h"

#include "schema/dtype.h"
#include "tools/json.h"

#include <inttypes.h>
#include <string.h>

float jsonl_element(enum rep_dtype dtype, const void *values, size_t i)
{
	const uint8_t *bytes = values;
	uint16_t half = 0;
	float single = 0;
	switch (dtype) {
	case REP_F32:
		memcpy(&single, bytes + 4 * i, 4);
		return single;
	case REP_F16:
		memcpy(&half, bytes + 2 * i, 2);
		return dtype_f32_of_f16(half);
	case REP_BF16:
		memcpy(&half, bytes + 2 * i, 2);
		return dtype_f32_of_bf16(half);
	case REP_I8:
		return (float)(int8_t)bytes[i];
	case REP_BIT:
		return (float)(bytes[i / 8] >> (7 - i % 8) & 1);
	case REP_DTYPE_TABLE:
		break;
	}
	return 0;
}

static void write_view(FILE *out, const struct jsonl_row *row, uint32_t view)
{
	putc('[', out);
	for (uint32_t i = 0; i < row->dim; i++) {
		fputs(i > 0 ? ", " : "", out);
		size_t index = jsonl_index(row->dtype, row->dim, view, i);
		json_float(out, jsonl_element(row->dtype, row->values, index));
	}
	putc(']', out);
}

static void write_key(FILE *out, const struct jsonl_row *row)
{
	if (row->key_type == REP_KEY_U64) {
		uint64_t key = 0;
		memcpy(&key, row->key, sizeof key);
		fprintf(out, "{\"key\": %" PRIu64, key);
	} else if (json_is_utf8(row->key, row->key_len)) {
		fputs("{\"key\": ", out);
		json_string(out, row->key, row->key_len);
	} else {
		fputs("{\"key_hex\": ", out);
		json_hex(out, row->key, row->key_len);
	}
}

void jsonl_write(FILE *out, const struct jsonl_row *row)
{
	write_key(out, row);
	if (row->why != NULL) {
		fputs(", \"why\": ", out);
		json_text(out, row->why);
	}
	if (row->values != NULL) {
		fputs(", \"vector\": ", out);
		if (row->views > 1) {
			putc('[', out);
		}
		for (uint32_t view = 0; view < row->views; view++) {
			fputs(view > 0 ? ", " : "", out);
			write_view(out, row, view);
		}
		if (row->views > 1) {
			putc(']', out);
		}
	}
	if (row->time != NULL) {
		fprintf(out, ", \"time\": %" PRId64, *row->time);
	}
	if (row->tags != NULL) {
		fprintf(out, ", \"tags\": %" PRIu64, *row->tags);
	}
	if (row->weight != NULL) {
		fputs(", \"weight\": ", out);
		json_float(out, *row->weight);
	}
	if (row->scale != NULL) {
		fputs(", \"scale\": ", out);
		json_float(out, *row->scale);
	}
	fputs("}\n", out);
}
