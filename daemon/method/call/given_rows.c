/* given_rows.c - reads the columns of rows and checks each against its table. */
#include "daemon/method/call/given_rows.h"

#include <assert.h>
#include <inttypes.h>

#include "daemon/method/call/call.h"
#include "daemon/method/call/service.h"
#include "daemon/store/state/reader.h"
#include "schema/times.h"

enum status given_rows_find(struct call *call, const char *release_id, const char *name,
	const char *where, struct table_spec *spec)
{
	const struct release *release;
	const struct table *table;
	const struct snapshot *snapshot = snapshot_begin(call->service->store);
	enum status status = snapshot_release(snapshot, release_id, &release, &call->error);
	if (status == STATUS_OK) {
		status = release_table(release, name, &table, &call->error);
		if (status != STATUS_OK) {
			error_set(&call->error, status, "%s%s", where, call->error.text);
		}
	}
	if (status == STATUS_OK) {
		*spec = table->spec;
	}
	snapshot_end(call->service->store);
	return status;
}

static void read_rows(struct params *params, const struct table_spec *spec, struct row_batch *batch)
{
	batch->dtype = params_dtype_or_f64(params, spec->dtype);
	struct wire_bytes rows = params_bin(params, "rows", PARAM_REQUIRED);
	if (params->status != STATUS_OK) {
		return;
	}
	if (batch->dtype == DTYPE_F64 && !spec_aggregates(spec)) {
		params_fail(params, STATUS_BAD_REQUEST, "dtype",
			"f64 given, allowed for sums only, and table '%s' is of kind %s",
			spec->name.text, kind_name(spec->kind));
	}
	if (!dtype_convertible(batch->dtype, spec->dtype)) {
		params_fail(params, STATUS_BAD_REQUEST, "dtype",
			"%s given, but table '%s' holds %s, into which it does not convert",
			dtype_name(batch->dtype), spec->name.text, dtype_name(spec->dtype));
	}
	batch->rows = rows.data;
	batch->rows_bytes = rows.len;
}

static void read_columns(struct params *params, const struct table_spec *spec,
	struct row_batch *batch)
{
	size_t count = batch->keys.count;
	batch->scales = params_column(params, "scales", count * sizeof(float));
	batch->times = params_column(params, "times", count * sizeof(int64_t));
	batch->tags = params_column(params, "tags", count * sizeof(uint64_t));
	batch->weights = params_column(params, "weights", count * sizeof(double));
	batch->history = spec->history;
	batch->history_counts = params_column(params, "counts", count * sizeof(uint32_t));
	batch->history_times = params_column(params, "history_times",
		count * (spec->history != 0 ? spec->history : 1) * sizeof(int64_t));
	batch->allow_nonfinite = params_flag(params, "allow_nonfinite");
	bool is_i8 = batch->dtype == DTYPE_I8;
	if (is_i8 && batch->scales == NULL) {
		params_fail(params, STATUS_BAD_REQUEST, "scales", "missing, dtype is i8");
	}
	if (!is_i8 && batch->scales != NULL) {
		params_fail(params, STATUS_BAD_REQUEST, "scales", "given, but dtype is %s, not i8",
			dtype_name(batch->dtype));
	}
	if (batch->tags != NULL && !spec->tags) {
		params_fail(params, STATUS_BAD_REQUEST, "tags", "given, but table '%s' has none",
			spec->name.text);
	}
}

/* Each place of each row that is taken must have a time that is allowed. */
static void read_history_times(struct params *params, const struct row_batch *batch, int64_t now_ms)
{
	struct error reason;
	const enum times_rule rule = params_flag(params, "any_time") ? TIMES_ANY : TIMES_OF_NOW;
	const bool is_there = batch->history_counts != NULL && batch->history_times != NULL;
	for (uint32_t i = 0; is_there && params->status == STATUS_OK && i < batch->keys.count;
		i++) {
		const uint32_t count = batch_history_count(batch, i);
		if (count > batch->history) {
			return; /* batch_check refuses it */
		}
		params->status = times_check(batch_history_times(batch, i), count, rule, now_ms,
			"place", &reason);
		if (params->status != STATUS_OK) {
			error_set(params->err, params->status, "%srow %" PRIu32 ": history_%s",
				params->where, i, reason.text);
		}
	}
}

enum status given_rows_read(struct given_rows *rows, struct params *params,
	const struct table_spec *spec, int64_t now_ms)
{
	struct wire_value given = params_value(params, "keys", PARAM_REQUIRED);
	if (params->status != STATUS_OK) {
		return params->status;
	}
	enum status status =
		given_keys_begin(&rows->keys, given, spec->key_type, params->where, params->err);
	if (status != STATUS_OK) {
		return status;
	}
	rows->batch.keys = rows->keys.batch;
	read_rows(params, spec, &rows->batch);
	read_columns(params, spec, &rows->batch);
	params_times(params, rows->batch.times, rows->batch.keys.count, "row", now_ms);
	read_history_times(params, &rows->batch, now_ms);
	status = params->status;
	if (status == STATUS_OK) {
		status = given_keys_pack(&rows->keys, params->err);
	}
	rows->batch.keys = rows->keys.batch;
	assert(status != STATUS_OK ||
		(rows->batch.keys.type == spec->key_type &&
			(rows->batch.dtype == DTYPE_I8) == (rows->batch.scales != NULL) &&
			(rows->batch.tags == NULL || spec->tags)));
	return status;
}

void given_rows_fini(struct given_rows *rows)
{
	given_keys_fini(&rows->keys);
}
