/* load.c - chunks of a bulk load into a table of an open release, and its end.
 *
 * A chunk is checked against its table before the store is given it; whether the load
 * may take it (its number, the state of load and release) is the store's to say.
 */
#include "daemon/method/methods.h"

#include <inttypes.h>

#include "daemon/method/keys_of.h"
#include "daemon/method/params.h"
#include "daemon/method/reply.h"
#include "daemon/method/service.h"
#include "daemon/store/clock.h"

const char *const load_names[] = {"release", "table", "load", "chunk", "keys", "dtype", "rows",
	"scales", "times", "tags", "allow_nonfinite", NULL};
const char *const load_end_names[] = {"release", "table", "load", "chunks", "rows", NULL};
const char *const load_abort_names[] = {"release", "table", "load", NULL};

/* What every method of a load names. */
struct target {
	struct name release;
	struct table_name table;
	struct name load;
};

static void read_target(struct params *params, struct target *target)
{
	params_name(params, "release", PARAM_REQUIRED, &target->release);
	params_table(params, &target->table);
	params_name(params, "load", PARAM_REQUIRED, &target->load);
}

static struct load_chunk chunk_of(const struct target *target)
{
	return (struct load_chunk){
		.release = target->release.text,
		.table = target->table.text,
		.load = target->load,
		.now_ms = clock_unix_ms(),
	};
}

static enum status find_spec(struct call *call, const struct target *target,
	struct table_spec *spec)
{
	const struct release *release;
	const struct table *table;
	const struct snapshot *snapshot = snapshot_begin(call->service->store);
	enum status status =
		snapshot_release(snapshot, target->release.text, &release, &call->error);
	if (status == STATUS_OK) {
		status = release_table(release, target->table.text, &table, &call->error);
	}
	if (status == STATUS_OK) {
		*spec = table->spec;
	}
	snapshot_end(call->service->store);
	return status;
}

static void read_rows(struct params *params, const struct table_spec *spec,
	struct load_chunk *chunk)
{
	chunk->dtype = params_dtype(params, spec->dtype);
	struct wire_bytes rows = params_bin(params, "rows", PARAM_REQUIRED);
	if (params->status != STATUS_OK) {
		return;
	}
	if (!dtype_convertible(chunk->dtype, spec->dtype)) {
		params_fail(params, STATUS_BAD_REQUEST, "dtype",
			"%s given, but table '%s' holds %s, into which it does not convert",
			dtype_name(chunk->dtype), spec->name.text, dtype_name(spec->dtype));
	}
	size_t row_bytes = dtype_row_bytes(chunk->dtype, spec->dim, spec->views);
	size_t expected = chunk->keys.count * row_bytes;
	if (rows.len != expected) {
		params_fail(params, STATUS_BAD_REQUEST, "rows",
			"%zu bytes given, %zu expected: %" PRIu32
			" keys, rows of %zu bytes (dim %" PRIu32 ", views %" PRIu32 ", %s)",
			rows.len, expected, chunk->keys.count, row_bytes, spec->dim, spec->views,
			dtype_name(chunk->dtype));
	}
	chunk->rows = rows.data;
}

static void read_columns(struct params *params, const struct table_spec *spec,
	struct load_chunk *chunk)
{
	size_t count = chunk->keys.count;
	chunk->scales = params_column(params, "scales", count * sizeof(float));
	chunk->times = params_column(params, "times", count * sizeof(int64_t));
	chunk->tags = params_column(params, "tags", count * sizeof(uint64_t));
	chunk->allow_nonfinite = params_flag(params, "allow_nonfinite");
	bool is_i8 = chunk->dtype == DTYPE_I8;
	if (is_i8 && chunk->scales == NULL) {
		params_fail(params, STATUS_BAD_REQUEST, "scales", "missing, dtype is i8");
	}
	if (!is_i8 && chunk->scales != NULL) {
		params_fail(params, STATUS_BAD_REQUEST, "scales", "given, but dtype is %s, not i8",
			dtype_name(chunk->dtype));
	}
	if (chunk->tags != NULL && !spec->tags) {
		params_fail(params, STATUS_BAD_REQUEST, "tags", "given, but table '%s' has none",
			spec->name.text);
	}
}

static enum status write_progress(struct call *call, const struct load_progress *progress)
{
	wire_write_map(call->out, 2);
	reply_uint(call->out, "next_chunk", progress->next_chunk);
	reply_uint(call->out, "rows", progress->rows);
	return reply_end(call);
}

enum status load_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", load_names, &call->error);
	struct target target;
	read_target(&params, &target);
	struct load_chunk chunk = chunk_of(&target);
	chunk.chunk = params_uint(&params, "chunk");
	struct wire_value given = params_value(&params, "keys", PARAM_REQUIRED);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct table_spec spec;
	enum status status = find_spec(call, &target, &spec);
	if (status != STATUS_OK) {
		return status;
	}

	struct keys_of keys;
	struct load_progress progress;
	status = keys_of_begin(&keys, given, spec.key_type, "", &call->error);
	if (status == STATUS_OK) {
		chunk.keys = keys.batch;
		read_rows(&params, &spec, &chunk);
		read_columns(&params, &spec, &chunk);
		status = params.status;
	}
	if (status == STATUS_OK) {
		status = keys_of_pack(&keys, &call->error);
	}
	if (status == STATUS_OK) {
		chunk.keys = keys.batch;
		status = store_load_chunk(call->service->store, &chunk, &progress, &call->error);
	}
	keys_of_fini(&keys);
	return status == STATUS_OK ? write_progress(call, &progress) : status;
}

enum status load_end_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", load_end_names, &call->error);
	struct target target;
	read_target(&params, &target);
	uint64_t chunks = params_uint(&params, "chunks");
	uint64_t rows = params_uint(&params, "rows");
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const struct load_chunk which = chunk_of(&target);
	enum status status =
		store_load_end(call->service->store, &which, chunks, rows, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 2);
	reply_uint(call->out, "chunks", chunks);
	reply_uint(call->out, "rows", rows);
	return reply_end(call);
}

enum status load_abort_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", load_abort_names, &call->error);
	struct target target;
	read_target(&params, &target);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const struct load_chunk which = chunk_of(&target);
	uint64_t rows;
	enum status status = store_load_abort(call->service->store, &which, &rows, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 1);
	reply_uint(call->out, "rows", rows);
	return reply_end(call);
}
