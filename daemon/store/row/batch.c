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
		const float weight = batch_weight(batch, i);
		if (!(weight > 0) || !isfinite(weight)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"weights: row %" PRIu32 " has %g, above 0 and finite allowed", i,
				(double)weight);
		}
	}
	return STATUS_OK;
}

static enum status check_shape(const struct row_batch *batch, const struct table_spec *spec,
	struct error *err)
{
	if (batch->keys.type != spec->key_type) {
		return error_set(err, STATUS_BAD_REQUEST, "keys: %s given, table '%s' has %s",
			key_type_name(batch->keys.type), spec->name.text,
			key_type_name(spec->key_type));
	}
	if (!dtype_convertible(batch->dtype, spec->dtype)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"dtype: %s given, table '%s' is %s, which it does not convert into",
			dtype_name(batch->dtype), spec->name.text, dtype_name(spec->dtype));
	}
	const size_t row_bytes = dtype_row_bytes(batch->dtype, spec->dim, spec->views);
	if (batch->rows_bytes != batch->keys.count * row_bytes) {
		return error_set(err, STATUS_BAD_REQUEST,
			"rows: %zu bytes given, %zu expected: %" PRIu32
			" keys, rows of %zu bytes (dim %" PRIu32 ", views %" PRIu32 ", %s)",
			batch->rows_bytes, batch->keys.count * row_bytes, batch->keys.count,
			row_bytes, spec->dim, spec->views, dtype_name(batch->dtype));
	}
	if (batch->tags != NULL && !spec->tags) {
		return error_set(err, STATUS_BAD_REQUEST, "tags: given, table '%s' has none",
			spec->name.text);
	}
	return batch->times == NULL
		       ? STATUS_OK
		       : times_check(batch->times, batch->keys.count, TIMES_ANY, 0, "row", err);
}

/* Refuses rows with an element that is not finite, and names it. `rows` are the rows that arrived,
 * or what they became in the table's dtype. */
static enum status check_finite(const struct row_batch *batch, const struct table_spec *spec,
	const struct dtype_rows *rows, struct error *err)
{
	const bool scaled = rows->dtype == DTYPE_I8;
	const bool is_kept = rows->rows != batch->rows;
	/* A kept sum has its weight behind it, which is finite. */
	const size_t width =
		scaled ? 1 : spec_elements(spec) + (is_kept && spec_aggregates(spec) ? 1 : 0);
	const size_t count = batch->keys.count * width;
	const size_t at =
		dtype_first_nonfinite(rows->dtype, scaled ? rows->scales : rows->rows, count);
	assert(at <= count);
	if (batch->allow_nonfinite || at == count) {
		return STATUS_OK;
	}
	char key[64];
	keys_print(&batch->keys, (uint32_t)(at / width), key, sizeof key);
	return error_set(err, STATUS_BAD_REQUEST,
		"%s: row %zu (key %s), element %zu is not finite%s; allow_nonfinite takes it",
		scaled ? "scales" : "rows", at / width, key, at % width,
		is_kept ? " in the table's dtype" : "");
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
	return status == STATUS_OK ? check_finite(batch, spec, &given, err) : status;
}

enum status batch_check_kept(const struct row_batch *batch, const struct table_spec *spec,
	const struct dtype_rows *kept, struct error *err)
{
	assert(kept->dtype == spec->dtype);
	return spec->dtype == batch->dtype ? STATUS_OK : check_finite(batch, spec, kept, err);
}

int64_t batch_time(const struct row_batch *batch, uint32_t i, int64_t otherwise)
{
	int64_t time_ms = otherwise;
	if (batch->times != NULL) {
		memcpy(&time_ms, batch->times + (size_t)i * 8, 8);
	}
	return time_ms;
}

uint64_t batch_tags(const struct row_batch *batch, uint32_t i)
{
	uint64_t tags = 0;
	if (batch->tags != NULL) {
		memcpy(&tags, batch->tags + (size_t)i * 8, 8);
	}
	return tags;
}

float batch_weight(const struct row_batch *batch, uint32_t i)
{
	float weight = 1;
	if (batch->weights != NULL) {
		memcpy(&weight, batch->weights + (size_t)i * 4, 4);
	}
	return weight;
}
