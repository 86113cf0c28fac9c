/* merge_log.c - lets go of the log files whose rows are all in
 * base files, or in dropped releases. */
#include "daemon/store/admin/change.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/write/writer.h"

/* The first log file that some table still needs. */
static uint64_t first_needed(struct store *store)
{
	uint64_t oldest = 0;
	const struct snapshot *snapshot = store_current(store);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			const uint64_t sequence = memtable_oldest(release->tables[j]->memtable);
			oldest = sequence != 0 && (oldest == 0 || sequence < oldest) ? sequence
										     : oldest;
		}
	}
	return oldest == 0 ? redo_file(store->writer->redo)
			   : redo_file_of(store->writer->redo, oldest);
}

enum status merge_trim_log(struct store *store, struct error *err)
{
	enum status status = STATUS_OK;
	store_lock_admin(store);
	const struct snapshot *now = store_current(store);
	const uint64_t first_file = first_needed(store);
	if (first_file > now->log_first_file) {
		struct snapshot *next = snapshot_copy(now);
		if (next == NULL) {
			status = error_set(err, STATUS_NO_MEMORY, "merge: no memory");
		} else {
			/* What is before it was synced, as its file was before the next began. */
			const uint64_t synced = redo_begins_at(store->writer->redo, first_file) - 1;
			next->log_first_file = first_file;
			next->written = synced > now->written ? synced : now->written;
			status = change_commit(store, next, (struct catalog_change){0}, NULL, err);
		}
	}
	store_unlock_admin(store);
	return status == STATUS_OK ? redo_remove_before(store->writer->redo, first_file, err)
				   : status;
}
