/* merge_log.c - removes the log files that no table needs any more: their rows are in base files, or
 * were of releases that are dropped. */
#include "daemon/store/admin/change.h"
#include "daemon/store/log/positions.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/write/writer.h"

#include <assert.h>

/* The first log file that some table still needs. */
static uint64_t first_needed(struct store *store)
{
	uint64_t oldest = 0;
	lock_assert_held(&store->admin_lock);
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

/* Writes the positions of a release into the catalog, if a source of it was forgotten: the frame that
 * says so goes with the log. (A position that was raised is written with the tables of its samples.)
 * *found: there was such a release. */
static enum status save_positions(struct store *store, bool *found, struct error *err)
{
	lock_assert_held(&store->admin_lock);
	const struct snapshot *snapshot = store_current(store);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		struct positions *positions = snapshot->releases[i]->positions;
		*found = positions_must_save(positions);
		if (*found) {
			const enum status status = change_release(store,
				release_copy(snapshot->releases[i]), NULL, err);
			if (status == STATUS_OK) {
				positions_saved(positions);
			}
			return status;
		}
	}
	return STATUS_OK;
}

enum status merge_trim_log(struct store *store, struct error *err)
{
	enum status status = STATUS_OK;
	store_lock_admin(store);
	for (bool found = true; found && status == STATUS_OK;) {
		found = false;
		status = save_positions(store, &found, err);
	}
	const struct snapshot *now = store_current(store);
	const uint64_t first_file = first_needed(store);
	if (status == STATUS_OK && first_file > now->log_first_file) {
		struct snapshot *next = snapshot_copy(now);
		if (next == NULL) {
			status = error_set(err, STATUS_NO_MEMORY, "merge: no memory");
		} else {
			/* All frames before this file are on the disk, since a log file is synced
			 * before the next one begins. */
			const uint64_t synced = redo_begins_at(store->writer->redo, first_file) - 1;
			assert(synced <= atomic_load(&store->visible));
			next->log_first_file = first_file;
			next->written = synced > now->written ? synced : now->written;
			status = change_commit(store, next, (struct catalog_change){0}, NULL, err);
		}
	}
	store_unlock_admin(store);
	return status == STATUS_OK ? redo_remove_before(store->writer->redo, first_file, err)
				   : status;
}
