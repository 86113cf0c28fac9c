/* scan.c - returns the next rows of a table, from where the last call stopped. */
#include "daemon/method/methods.h"

#include <assert.h>
#include <inttypes.h>

#include "daemon/method/call/call_snapshot.h"
#include "daemon/method/call/cursor.h"
#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/call/shard.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/clock.h"
#include "schema/limits.h"

const char *const scan_names[] = {"release", "table", "cursor", "limit", "dtype", "raw", "shard",
	NULL};

enum {
	SCAN_LIMIT_ROWS = 4096,
	/* Bytes of keys and rows in one reply. It is large, so that a call is worth its cost; and
	 * far below LIMIT_MESSAGE_BYTES, so that one more large row and the other columns fit. */
	SCAN_REPLY_BYTES = 16 << 20,
};

struct asked {
	struct name release;
	struct table_name table;
	uint64_t cursor;
	uint32_t limit;
	enum dtype dtype; /* DTYPE_NONE: that of the table */
	bool raw;
	struct shard shard;
};

static void read_asked(struct params *params, struct asked *asked)
{
	params_name(params, "release", PARAM_OPTIONAL, &asked->release);
	params_table(params, &asked->table);
	asked->dtype = params_dtype_or_f64(params, DTYPE_NONE);
	asked->raw = params_flag(params, "raw");
	asked->shard = shard_read(params, "shard");
	asked->cursor = params_uint_or(params, "cursor", 0);
	uint64_t limit = params_uint_or(params, "limit", SCAN_LIMIT_ROWS);
	if (params->status == STATUS_OK && (limit == 0 || limit > LIMIT_SCAN_ROWS)) {
		params_fail(params, STATUS_BAD_REQUEST, "limit", "%" PRIu64 " given, 1..%u allowed",
			limit, LIMIT_SCAN_ROWS);
	}
	asked->limit = (uint32_t)limit;
}

static enum status find_table(struct call *call, const struct snapshot *snapshot,
	const struct asked *asked, const struct release **release, const struct table **table)
{
	const char *id = asked->release.text[0] != '\0' ? asked->release.text : NULL;
	enum status status = snapshot_release(snapshot, id, release, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	if ((*release)->state == RELEASE_OPEN) {
		error_set(&call->error, STATUS_NOT_SEALED, "release '%s' is open, seal it first",
			(*release)->id.text);
		return STATUS_NOT_SEALED;
	}
	return release_table(*release, asked->table.text, table, &call->error);
}

static void write_scan(struct wire_writer *out, const struct scan *scan)
{
	const struct table_spec *spec = &scan->table->spec;
	size_t stride = dtype_row_bytes(scan->dtype, spec->dim, spec_row_views(spec));
	size_t count = scan->count;
	assert((scan->scales != NULL) == (scan->dtype == DTYPE_I8));
	assert(spec->key_type == KEY_BYTES || scan->keys_len == count * sizeof(uint64_t));
	if (scan->more) {
		const struct table *table = scan->table;
		reply_uint(out, "cursor",
			cursor_of_hash(&table->seed, table->number, scan->cursor));
	}
	reply_uint(out, "n", count);
	reply_str(out, "dtype", dtype_name(scan->dtype));
	reply_uint(out, "stride", stride);
	reply_bin(out, "keys", scan->keys, scan->keys_len);
	reply_bin(out, "rows", scan->rows, count * stride);
	if (scan->scales != NULL) {
		reply_bin(out, "scales", scan->scales, count * sizeof(float));
	}
	reply_bin(out, "times", scan->times, count * sizeof(int64_t));
	if (scan->tags != NULL) {
		reply_bin(out, "tags", scan->tags, count * sizeof(uint64_t));
	}
	if (scan->weights != NULL) {
		reply_bin(out, "weights", scan->weights, count * sizeof(double));
	}
	if (scan->history_counts != NULL) {
		reply_uint(out, "history", spec->history);
		reply_bin(out, "counts", scan->history_counts, count * sizeof(uint32_t));
		reply_bin(out, "history_times", scan->history_times,
			count * spec->history * sizeof(int64_t));
	}
}

/* Sets where the step begins. A cursor that leads out of the shard is of another one: to go on from
 * it would leave out rows, or bring them twice. */
static enum status begin_at(struct scan *scan, const struct asked *asked, struct error *err)
{
	const uint64_t first = shard_first(&asked->shard);
	if (asked->cursor == 0) {
		scan->cursor = first;
		return STATUS_OK;
	}
	scan->cursor = cursor_to_hash(&scan->table->seed, scan->table->number, asked->cursor);
	if (scan->cursor < first || (scan->behind != 0 && scan->cursor >= scan->behind)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"cursor: %" PRIu64 " is not of shard [%" PRIu32 ", %" PRIu32
			"]; a cursor goes on with the shard, table and release that it came from",
			asked->cursor, asked->shard.number, asked->shard.count);
	}
	return STATUS_OK;
}

/* Finds the table of `scan` and walks one step. */
static enum status scan_in_snapshot(struct call *call, const struct snapshot *snapshot,
	const struct asked *asked)
{
	const struct release *release;
	struct scan scan = {
		.limit = asked->limit,
		.bytes_max = SCAN_REPLY_BYTES,
		.raw = asked->raw,
		.visible = store_visible(call->service->store),
		.now_ms = clock_unix_ms(),
		.stop = call_stop(call),
	};
	enum status status = find_table(call, snapshot, asked, &release, &scan.table);
	if (status != STATUS_OK) {
		return status;
	}
	const struct table_spec *spec = &scan.table->spec;
	scan.dtype = asked->dtype != DTYPE_NONE ? asked->dtype : spec->dtype;
	if (!dtype_convertible(spec->dtype, scan.dtype)) {
		return error_set(&call->error, STATUS_BAD_REQUEST,
			"dtype: %s given, but table '%s' holds %s, which does not convert into it",
			dtype_name(scan.dtype), spec->name.text, dtype_name(spec->dtype));
	}
	if (scan.dtype == DTYPE_F64 && !(scan.raw && spec_aggregates(spec))) {
		return error_set(&call->error, STATUS_BAD_REQUEST,
			"dtype: f64 given, allowed for the sums of a table of kind cr (raw) only");
	}
	scan.behind = shard_behind(&asked->shard);
	status = begin_at(&scan, asked, &call->error);
	if (status == STATUS_OK) {
		status = table_scan(&scan, &call->error);
	}
	if (status == STATUS_OK) {
		enum { ALWAYS = 8 };
		wire_write_map(call->out,
			ALWAYS + (scan.more ? 1u : 0u) + (scan.scales != NULL ? 1u : 0u) +
				(scan.tags != NULL ? 1u : 0u) + (scan.weights != NULL ? 1u : 0u) +
				(scan.history_counts != NULL ? 3u : 0u));
		reply_str(call->out, "release", release->id.text);
		reply_uint(call->out, "sequence", scan.visible);
		write_scan(call->out, &scan);
		status = reply_end(call);
	}
	scan_fini(&scan);
	return status;
}

enum status scan_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", scan_names, &call->error);
	struct asked asked;
	read_asked(&params, &asked);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const struct snapshot *snapshot = call_snapshot(call, &params);
	if (snapshot == NULL) {
		return STATUS_NO_MEMORY;
	}
	enum status status = scan_in_snapshot(call, snapshot, &asked);
	snapshot_end(call->service->store);
	return status;
}
