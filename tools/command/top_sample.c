/* top_sample.c - calls stats, release.list and slowlog, and reads what top shows of their answers. */
#include "tools/command/top_sample.h"

#include "tools/format/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SLOW_ASKED = 64 };

const char *const top_results[TOP_RESULTS] = {"found", "absent", "expired", "too_old", "corrupt",
	"defaulted"};

static uint64_t uint_at(struct wire_value map, const char *outer, const char *inner)
{
	return text_uint_of(wire_get(map, outer), inner);
}

static bool flag_at(struct wire_value map, const char *outer, const char *inner)
{
	bool flag = false;
	(void)wire_bool(wire_get(wire_get(map, outer), inner), &flag);
	return flag;
}

static void read_times(struct wire_value map, struct top_times *out)
{
	const struct wire_value counts = wire_get(map, "times");
	out->us = text_uint_of(map, "us");
	for (size_t i = 0; i < TOP_BUCKETS && i < wire_size(counts); i++) {
		(void)wire_uint(wire_item(counts, i), &out->counts[i]);
	}
}

/* Copies the i-th name of a map, without what a terminal would take for an order. */
static void read_name(struct wire_value map, size_t i, char out[TOP_NAME_BYTES])
{
	struct wire_bytes name = {0};
	(void)wire_str(wire_map_key(map, i), &name);
	const size_t len = name.len < TOP_NAME_BYTES ? name.len : TOP_NAME_BYTES - 1;
	for (size_t at = 0; at < len; at++) {
		const char byte = (char)name.data[at];
		out[at] = byte >= ' ' && byte <= '~' ? byte : '?';
	}
	out[len] = '\0';
}

static void read_methods(struct wire_value map, struct top_sample *out)
{
	for (size_t i = 0; i < wire_size(map) && out->method_count < TOP_METHODS; i++) {
		struct top_method *method = &out->methods[out->method_count];
		read_name(map, i, method->name);
		const struct wire_value each = wire_get(map, method->name);
		method->count = text_uint_of(each, "count");
		method->errors = text_uint_of(each, "errors");
		read_times(each, &method->times);
		out->method_count += method->count > 0;
	}
}

static void read_tables(struct wire_value map, struct top_sample *out)
{
	for (size_t i = 0; i < wire_size(map) && out->table_count < TOP_TABLES; i++) {
		struct top_table *table = &out->tables[out->table_count++];
		read_name(map, i, table->name);
		for (size_t j = 0; j < TOP_RESULTS; j++) {
			table->results[j] =
				text_uint_of(wire_get(map, table->name), top_results[j]);
		}
	}
}

static void read_queues(struct wire_value result, struct top_sample *out)
{
	const struct wire_value waits = wire_get(result, "waits");
	for (size_t i = 0; i < wire_size(waits) && out->queue_count < TOP_QUEUES; i++) {
		struct top_queue *queue = &out->queues[out->queue_count++];
		read_name(waits, i, queue->name);
		read_times(wire_get(waits, queue->name), &queue->times);
		queue->waiting = uint_at(result, "queues", queue->name);
	}
}

static void read_stats(struct wire_value result, struct top_sample *out)
{
	static const char *const transports[] = {"unix", "tcp", "certificate", "unknown"};
	out->uptime_ms = text_uint_of(result, "uptime_ms");
	text_str_of(wire_get(result, "store"), "live", out->live, sizeof out->live);
	out->connections = uint_at(result, "connections", "open");
	out->refused = uint_at(result, "connections", "refused");
	for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++) {
		out->denied += uint_at(result, "denied", transports[i]);
	}
	out->bytes_in = uint_at(result, "bytes", "in");
	out->bytes_out = uint_at(result, "bytes", "out");
	out->writes = uint_at(result, "write", "sequence");
	out->commits = uint_at(result, "write", "commits");
	out->syncs = uint_at(result, "write", "syncs");
	out->sync_us = uint_at(result, "write", "sync_us");
	out->log_bytes = uint_at(result, "write", "pending_bytes");
	out->memtable_rows = uint_at(result, "write", "memtable_rows");
	out->memtable_bytes = uint_at(result, "write", "memtable_bytes");
	out->merges = flag_at(result, "write", "merge_running");
	out->read_only = flag_at(result, "write", "read_only");
	out->slow = uint_at(result, "slow", "count");
	read_methods(wire_get(result, "requests"), out);
	read_tables(wire_get(result, "keys"), out);
	read_queues(result, out);
}

static void read_releases(struct wire_value result, struct top_sample *out)
{
	static const char *const moments[] = {"published_ms", "sealed_ms", "created_ms"};
	const struct wire_value list = wire_get(result, "releases");
	const size_t count = wire_size(list);
	/* The newest ones, if there are many. */
	for (size_t i = count > TOP_RELEASES ? count - TOP_RELEASES : 0; i < count; i++) {
		const struct wire_value each = wire_item(list, i);
		struct top_release *release = &out->releases[out->release_count++];
		text_str_of(each, "release", release->name, sizeof release->name);
		text_str_of(each, "state", release->state, sizeof release->state);
		release->rows = text_uint_of(each, "rows");
		release->rows_exact = true; /* or an older daemon does not tell */
		wire_bool(wire_get(each, "rows_exact"), &release->rows_exact);
		release->bytes = text_uint_of(each, "bytes");
		for (size_t j = 0; j < sizeof moments / sizeof moments[0]; j++) {
			if (wire_int(wire_get(each, moments[j]), &release->since_ms) &&
				release->since_ms > 0) {
				break;
			}
		}
	}
}

/* Puts it among the slowest, if it is one. */
static void add_slow(struct top_sample *out, const struct top_slow *slow)
{
	unsigned at = out->slow_count;
	while (at > 0 && out->slowest[at - 1].us < slow->us) {
		at--;
	}
	if (at == TOP_SLOWEST) {
		return;
	}
	const unsigned last = out->slow_count < TOP_SLOWEST ? out->slow_count++ : TOP_SLOWEST - 1;
	memmove(&out->slowest[at + 1], &out->slowest[at], (last - at) * sizeof *slow);
	out->slowest[at] = *slow;
}

static void read_slow(struct wire_value result, uint64_t after, struct top_sample *out)
{
	const struct wire_value list = wire_get(result, "entries");
	for (size_t i = 0; i < wire_size(list); i++) {
		const struct wire_value each = wire_item(list, i);
		struct top_slow slow = {
			.id = text_uint_of(each, "id"),
			.us = text_uint_of(each, "us"),
		};
		text_str_of(each, "method", slow.method, sizeof slow.method);
		text_str_of(each, "tables", slow.tables, sizeof slow.tables);
		text_str_of(each, "client", slow.client, sizeof slow.client);
		text_str_of(each, "trace", slow.trace, sizeof slow.trace);
		out->slow_seen = slow.id > out->slow_seen ? slow.id : out->slow_seen;
		if (slow.id > after) {
			add_slow(out, &slow);
		}
	}
}

/* Calls a method without params. */
static enum rep_status call(const struct session *session, const char *method,
	struct answer *answer, struct rep_error *err)
{
	struct wire_writer params = {0};
	wire_write_map(&params, 0);
	const enum rep_status status = session_try(session, method, &params, answer, err);
	wire_writer_fini(&params);
	return status;
}

static enum rep_status take_slow(const struct session *session, uint64_t after,
	struct top_sample *out, struct rep_error *err)
{
	struct answer answer = {0};
	struct wire_writer params = {0};
	wire_write_map(&params, 1);
	wire_write_str(&params, "n");
	wire_write_uint(&params, SLOW_ASKED);
	const enum rep_status status = session_try(session, "slowlog", &params, &answer, err);
	wire_writer_fini(&params);
	out->sees_slow = status == REP_OK;
	if (status == REP_OK) {
		read_slow(answer.result, after, out);
		answer_close(&answer);
	}
	return status == REP_DENIED ? REP_OK : status;
}

enum rep_status top_sample_take(const struct session *session, uint64_t after,
	struct top_sample *out, struct rep_error *err)
{
	struct answer answer = {0};
	struct timespec now;
	*out = (struct top_sample){.taken_us = 0};
	enum rep_status status = call(session, "stats", &answer, err);
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	out->taken_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	out->time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (status == REP_OK) {
		read_stats(answer.result, out);
		answer_close(&answer);
		status = call(session, "release.list", &answer, err);
	}
	if (status == REP_OK) {
		read_releases(answer.result, out);
		answer_close(&answer);
		status = take_slow(session, after, out, err);
	}
	return status;
}
