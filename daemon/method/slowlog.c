/* slowlog.c - the requests that took long. */
#include "daemon/method/methods.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/call/slow_log.h"

const char *const slowlog_names[] = {"n", "reset", NULL};

enum { SLOWLOG_N = 10 };

static bool is_given(const char *text)
{
	return text[0] != '\0';
}

static void write_entry(struct wire_writer *out, const struct slow_entry *entry)
{
	wire_write_map(out, 11u + is_given(entry->release) + is_given(entry->layer) +
				    (entry->table_count > 0 ? 2u : 0u) + is_given(entry->client) +
				    is_given(entry->trace));
	reply_uint(out, "id", entry->id);
	wire_write_str(out, "time_ms");
	wire_write_int(out, entry->time_ms);
	reply_uint(out, "us", entry->total_us);
	reply_uint(out, "queued_us", entry->queued_us);
	reply_uint(out, "work_us", entry->work_us);
	reply_str(out, "method", entry->method);
	reply_str(out, "code", entry->status == STATUS_OK ? "OK" : status_name(entry->status));
	reply_uint(out, "keys", entry->keys);
	reply_uint(out, "bytes_in", entry->bytes_in);
	reply_uint(out, "bytes_out", entry->bytes_out);
	reply_str(out, "peer", entry->peer);
	if (is_given(entry->release)) {
		reply_str(out, "release", entry->release);
	}
	if (is_given(entry->layer)) {
		reply_str(out, "layer", entry->layer);
	}
	if (entry->table_count > 0) {
		reply_str(out, "tables", entry->tables);
		reply_uint(out, "table_count", entry->table_count);
	}
	if (is_given(entry->client)) {
		reply_str(out, "client", entry->client);
	}
	if (is_given(entry->trace)) {
		reply_str(out, "trace", entry->trace);
	}
}

enum status slowlog_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", slowlog_names, &call->error);
	const uint64_t n = params_uint_or(&params, "n", SLOWLOG_N);
	const bool reset = params_flag(&params, "reset");
	if (params.status == STATUS_OK && (n == 0 || n > SLOW_LOG_ENTRIES)) {
		params_fail(&params, STATUS_BAD_REQUEST, "n", "%" PRIu64 " given, 1..%d allowed", n,
			SLOW_LOG_ENTRIES);
	}
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct slow_log *log = call->service->slow_log;
	assert(n > 0);
	struct slow_entry *entries = calloc(n, sizeof *entries);
	if (entries == NULL) {
		return error_set(&call->error, STATUS_NO_MEMORY,
			"no memory for %" PRIu64 " entries", n);
	}
	uint64_t count;
	uint64_t sum_us;
	const unsigned read = slow_log_read(log, entries, (unsigned)n);
	slow_log_figures(log, &count, &sum_us);
	if (reset) {
		slow_log_reset(log);
	}
	struct wire_writer *out = call->out;
	wire_write_map(out, 4);
	reply_uint(out, "threshold_ms", slow_log_threshold_ms(log));
	reply_uint(out, "count", count);
	reply_uint(out, "us", sum_us);
	wire_write_str(out, "entries");
	wire_write_array(out, read);
	for (unsigned i = 0; i < read; i++) {
		write_entry(out, &entries[i]);
	}
	free(entries);
	return reply_end(call);
}
