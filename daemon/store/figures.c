/* figures.c - counts what is in a store, and what it has done. */
#include "daemon/store/figures.h"

#include "daemon/store/admin/janitor.h"
#include "daemon/store/base/base.h"
#include "daemon/store/base/find_cold.h"
#include "daemon/store/base/pages.h"
#include "daemon/store/indexing/follower.h"
#include "daemon/store/indexing/indexer.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_figures.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/file.h"
#include "daemon/store/tensor/tensor.h"
#include "daemon/store/write/writer.h"

static void write_figures(struct store *store, struct write_figures *out)
{
	struct redo_figures log;
	redo_figures(store->writer->redo, &log);
	*out = (struct write_figures){
		.sequence = atomic_load(&store->visible),
		.rows = atomic_load(&store->writer->rows),
		.commits = atomic_load(&store->writer->commits),
		.sync_times = log.sync_times,
		.sync_us_max = log.sync_ns_max / 1000,
		.log_files = log.files,
		.log_bytes = log.bytes,
		.log_bytes_written = log.bytes_written,
		.pending_bytes = atomic_load(&store->usage.log_bytes),
		.pending_limit = store->options.write.log_bytes,
		.memtable_rows_limit = store->options.write.memtable_rows,
		.memtable_bytes_limit = store->options.write.memtable_bytes,
		.memtable_rows = atomic_load(&store->usage.rows),
		.memtable_bytes = atomic_load(&store->usage.bytes),
		.memtable_pinned = atomic_load(&store->usage.pinned_bytes),
		.room_waits = atomic_load(&store->writer->room_waits) +
			      atomic_load(&store->writer->slowed),
		.read_only = atomic_load(&store->writer->read_only),
	};
	histogram_read(&store->writer->group_requests, &out->group_requests);
	merger_figures(store->merger, out);
}

static void backup_figures(const struct store *store, struct backup_figures *out)
{
	const char *folder = store->options.backup_folder;
	*out = (struct backup_figures){
		.wanted = folder != NULL && folder[0] != '\0',
		.running = atomic_load(&store->backup.running),
		.bytes = atomic_load(&store->backup.bytes),
		.done = atomic_load(&store->backup.done),
		.made = atomic_load(&store->backup.made),
		.failed = atomic_load(&store->backup.failed),
		.last_ms = atomic_load(&store->backup.last_ms),
		.last_took_ms = atomic_load(&store->backup.last_took_ms),
		.last_bytes = atomic_load(&store->backup.last_bytes),
		.last_written = atomic_load(&store->backup.last_written),
		.written = atomic_load(&store->backup.written),
	};
}

static void verify_figures(const struct store *store, struct verify_figures *out)
{
	*out = (struct verify_figures){
		.running = atomic_load(&store->verify.running),
		.bytes = atomic_load(&store->verify.bytes),
		.done = atomic_load(&store->verify.done),
		.made = atomic_load(&store->verify.made),
		.last_ms = atomic_load(&store->verify.last_ms),
		.last_took_ms = atomic_load(&store->verify.last_took_ms),
		.last_damaged = atomic_load(&store->verify.last_damaged),
	};
}

static void count_level(const struct table *table, size_t number, struct store_figures *figures)
{
	struct level_figures level;
	level_figures(table, number, &level);
	figures->deltas += number != 0;
	figures->delta_bytes += number != 0 ? level.bytes : 0;
	figures->segments += level.segments;
	figures->segments_checked += level.segments - level.unchecked;
	figures->segments_away += level.away;
	figures->segments_damaged += level.damaged;
}

void store_figures(struct store *store, struct store_figures *out)
{
	struct store_figures figures = {
		.seal_bytes = atomic_load(&store->seal_bytes),
		.load_bytes = atomic_load(&store->load_bytes),
		.pages_checked = base_pages_checked(),
		.disk_reserve = store->options.disk_reserve_bytes,
		.durability = store->options.write.durability,
		.rows_exact = true,
	};
	find_cold_figures(&figures.cold_reads);
	write_figures(store, &figures.write);
	backup_figures(store, &figures.backup);
	verify_figures(store, &figures.verify);
	indexer_figures(store->indexer, &figures.index);
	follower_figures(store->follower, &figures.index);
	figures.readers_pinned = store_count_pins(store);
	janitor_waiting(store->janitor, &figures.files_waiting, &figures.bytes_waiting);
	const struct snapshot *snapshot = snapshot_begin(store);
	figures.releases = snapshot->release_count;
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		bool exact;
		figures.rows += release_count_rows(release, &exact);
		figures.rows_exact = figures.rows_exact && exact;
		figures.tables += release->table_count;
		figures.tensors += release->tensor_count;
		for (size_t j = 0; j < release->tensor_count; j++) {
			figures.tensor_bytes += tensor_bytes(&release->tensors[j]->spec);
		}
		for (size_t j = 0; j < release->table_count; j++) {
			const struct table *table = release->tables[j];
			figures.bytes += table->bytes;
			for (size_t k = 0; k < table->level_count; k++) {
				count_level(table, k, &figures);
			}
		}
	}
	snapshot_end(store);
	*out = figures;
}

uint64_t store_free_bytes(const struct store *store)
{
	uint64_t bytes = 0;
	(void)file_free_bytes(store->folder, &bytes);
	return bytes;
}
