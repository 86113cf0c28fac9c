/* batch.c - checks rows that come from outside against their table. */
#include "daemon/store/row/batch.h"

#include "schema/times.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A sum whose weight is not above 0 cannot be read as a mean. */
static enum status check_weights(const struct row_batch *batch, const struct table_spec *spec,
	struct error *err)
{
	if (batch->weights != NULL && !spec_aggregates(spec)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"weights: given, table '%s' is of kind %s, which has none", spec->name.text,
			kind_name(spec->kind));
	}
	for (uint32_t i = 0; batch->weights != NULL && i < batch->keys.count; i++) {
		const double weight = batch_weight(batch, i);
		const double kept = spec->state == STATE_F32 ? (double)(float)weight : weight;
		if (!(kept > 0) || !isfinite(kept)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"weights: row %" PRIu32 " has %g, above 0 and finite%s allowed", i,
				weight,
				spec->state == STATE_F32 ? " in f32, as the table keeps it," : "");
		}
	}
	return STATUS_OK;
}

/* Checks that the columns of histories are there for a table that has them, and only then. */
static enum status check_history_columns(const struct row_batch *batch,
	const struct table_spec *spec, struct error *err)
{
	const bool has_one = batch->history_counts != NULL || batch->history_times != NULL;
	const bool has_both = batch->history_counts != NULL && batch->history_times != NULL;
	if (spec->history == 0) {
		return has_one ? error_set(err, STATUS_BAD_REQUEST,
					 "%s: given, table '%s' has no histories",
					 batch->history_counts != NULL ? "counts" : "history_times",
					 spec->name.text)
			       : STATUS_OK;
	}
	if (!has_both) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%s: missing, a row of table '%s' is a history: its vectors, how many there "
			"are, and their times (append adds single vectors)",
			batch->history_counts == NULL ? "counts" : "history_times",
			spec->name.text);
	}
	if (batch->times != NULL) {
		return error_set(err, STATUS_BAD_REQUEST,
			"times: given, a row of table '%s' has the time of its newest vector: "
			"history_times has all of them",
			spec->name.text);
	}
	return batch->history == spec->history
		       ? STATUS_OK
		       : error_set(err, STATUS_BAD_REQUEST,
				 "history_times: of %" PRIu32
				 " places given, table '%s' has %" PRIu32,
				 batch->history, spec->name.text, spec->history);
}

/* The first place of a row whose vector is older than the one before; `count`: there is none. */
static uint32_t first_fall(const uint8_t *times, uint32_t count)
{
	int64_t before = INT64_MIN;
	for (uint32_t place = 0; place < count; place++) {
		int64_t time_ms;
		memcpy(&time_ms, times + (size_t)place * sizeof time_ms, sizeof time_ms);
		if (time_ms < before) {
			return place;
		}
		before = time_ms;
	}
	return count;
}

static enum status check_histories(const struct row_batch *batch, const struct table_spec *spec,
	struct error *err)
{
	enum status status = check_history_columns(batch, spec, err);
	for (uint32_t i = 0; status == STATUS_OK && spec->history != 0 && i < batch->keys.count;
		i++) {
		const uint32_t count = batch_history_count(batch, i);
		const uint8_t *times = batch_history_times(batch, i);
		if (count == 0 || count > spec->history) {
			return error_set(err, STATUS_BAD_REQUEST,
				"counts: row %" PRIu32 " has %" PRIu32 ", 1..%" PRIu32 " allowed",
				i, count, spec->history);
		}
		const uint32_t place = first_fall(times, count);
		if (place != count) {
			return error_set(err, STATUS_BAD_REQUEST,
				"history_times: row %" PRIu32 ", place %" PRIu32
				" is older than the one before; the oldest comes first",
				i, place);
		}
		status = times_check(times, count, TIMES_ANY, 0, "place", err);
	}
	return status;
}

static enum status check_shape(const struct row_batch *batch, const struct table_spec *spec,
	struct error *err)
{
	if (batch->keys.type != spec->key_type) {
		return error_set(err, STATUS_BAD_REQUEST, "keys: %s given, table '%s' has %s",
			key_type_name(batch->keys.type), spec->name.text,
			key_type_name(spec->key_type));
	}
	if (!dtype_convertible(batch->dtype, spec->dtype) ||
		(batch->dtype == DTYPE_F64 && !spec_aggregates(spec))) {
		return error_set(err, STATUS_BAD_REQUEST,
			"dtype: %s given, table '%s' is %s, which it does not convert into",
			dtype_name(batch->dtype), spec->name.text, dtype_name(spec->dtype));
	}
	const size_t row_bytes = dtype_row_bytes(batch->dtype, spec->dim, spec_row_views(spec));
	if (batch->rows_bytes != batch->keys.count * row_bytes) {
		return error_set(err, STATUS_BAD_REQUEST,
			"rows: %zu bytes given, %zu expected: %" PRIu32
			" keys, rows of %zu bytes (dim %" PRIu32 ", views %" PRIu32 ", %s)",
			batch->rows_bytes, batch->keys.count * row_bytes, batch->keys.count,
			row_bytes, spec->dim, spec_row_views(spec), dtype_name(batch->dtype));
	}
	if (batch->tags != NULL && !spec->tags) {
		return error_set(err, STATUS_BAD_REQUEST, "tags: given, table '%s' has none",
			spec->name.text);
	}
	return batch->times == NULL
		       ? STATUS_OK
		       : times_check(batch->times, batch->keys.count, TIMES_ANY, 0, "row", err);
}

/* The first row of a batch that has an element that is not finite, and the element; false: none
 * has. Rows that stand side by side are looked at together. */
struct nonfinite {
	size_t row;
	size_t element;
};

static bool find_nonfinite(const struct dtype_rows *rows, size_t count, size_t width, size_t stride,
	struct nonfinite *out)
{
	const bool scaled = rows->dtype == DTYPE_I8;
	const size_t row_width = scaled ? 1 : width;
	const uint8_t *elements = scaled ? rows->scales : rows->rows;
	const bool dense = scaled || stride == 0;
	const size_t some = dense ? count * row_width : row_width;
	for (size_t row = 0; row < (dense ? 1 : count); row++) {
		const size_t at = dtype_first_nonfinite(rows->dtype, elements + row * stride, some);
		assert(at <= some);
		if (at < some) {
			*out = (struct nonfinite){row + at / row_width, at % row_width};
			return true;
		}
	}
	return false;
}

/* Refuses rows with an element that is not finite, and names it. `rows` are the rows that arrived,
 * or what they became in the table's dtype.
 *   stride  of the rows; 0: nothing is between them */
static enum status check_finite(const struct row_batch *batch, const struct table_spec *spec,
	const struct dtype_rows *rows, size_t stride, struct error *err)
{
	struct nonfinite at;
	if (batch->allow_nonfinite ||
		!find_nonfinite(rows, batch->keys.count, spec_elements(spec), stride, &at)) {
		return STATUS_OK;
	}
	char key[64];
	keys_print(&batch->keys, (uint32_t)at.row, key, sizeof key);
	return error_set(err, STATUS_BAD_REQUEST,
		"%s: row %zu (key %s), element %zu is not finite%s; allow_nonfinite takes it",
		rows->dtype == DTYPE_I8 ? "scales" : "rows", at.row, key, at.element,
		rows->rows != batch->rows ? " in the table's dtype" : "");
}

enum status batch_check(const struct row_batch *batch, const struct table_spec *spec,
	struct error *err)
{
	const struct dtype_rows given = {.dtype = batch->dtype,
		.rows = (void *)batch->rows,
		.scales = (void *)batch->scales};
	enum status status = check_shape(batch, spec, err);
	if (status == STATUS_OK) {
		status = check_weights(batch, spec, err);
	}
	if (status == STATUS_OK) {
		status = check_histories(batch, spec, err);
	}
	return status == STATUS_OK ? check_finite(batch, spec, &given, 0, err) : status;
}

enum status batch_check_stored(const struct row_batch *batch, const struct table_spec *spec,
	const uint8_t *rows, const float *scales, struct error *err)
{
	const struct dtype_rows kept = {.dtype = spec->dtype,
		.rows = (void *)rows,
		.scales = (void *)scales};
	/* Behind sums stand weights, and behind the vectors of a history their times. */
	const bool has_more = spec_aggregates(spec) || spec->history != 0;
	return spec->dtype == batch->dtype ? STATUS_OK
					   : check_finite(batch, spec, &kept,
						     has_more ? spec_stored_bytes(spec) : 0, err);
}

int64_t batch_time(const struct row_batch *batch, uint32_t i, int64_t otherwise)
{
	int64_t time_ms = otherwise;
	if (batch->times != NULL) {
		memcpy(&time_ms, batch->times + (size_t)i * 8, 8);
	} else if (batch->history_times != NULL) {
		const uint32_t newest = batch_history_count(batch, i) - 1;
		memcpy(&time_ms, batch_history_times(batch, i) + (size_t)newest * 8, 8);
	}
	return time_ms;
}

uint32_t batch_history_count(const struct row_batch *batch, uint32_t i)
{
	uint32_t count;
	memcpy(&count, batch->history_counts + (size_t)i * sizeof count, sizeof count);
	return count;
}

const uint8_t *batch_history_times(const struct row_batch *batch, uint32_t i)
{
	return batch->history_times + (size_t)i * batch->history * sizeof(int64_t);
}

uint64_t batch_tags(const struct row_batch *batch, uint32_t i)
{
	uint64_t tags = 0;
	if (batch->tags != NULL) {
		memcpy(&tags, batch->tags + (size_t)i * 8, 8);
	}
	return tags;
}

double batch_weight(const struct row_batch *batch, uint32_t i)
{
	double weight = 1;
	if (batch->weights != NULL) {
		memcpy(&weight, batch->weights + (size_t)i * 8, 8);
	}
	return weight;
}
