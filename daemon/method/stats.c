/* stats.c - the figures of the process: network, store, fetches. */
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/call/slow_log.h"
#include "daemon/served/served.h"
#include "daemon/store/figures.h"
#include "daemon/store/snapshot/table_counts.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/clock.h"

static void write_steps(struct wire_writer *out, const struct merge_step_figures steps[MERGE_STEPS])
{
	wire_write_str(out, "merge_steps");
	wire_write_map(out, MERGE_STEPS);
	for (unsigned i = 0; i < MERGE_STEPS; i++) {
		wire_write_str(out, steps[i].name);
		wire_write_map(out, 3);
		reply_uint(out, "count", steps[i].count);
		reply_uint(out, "us", steps[i].ns / 1000);
		reply_uint(out, "bytes", steps[i].bytes);
	}
}

static void write_writes(struct wire_writer *out, const struct store_figures *figures)
{
	const struct write_figures *write = &figures->write;
	wire_write_str(out, "write");
	wire_write_map(out, 19);
	reply_uint(out, "sequence", write->sequence);
	reply_uint(out, "commits", write->commits);
	reply_uint(out, "syncs", histogram_count(&write->sync_times));
	reply_uint(out, "sync_us", write->sync_times.sum / 1000);
	reply_uint(out, "sync_us_max", write->sync_us_max);
	reply_uint(out, "log_files", write->log_files);
	reply_uint(out, "log_bytes", write->log_bytes);
	reply_uint(out, "pending_bytes", write->pending_bytes);
	reply_uint(out, "memtable_rows", write->memtable_rows);
	reply_uint(out, "memtable_bytes", write->memtable_bytes);
	reply_uint(out, "memtable_pinned", write->memtable_pinned);
	reply_uint(out, "merges", write->merges);
	reply_uint(out, "merges_failed", write->merges_failed);
	reply_uint(out, "merge_ms", write->merge_ms);
	reply_flag(out, "merge_running", write->merge_running);
	reply_flag(out, "read_only", write->read_only);
	reply_str(out, "durability", figures->durability == DURABILITY_SYNC ? "sync" : "periodic");
	write_steps(out, write->steps);
	wire_write_str(out, "bytes_by_cause");
	wire_write_map(out, 7);
	reply_uint(out, "log", write->log_bytes_written);
	reply_uint(out, "merge", write->merge_bytes);
	reply_uint(out, "seal", figures->seal_bytes);
	reply_uint(out, "load", figures->load_bytes);
	reply_uint(out, "index", figures->index.bytes);
	reply_uint(out, "image", figures->index.image_bytes);
	reply_uint(out, "backup", figures->backup.written);
}

static void write_index(struct wire_writer *out, const struct index_figures *figures)
{
	wire_write_str(out, "index");
	wire_write_map(out, 7);
	reply_uint(out, "builds", figures->builds);
	reply_uint(out, "images", figures->images);
	reply_uint(out, "failed", figures->failed);
	reply_flag(out, "running", figures->running);
	reply_uint(out, "written_images", figures->written);
	reply_uint(out, "written_rows", figures->written_rows);
	reply_uint(out, "written_us", figures->written_ns / 1000);
}

static void write_backup(struct wire_writer *out, const struct backup_figures *figures)
{
	wire_write_str(out, "backup");
	wire_write_map(out, 9);
	reply_flag(out, "running", figures->running);
	reply_uint(out, "bytes", figures->bytes);
	reply_uint(out, "done", figures->done);
	reply_uint(out, "made", figures->made);
	reply_uint(out, "failed", figures->failed);
	reply_uint(out, "last_ms", figures->last_ms);
	reply_uint(out, "last_took_ms", figures->last_took_ms);
	reply_uint(out, "last_bytes", figures->last_bytes);
	reply_uint(out, "last_written", figures->last_written);
}

static void write_verify(struct wire_writer *out, const struct verify_figures *figures)
{
	wire_write_str(out, "verify");
	wire_write_map(out, 7);
	reply_flag(out, "running", figures->running);
	reply_uint(out, "bytes", figures->bytes);
	reply_uint(out, "done", figures->done);
	reply_uint(out, "made", figures->made);
	reply_uint(out, "last_ms", figures->last_ms);
	reply_uint(out, "last_took_ms", figures->last_took_ms);
	reply_uint(out, "last_damaged", figures->last_damaged);
}

static void write_store(struct wire_writer *out, struct store *store,
	const struct store_figures *figures)
{
	const struct snapshot *snapshot = snapshot_begin(store);
	enum { ALWAYS = 20 };
	wire_write_str(out, "store");
	wire_write_map(out, ALWAYS + (snapshot->live != NULL ? 1u : 0u));
	if (snapshot->live != NULL) {
		reply_str(out, "live", snapshot->live->id.text);
	}
	snapshot_end(store);
	reply_uint(out, "releases", figures->releases);
	reply_uint(out, "tables", figures->tables);
	reply_uint(out, "tensors", figures->tensors);
	reply_uint(out, "tensor_bytes", figures->tensor_bytes);
	reply_uint(out, "rows", figures->rows);
	reply_flag(out, "rows_exact", figures->rows_exact);
	reply_uint(out, "bytes", figures->bytes);
	reply_uint(out, "deltas", figures->deltas);
	reply_uint(out, "delta_bytes", figures->delta_bytes);
	reply_uint(out, "segments", figures->segments);
	reply_uint(out, "segments_checked", figures->segments_checked);
	reply_uint(out, "segments_away", figures->segments_away);
	reply_uint(out, "segments_damaged", figures->segments_damaged);
	reply_uint(out, "pages_checked", figures->pages_checked);
	reply_uint(out, "cold_reads", histogram_count(&figures->cold_reads));
	reply_uint(out, "cold_read_us", figures->cold_reads.sum / 1000);
	reply_uint(out, "files_waiting", figures->files_waiting);
	reply_uint(out, "bytes_waiting", figures->bytes_waiting);
	reply_uint(out, "readers_pinned", figures->readers_pinned);
	reply_uint(out, "disk_reserve", figures->disk_reserve);
}

static void write_fetch(struct wire_writer *out, const struct service_figures *figures)
{
	uint64_t rows = 0;
	for (unsigned why = 0; why < WHY_COUNT; why++) {
		rows += figures->fetch_counts[why];
	}
	wire_write_str(out, "fetch");
	wire_write_map(out, 1 + WHY_COUNT);
	reply_uint(out, "rows", rows);
	for (unsigned why = 0; why < WHY_COUNT; why++) {
		reply_uint(out, service_why_name((enum why)why), figures->fetch_counts[why]);
	}
}

/* The results of all keys that were looked up, by the tables of the live release. */
static void write_keys(struct wire_writer *out, struct store *store)
{
	const struct snapshot *snapshot = snapshot_begin(store);
	const struct release *live = snapshot->live;
	const size_t count = live == NULL ? 0 : live->table_count;
	wire_write_str(out, "keys");
	wire_write_map(out, count);
	for (size_t i = 0; i < count; i++) {
		const struct table *table = live->tables[i];
		const struct table_counts *counts = table->counts;
		wire_write_str(out, table->spec.name.text);
		wire_write_map(out, WHY_COUNT);
		for (unsigned why = 0; why < WHY_COUNT; why++) {
			reply_uint(out, service_why_name((enum why)why),
				table_counts_result(counts, why));
		}
	}
	snapshot_end(store);
}

static void write_config(struct wire_writer *out, const struct config_figures *config)
{
	wire_write_str(out, "config");
	wire_write_map(out, 4);
	reply_uint(out, "reloads", config->reloads);
	reply_uint(out, "reloads_failed", config->failed);
	reply_flag(out, "last_reload_successful", config->is_good);
	reply_int(out, "last_reload_success_ms", config->success_ms);
}

static void write_slow(struct wire_writer *out, struct slow_log *log)
{
	uint64_t count;
	uint64_t sum_us;
	slow_log_figures(log, &count, &sum_us);
	wire_write_str(out, "slow");
	wire_write_map(out, 3);
	reply_uint(out, "threshold_ms", slow_log_threshold_ms(log));
	reply_uint(out, "count", count);
	reply_uint(out, "us", sum_us);
}

static void write_served(struct wire_writer *out, struct served *served)
{
	struct served_figures figures;
	served_figures(served, &figures);
	wire_write_str(out, "served");
	wire_write_map(out, 9);
	reply_uint(out, "rate_ppm", figures.limits.rate_ppm);
	reply_flag(out, "rows", figures.limits.rows);
	reply_uint(out, "written", figures.written);
	reply_uint(out, "dropped", figures.dropped);
	reply_uint(out, "failed", figures.failed);
	reply_uint(out, "bytes", figures.bytes);
	reply_uint(out, "files", figures.files);
	reply_uint(out, "file_bytes", figures.file_bytes);
	reply_uint(out, "file_bytes_limit", figures.limits.bytes);
}

enum status stats_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", no_names, &call->error);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const struct service *service = call->service;
	struct wire_writer *out = call->out;
	size_t net = service->net_stats(service->net_stats_arg, NULL);
	struct store_figures figures;
	struct service_figures methods;
	store_figures(service->store, &figures);
	service_figures(service, &methods);
	wire_write_map(out, 11 + net);
	reply_uint(out, "uptime_ms", (uint64_t)(clock_monotonic_ms() - service->started_ms));
	service->net_stats(service->net_stats_arg, out);
	write_store(out, service->store, &figures);
	write_writes(out, &figures);
	write_index(out, &figures.index);
	write_backup(out, &figures.backup);
	write_verify(out, &figures.verify);
	write_fetch(out, &methods);
	write_keys(out, service->store);
	write_config(out, &service->config);
	write_slow(out, service->slow_log);
	write_served(out, service->served);
	return reply_end(call);
}
