/* local.c - readers of a folder, and clients of them: what embedded.h asks is answered by daemon/local. */
#include "repstore_local.h"

#include "client/client.h"
#include "client/local/presence.h"
#include "client/reserved.h"
#include "config.h"
#include "daemon/local/local.h"
#include "schema/rpc.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_MAX_BYTES ((uint64_t)1 << 30)

struct rep_local {
	struct local *reader;      /* owned */
	struct presence *presence; /* owned; NULL: no daemon is told */
	char *folder;              /* owned */
	atomic_size_t holders;     /* the caller, and each client */
};

/* What a client asks. */
struct handle {
	rep_local *local;            /* held */
	struct local_handle *handle; /* owned */
	struct wire_writer refusal;  /* the last answer that is an error of the call itself */
};

static void let_go(rep_local *local)
{
	if (atomic_fetch_sub(&local->holders, 1) == 1) {
		presence_stop(local->presence);
		local_close(local->reader);
		free(local->folder);
		free(local);
	}
}

static uint64_t public_lag(int64_t lag_ms)
{
	return lag_ms == LOCAL_LAG_UNKNOWN ? UINT64_MAX : (uint64_t)lag_ms;
}

/* ---- what librepstore asks ---- */

/* Answers a request with an error. */
static enum status refuse(struct handle *handle, struct wire_bytes request, const struct error *why,
	struct wire_bytes *response, struct error *err)
{
	struct wire_message *message = NULL;
	struct rpc_envelope envelope = {0};
	enum status status = wire_open(request.data, request.len, &message);
	if (status == STATUS_OK) {
		status = rpc_read(wire_root(message), &envelope, NULL);
	}
	wire_close(message);
	if (status == STATUS_OK) {
		wire_writer_clear(&handle->refusal);
		rpc_write_error(&handle->refusal, envelope.msgid, why);
		*response = (struct wire_bytes){handle->refusal.data, handle->refusal.len};
		status = handle->refusal.status;
	}
	return status == STATUS_OK ? status : error_set(err, status, "no memory for an answer");
}

static enum status call(void *context, struct wire_bytes request, unsigned timeout_ms,
	struct wire_bytes *response, struct error *err)
{
	struct handle *handle = context;
	struct error why = {0};
	const enum status status =
		local_call(handle->handle, request.data, request.len, timeout_ms, response, &why);
	return status == STATUS_OK ? status : refuse(handle, request, &why, response, err);
}

static uint64_t lag_ms(const void *context)
{
	const struct handle *handle = context;
	struct local_lag lag = {0};
	local_last_lag(handle->handle, &lag);
	return public_lag(lag.lag_ms);
}

static void close_handle(void *context)
{
	struct handle *handle = context;
	local_handle_close(handle->handle);
	let_go(handle->local);
	wire_writer_fini(&handle->refusal);
	free(handle);
}

static const struct embedded ways = {
	.version = REPSTORE_VERSION,
	.bytes = sizeof ways,
	.call = call,
	.lag_ms = lag_ms,
	.close = close_handle,
};

/* ---- the public face ---- */

static enum status check(const struct rep_local_options *given, struct error *err)
{
	if (given == NULL || given->folder == NULL) {
		return error_set(err, STATUS_BAD_REQUEST, "rep_local_options: no folder");
	}
	if (given->follow != REP_FOLLOW_WRITES && given->follow != REP_FOLLOW_RELEASES) {
		return error_set(err, STATUS_BAD_REQUEST,
			"rep_local_options: follow: %d given, REP_FOLLOW_WRITES or REP_FOLLOW_RELEASES "
			"allowed",
			(int)given->follow);
	}
	if (given->max_lag_ms != 0 && !given->has_max_lag) {
		return error_set(err, STATUS_BAD_REQUEST,
			"rep_local_options: max_lag_ms given, has_max_lag goes with it");
	}
	return RESERVED_CHECK("rep_local_options", given, err);
}

enum rep_status rep_open_local(const struct rep_local_options *options, rep_local **out,
	struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	enum status status = check(options, err);
	if (status != STATUS_OK) {
		return (enum rep_status)status;
	}
	const struct local_options asked = {
		.folder = options->folder,
		.follow = options->follow == REP_FOLLOW_RELEASES ? LOCAL_FOLLOW_RELEASES
								 : LOCAL_FOLLOW_WRITES,
		.memory_max = options->memory_max != 0 ? options->memory_max : MEMORY_MAX_BYTES,
		.open_timeout_ms = options->open_timeout_ms,
		.has_max_lag = options->has_max_lag,
		.max_lag_ms = options->max_lag_ms,
		.handle_sigbus = options->handle_sigbus,
		.interrupted = options->interrupted,
		.interrupted_context = options->interrupted_context,
	};
	rep_local *local = calloc(1, sizeof *local);
	if (local == NULL) {
		return (enum rep_status)error_set(err, STATUS_NO_MEMORY, "no memory for a reader");
	}
	local->folder = strdup(options->folder);
	atomic_init(&local->holders, 1);
	status = local->folder != NULL ? local_open(&asked, &local->reader, err)
				       : error_set(err, STATUS_NO_MEMORY, "no memory for a reader");
	if (status == STATUS_OK && options->address != NULL) {
		status = presence_start(options->address, &local->presence, err);
	}
	if (status != STATUS_OK) {
		let_go(local);
		return (enum rep_status)status;
	}
	*out = local;
	return REP_OK;
}

void rep_close_local(rep_local *local)
{
	if (local != NULL) {
		let_go(local);
	}
}

enum rep_status rep_local_client(rep_local *local, rep_client **out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct handle *handle = calloc(1, sizeof *handle);
	if (handle == NULL) {
		return (enum rep_status)error_set(err, STATUS_NO_MEMORY, "no memory for a client");
	}
	enum status status = local_handle_open(local->reader, &handle->handle, err);
	if (status != STATUS_OK) {
		free(handle);
		return (enum rep_status)status;
	}
	handle->local = local;
	atomic_fetch_add(&local->holders, 1);
	status = repstore_embedded_open(&ways, handle, local->folder, out, err);
	if (status != STATUS_OK) {
		close_handle(handle);
	}
	return (enum rep_status)status;
}

void rep_set_min_sequence(rep_client *client, uint64_t sequence)
{
	struct handle *handle = repstore_embedded_context(client, &ways);
	if (handle != NULL) {
		local_set_min_sequence(handle->handle, sequence);
	}
}

/* As enum why of the daemon. */
enum { FOUND, ABSENT, EXPIRED, TOO_OLD, CORRUPT, DEFAULTED };

void rep_local_stats(const rep_local *local, struct rep_local_stats *out)
{
	struct local_stats stats;
	local_stats(local->reader, &stats);
	*out = (struct rep_local_stats){
		.sequence = stats.sequence,
		.lag_ms = public_lag(stats.lag_ms),
		.is_alive = stats.is_alive,
		.is_full = stats.is_full,
		.frames = stats.frames,
		.log_bytes = stats.log_bytes,
		.rows = stats.rows,
		.memory_bytes = stats.memory_bytes,
		.images = stats.images,
		.snapshots = stats.snapshots,
		.replays = stats.replays,
		.retries = stats.retries,
		.found = stats.keys[FOUND],
		.absent = stats.keys[ABSENT],
		.expired = stats.keys[EXPIRED],
		.too_old = stats.keys[TOO_OLD],
		.corrupt = stats.keys[CORRUPT],
		.defaulted = stats.keys[DEFAULTED],
	};
}

static_assert((int)REP_LOCAL_TIMES == (int)LOCAL_TIMES, "one number a bucket");

enum rep_status rep_local_methods(const rep_local *local, struct rep_local_method **out,
	size_t *count, struct rep_error *rep_err)
{
	struct local_method_stats stats[LOCAL_METHODS];
	const size_t found = local_method_stats(local->reader, stats);
	struct rep_local_method *methods = calloc(found + 1, sizeof *methods);
	if (methods == NULL) {
		return (enum rep_status)error_set(client_error(rep_err), STATUS_NO_MEMORY,
			"no memory for figures");
	}
	for (size_t i = 0; i < found; i++) {
		methods[i] = (struct rep_local_method){
			.name = stats[i].name,
			.calls = stats[i].calls,
			.errors = stats[i].errors,
			.ns = stats[i].ns,
		};
		memcpy(methods[i].times, stats[i].times, sizeof methods[i].times);
	}
	*out = methods;
	*count = found;
	return REP_OK;
}

enum rep_status rep_local_tables(const rep_local *local, struct rep_local_table **out,
	size_t *count, struct rep_error *rep_err)
{
	struct local_table_stats *stats;
	size_t found;
	const enum status status = local_table_stats(local->reader, &stats, &found);
	struct rep_local_table *tables =
		status == STATUS_OK ? calloc(found + 1, sizeof *tables) : NULL;
	for (size_t i = 0; tables != NULL && i < found; i++) {
		const uint64_t *keys = stats[i].keys;
		tables[i] = (struct rep_local_table){
			.found = keys[FOUND],
			.absent = keys[ABSENT],
			.expired = keys[EXPIRED],
			.too_old = keys[TOO_OLD],
			.corrupt = keys[CORRUPT],
			.defaulted = keys[DEFAULTED],
		};
		static_assert(sizeof stats[i].name.text <= sizeof tables[i].name, "it fits");
		memcpy(tables[i].name, stats[i].name.text, sizeof stats[i].name.text);
	}
	free(stats);
	if (tables == NULL) {
		return (enum rep_status)error_set(client_error(rep_err), STATUS_NO_MEMORY,
			"no memory for figures");
	}
	*out = tables;
	*count = found;
	return REP_OK;
}
