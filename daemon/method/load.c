/* load.c - chunks of a bulk load into a table of an open release, and its end.
 *
 * This file checks a chunk against its table. The store decides whether the load may take the
 * chunk: by its number and by the states of the load and of the release.
 */
#include "daemon/method/methods.h"

#include <inttypes.h>

#include "daemon/method/call/given_rows.h"
#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/load/load.h"
#include "daemon/store/system/clock.h"

const char *const load_names[] = {"release", "table", "load", "chunk", "keys", "dtype", "rows",
	"scales", "times", "any_time", "tags", "weights", "counts", "history_times",
	"allow_nonfinite", NULL};
const char *const load_end_names[] = {"release", "table", "load", "chunks", "rows", NULL};
const char *const load_abort_names[] = {"release", "table", "load", NULL};

/* The load that a call is about. */
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
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct table_spec spec;
	enum status status =
		given_rows_find(call, target.release.text, target.table.text, "", &spec);
	if (status != STATUS_OK) {
		return status;
	}
	struct given_rows rows = {0};
	struct load_progress progress;
	status = given_rows_read(&rows, &params, &spec, chunk.now_ms);
	if (status == STATUS_OK) {
		status = call_take_keys(call, rows.batch.keys.count);
	}
	if (status == STATUS_OK) {
		chunk.batch = rows.batch;
		status = store_load_chunk(call->service->store, &chunk, &progress, &call->error);
	}
	given_rows_fini(&rows);
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
