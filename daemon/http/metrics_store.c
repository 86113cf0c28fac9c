/* metrics_store.c - metrics of writes, merges, indexes, segments and releases. */
#include "daemon/http/metrics.h"

#include "daemon/http/exposition.h"
#include "daemon/method/call/service.h"
#include "daemon/store/figures.h"
#include "daemon/store/live_figures.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_S 1e9
#define MS_PER_S 1e3

static void gauge(struct text *text, const char *name, const char *help, uint64_t value)
{
	metric_head(text, name, "gauge", help);
	metric_uint(text, name, NULL, value);
}

static void write_log(struct text *text, const struct write_figures *write)
{
	metric_head(text, "commits_total", "counter",
		"Groups of writes that were written to the log.");
	metric_uint(text, "commits_total", NULL, write->commits);
	metric_head(text, "commit_group_requests", "histogram", "Requests of such a group.");
	metric_histogram(text, "commit_group_requests", NULL, &write->group_requests, 1, 1);
	metric_head(text, "sync_duration_seconds", "histogram", "Time of syncs of the log.");
	metric_histogram(text, "sync_duration_seconds", NULL, &write->sync_times,
		HISTOGRAM_SHORT_NS, NS_PER_S);
	gauge(text, "write_sequence", "The newest write that is seen.", write->sequence);
	gauge(text, "read_only", "1: a sync has failed, and nothing is written until a restart.",
		write->read_only);
	gauge(text, "log_bytes", "Bytes of the log that wait for a merge.", write->pending_bytes);
	gauge(text, "log_limit_bytes", "The setting log_size.", write->pending_limit);
	gauge(text, "log_file_bytes", "Bytes of the log's files.", write->log_bytes);
	gauge(text, "memtable_rows", "Rows in memory that wait for a merge.", write->memtable_rows);
	gauge(text, "memtable_limit_rows", "The setting memtable_rows.",
		write->memtable_rows_limit);
	gauge(text, "memtable_bytes", "Memory of rows that wait for a merge.",
		write->memtable_bytes);
	gauge(text, "memtable_limit_bytes", "The setting memtable_memory.",
		write->memtable_bytes_limit);
	gauge(text, "memtable_pinned_bytes",
		"Memory of rows that are merged, and that long reads still hold.",
		write->memtable_pinned);
}

/* One counter for each step. */
static void write_step(struct text *text, const struct write_figures *write, const char *name,
	const char *help, double (*value)(const struct merge_step_figures *step))
{
	metric_head(text, name, "counter", help);
	for (unsigned i = 0; i < MERGE_STEPS; i++) {
		metric_double(text, name, LABELS("step", write->steps[i].name),
			value(&write->steps[i]));
	}
}

static double count_of_step(const struct merge_step_figures *step)
{
	return (double)step->count;
}

static double seconds_of_step(const struct merge_step_figures *step)
{
	return (double)step->ns / NS_PER_S;
}

static double bytes_of_step(const struct merge_step_figures *step)
{
	return (double)step->bytes;
}

static void write_merges(struct text *text, const struct write_figures *write)
{
	metric_head(text, "merges_total", "counter", "Merges, by result.");
	metric_uint(text, "merges_total", LABELS("result", "ok"), write->merges);
	metric_uint(text, "merges_total", LABELS("result", "failed"), write->merges_failed);
	metric_head(text, "merge_duration_seconds", "histogram", "Time of merges that succeeded.");
	metric_histogram(text, "merge_duration_seconds", NULL, &write->merge_times,
		HISTOGRAM_LONG_NS, NS_PER_S);
	write_step(text, write, "merge_steps_total",
		"Tables, or ranges of one, whose files a merge has written and swapped in.",
		count_of_step);
	write_step(text, write, "merge_step_seconds_total",
		"How long these took, all together, with pauses.", seconds_of_step);
	write_step(text, write, "merge_step_bytes_total",
		"Bytes that were written for these, also where one has failed.", bytes_of_step);
}

static void write_images(struct text *text, const struct index_figures *index)
{
	metric_head(text, "index_builds_total", "counter",
		"Indexes that were built, by result; images of deltas that could not be are failed, too.");
	metric_uint(text, "index_builds_total", LABELS("result", "ok"), index->builds);
	metric_uint(text, "index_builds_total", LABELS("result", "failed"), index->failed);
	metric_head(text, "image_builds_total", "counter",
		"Images that were made of deltas, and of what was written since.");
	metric_uint(text, "image_builds_total", LABELS("of", "delta"), index->images);
	metric_uint(text, "image_builds_total", LABELS("of", "written"), index->written);
	metric_head(text, "written_image_rows_total", "counter",
		"Rows in images of what was written, of each time that they were in a new one.");
	metric_uint(text, "written_image_rows_total", NULL, index->written_rows);
	metric_head(text, "written_image_seconds_total", "counter",
		"How long it took to make these.");
	metric_double(text, "written_image_seconds_total", NULL,
		(double)index->written_ns / NS_PER_S);
}

static void write_work(struct text *text, const struct store_figures *figures)
{
	static const char name[] = "disk_written_bytes_total";
	const struct write_figures *write = &figures->write;
	metric_head(text, name, "counter", "Bytes that were written to the disk, by cause.");
	metric_uint(text, name, LABELS("cause", "log"), write->log_bytes_written);
	metric_uint(text, name, LABELS("cause", "merge"), write->merge_bytes);
	metric_uint(text, name, LABELS("cause", "seal"), figures->seal_bytes);
	metric_uint(text, name, LABELS("cause", "load"), figures->load_bytes);
	metric_uint(text, name, LABELS("cause", "index"), figures->index.bytes);
	metric_uint(text, name, LABELS("cause", "image"), figures->index.image_bytes);
	metric_uint(text, name, LABELS("cause", "backup"), figures->backup.written);
	write_merges(text, write);
	write_images(text, &figures->index);
}

/* How the last good one was is told where there are to be any: an alert compares its time with now, and must not
 * ask who makes none. */
static void write_backups(struct text *text, const struct backup_figures *backup)
{
	metric_head(text, "backups_total", "counter", "Backups, by result.");
	metric_uint(text, "backups_total", LABELS("result", "ok"), backup->made);
	metric_uint(text, "backups_total", LABELS("result", "failed"), backup->failed);
	if (!backup->wanted) {
		return;
	}
	metric_head(text, "backup_last_success_timestamp_seconds", "gauge",
		"When the last backup was made; 0: none was since the start.");
	metric_ms(text, "backup_last_success_timestamp_seconds", NULL, backup->last_ms);
	metric_head(text, "backup_last_duration_seconds", "gauge",
		"How long the last good backup took.");
	metric_ms(text, "backup_last_duration_seconds", NULL, backup->last_took_ms);
	gauge(text, "backup_last_bytes", "Bytes of the last good backup.", backup->last_bytes);
	gauge(text, "backup_last_written_bytes",
		"Bytes that it has written, and not linked or kept.", backup->last_written);
}

/* Of damage that no page in memory shows yet nothing else tells. */
static void write_verifications(struct text *text, const struct verify_figures *verify)
{
	metric_head(text, "verifications_total", "counter",
		"Times that all files were compared with their checksums to the end.");
	metric_uint(text, "verifications_total", NULL, verify->made);
	metric_head(text, "verification_last_timestamp_seconds", "gauge",
		"When the last of these ended; 0: none has since the start.");
	metric_ms(text, "verification_last_timestamp_seconds", NULL, verify->last_ms);
	gauge(text, "verification_last_damaged", "Damaged parts of files that it found.",
		verify->last_damaged);
}

void metrics_of_store(struct text *text, struct store *store, const struct store_figures *figures)
{
	write_log(text, &figures->write);
	write_work(text, figures);
	write_backups(text, &figures->backup);
	write_verifications(text, &figures->verify);
	const uint64_t unchecked = figures->segments - figures->segments_checked;
	metric_head(text, "segments", "gauge", "Segments of all releases, by state.");
	metric_uint(text, "segments", LABELS("state", "unchecked"), unchecked);
	metric_uint(text, "segments", LABELS("state", "ready"),
		figures->segments_checked - figures->segments_away - figures->segments_damaged);
	metric_uint(text, "segments", LABELS("state", "away"), figures->segments_away);
	metric_uint(text, "segments", LABELS("state", "damaged"), figures->segments_damaged);
	metric_head(text, "pages_checked_total", "counter",
		"Pages that were compared with their checksums, each time that they came from the disk.");
	metric_uint(text, "pages_checked_total", NULL, figures->pages_checked);
	metric_head(text, "cold_read_duration_seconds", "histogram",
		"Time of reads from the disk that look-ups waited for, some keys at a time.");
	metric_histogram(text, "cold_read_duration_seconds", NULL, &figures->cold_reads,
		HISTOGRAM_SHORT_NS, NS_PER_S);
	gauge(text, "unlinked_bytes",
		"Bytes of files that are replaced or dropped, and still held.",
		figures->bytes_waiting);
	gauge(text, "data_free_bytes", "Bytes that may still be written where the data folder is.",
		store_free_bytes(store));
	gauge(text, "pinned_readers", "Reads that take long, and hold what they read.",
		figures->readers_pinned);
}

/* ---- releases, and tables of the live one ---- */

static void write_releases(struct text *text, const struct live_figures *live)
{
	metric_head(text, "release_info", "gauge", "The releases that there are.");
	for (size_t i = 0; i < live->release_count; i++) {
		const struct release_figures *release = &live->releases[i];
		char number[24];
		(void)snprintf(number, sizeof number, "%llu", (unsigned long long)release->number);
		metric_uint(text, "release_info",
			LABELS("release", release->id.text, "number", number, "model",
				release->model, "checkpoint", release->checkpoint, "state",
				release->state),
			1);
	}
	gauge(text, "release_live_number", "The number of the live release; 0: none is live.",
		live->live == NULL ? 0 : live->live->number);
	metric_head(text, "release_published_timestamp_seconds", "gauge",
		"When the live release was published.");
	if (live->live != NULL) {
		metric_ms(text, "release_published_timestamp_seconds", NULL,
			live->live->published_ms);
	}
}

static void write_rows(struct text *text, const struct live_figures *live)
{
	static const char *const kinds[WRITE_KIND_COUNT] = {
		[WRITE_KIND_PUT] = "put",
		[WRITE_KIND_DELETE] = "delete",
		[WRITE_KIND_LOAD] = "load",
		[WRITE_KIND_OBSERVE] = "observe",
	};
	metric_head(text, "keys_total", "counter",
		"Keys that were asked for, by table and result.");
	for (size_t i = 0; i < live->table_count; i++) {
		for (unsigned why = 0; why < WHY_COUNT; why++) {
			metric_uint(text, "keys_total",
				LABELS("table", live->tables[i].name.text, "result",
					service_why_name((enum why)why)),
				live->tables[i].results[why]);
		}
	}
	metric_head(text, "rows_written_total", "counter",
		"Rows that were written, by table and operation.");
	for (size_t i = 0; i < live->table_count; i++) {
		for (unsigned kind = 0; kind < WRITE_KIND_COUNT; kind++) {
			metric_uint(text, "rows_written_total",
				LABELS("table", live->tables[i].name.text, "op", kinds[kind]),
				live->tables[i].written[kind]);
		}
	}
}

/* Tables of one layer stand apart by their names, so a layer is written with the first of them. */
static bool is_first_of_layer(const struct live_figures *live, size_t table)
{
	const char *layer = table_name_layer(&live->tables[table].name);
	if (layer == NULL) {
		return false;
	}
	for (size_t i = 0; i < table; i++) {
		const char *other = table_name_layer(&live->tables[i].name);
		if (other != NULL && strcmp(other, layer) == 0) {
			return false;
		}
	}
	return true;
}

static void write_samples(struct text *text, const struct live_figures *live)
{
	metric_head(text, "samples_total", "counter",
		"Samples, by layer and by whether they were counted before.");
	for (size_t i = 0; i < live->table_count; i++) {
		const struct live_table *table = &live->tables[i];
		if (!is_first_of_layer(live, i)) {
			continue;
		}
		const char *layer = table_name_layer(&table->name);
		metric_uint(text, "samples_total", LABELS("layer", layer, "result", "counted"),
			table->samples[TABLE_SAMPLES_COUNTED]);
		metric_uint(text, "samples_total", LABELS("layer", layer, "result", "repeated"),
			table->samples[TABLE_SAMPLES_REPEATED]);
	}
}

/* One gauge of each table, or of each that has an index. */
static void write_gauge(struct text *text, const struct live_figures *live, const char *name,
	const char *help, double (*value)(const struct live_table *table))
{
	metric_head(text, name, "gauge", help);
	for (size_t i = 0; i < live->table_count; i++) {
		const struct live_table *table = &live->tables[i];
		const bool is_of_index = strncmp(name, "index_", 6) == 0;
		if (!is_of_index || table->wants_index) {
			metric_double(text, name, LABELS("table", table->name.text), value(table));
		}
	}
}

static double written_of(const struct live_table *table)
{
	return (double)table->written_ms / MS_PER_S;
}

static double rows_of(const struct live_table *table)
{
	return (double)table->rows;
}

static double rows_exact_of(const struct live_table *table)
{
	return table->rows_exact ? 1 : 0;
}

static double bytes_of(const struct live_table *table)
{
	return (double)table->bytes;
}

static double deltas_of(const struct live_table *table)
{
	return (double)table->deltas;
}

static double delta_bytes_of(const struct live_table *table)
{
	return (double)table->delta_bytes;
}

static double pending_of(const struct live_table *table)
{
	return (double)table->pending;
}

static double index_bytes_of(const struct live_table *table)
{
	return (double)table->index_bytes;
}

static double images_of(const struct live_table *table)
{
	return (double)table->images;
}

static double image_bytes_of(const struct live_table *table)
{
	return (double)table->image_bytes;
}

static double index_ready_of(const struct live_table *table)
{
	return table->has_index ? 1 : 0;
}

static double resident_of(const struct live_table *table)
{
	return table->segment_bytes == 0 ? 1
					 : (double)table->present / (double)table->segment_bytes;
}

void metrics_of_live(struct text *text, const struct live_figures *live)
{
	write_releases(text, live);
	write_rows(text, live);
	write_samples(text, live);
	write_gauge(text, live, "table_last_write_timestamp_seconds",
		"When a table was last written to, or its release was sealed.", written_of);
	write_gauge(text, live, "table_rows",
		"Rows of all files; at most so many while table_rows_exact is 0.", rows_of);
	write_gauge(text, live, "table_rows_exact",
		"1: table_rows counts no row that a delta hides.", rows_exact_of);
	write_gauge(text, live, "table_bytes", "Bytes of all files.", bytes_of);
	write_gauge(text, live, "table_deltas", "Deltas above the base.", deltas_of);
	write_gauge(text, live, "table_delta_bytes", "Bytes of the deltas' files.", delta_bytes_of);
	write_gauge(text, live, "table_pending_rows", "Rows that wait for a merge.", pending_of);
	write_gauge(text, live, "index_bytes", "Bytes of the index.", index_bytes_of);
	write_gauge(text, live, "index_images", "Deltas that have an image for searches.",
		images_of);
	write_gauge(text, live, "index_image_bytes", "Bytes of these images.", image_bytes_of);
	write_gauge(text, live, "index_ready", "1: searches have the index.", index_ready_of);
	write_gauge(text, live, "resident_ratio",
		"How much of a table is in memory, from 0 to 1, as of the last half minute.",
		resident_of);
}
