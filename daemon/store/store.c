/* store.c - opens and closes a data folder. */
#include "daemon/store/store.h"

#include "daemon/store/admin/janitor.h"
#include "daemon/store/backup/manifest.h"
#include "daemon/store/catalog/current.h"
#include "daemon/store/indexing/follower.h"
#include "daemon/store/indexing/indexer.h"
#include "daemon/store/leftovers.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/snapshot/table_counts.h"
#include "daemon/store/spill/spilled.h"
#include "daemon/store/state/options.h"
#include "daemon/store/state/state.h"
#include "daemon/store/state/store_new.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/folder.h"
#include "daemon/store/system/mapfault.h"
#include "daemon/store/write/writer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- open ---- */

/* Whoever may rename the folder cannot make the daemon write elsewhere, since the folder stays
 * open; but the next start would find none, and begin an empty one. That is worth a warning and no
 * refusal: folders above that everybody may write into are usual in containers. */
static enum status open_folder(struct store *store, struct error *err)
{
	const enum status status = folder_open(store->folder, &store->data, err);
	if (status == STATUS_OK && folder_can_be_taken(store->data)) {
		store_event(store,
			"event=folder_exposed reason=\"everybody may rename '%s'\" "
			"remedy=\"chmod o-w, or +t, of the folder above it\"",
			store->folder);
	}
	return status;
}

/* Writes `current` again, since it may be behind the catalog. A full disk is no error here: it must
 * not keep anybody from reading, and the next change or the next start writes the file. */
static enum status renew_current(struct store *store, const struct snapshot *snapshot,
	struct error *err)
{
	struct error reason;
	const enum status status = store_renew_current(store, snapshot, &reason);
	if (status == STATUS_OK) {
		return status;
	}
	if (status != STATUS_DISK_FULL) {
		return error_set(err, status, "%s", reason.text);
	}
	store_event(store, "event=current_not_written reason=\"%s\"", reason.text);
	return STATUS_OK;
}

/* Checks that the catalog is not older than `current`. If it was lost, or replaced by an older one,
 * all newer files would look like leftovers and be removed. */
static enum status check_age(struct store *store, const struct snapshot *snapshot,
	struct error *err)
{
	uint64_t sequence = 0;
	struct error reason;
	const enum status status = current_read_sequence(store->folder, &sequence, &reason);
	if (status != STATUS_OK && status != STATUS_NOT_FOUND && status != STATUS_CORRUPT) {
		return error_set(err, status, "%s", reason.text);
	}
	if (status == STATUS_CORRUPT) {
		store_event(store, "event=current_rewritten reason=\"%s\"", reason.text);
	}
	if (status == STATUS_OK && sequence > snapshot->sequence) {
		return error_set(err, STATUS_CORRUPT,
			"catalog: at change %" PRIu64 ", but 'current' is at %" PRIu64
			": catalog.mdb is missing or older than the folder",
			snapshot->sequence, sequence);
	}
	return STATUS_OK;
}

/* Removes the manifest of a folder that was restored from a backup: from now on it would be wrong. */
static enum status remove_manifest(const struct store *store, struct error *err)
{
	char path[PATH_MAX];
	const enum status status = file_path(path, store->folder, MANIFEST_NAME, err);
	if (status == STATUS_OK && file_remove(path) != 0 && errno != ENOENT) {
		return error_set(err, status_of_errno(errno), "remove '%s': %s", path,
			file_reason(errno));
	}
	return status;
}

static enum status open_releases(struct store *store, struct snapshot *snapshot, struct error *err)
{
	assert(store_current(store) == snapshot);
	enum status status = check_age(store, snapshot, err);
	if (status == STATUS_OK) {
		status = remove_manifest(store, err);
	}
	if (status == STATUS_OK) {
		status = leftovers_sweep(store, snapshot, err);
	}
	for (size_t i = 0; status == STATUS_OK && i < snapshot->release_count; i++) {
		struct release *release = snapshot->releases[i];
		status = release->state == RELEASE_SEALED ? store_open_bases(store, release, err)
							  : loads_open(store, release, err);
	}
	if (status == STATUS_OK) {
		status = writer_open(store, err);
	}
	if (status == STATUS_OK) {
		status = renew_current(store, snapshot, err);
	}
	return status;
}

static enum status open_all(struct store *store, struct error *err)
{
	char path[PATH_MAX];
	/* Checksums and faults are of pages. */
	const long page_bytes = sysconf(_SC_PAGESIZE);
	enum status status =
		page_bytes == SEGMENT_PAGE_BYTES
			? open_folder(store, err)
			: error_set(err, STATUS_UNSUPPORTED,
				  "memory: pages of %ld bytes, those of the files have %d",
				  page_bytes, SEGMENT_PAGE_BYTES);
	if (status == STATUS_OK) {
		status = mapfault_install();
	}
	if (status == STATUS_OK) {
		status = file_path(path, store->folder, "releases", err);
	}
	if (status == STATUS_OK) {
		status = file_make_folder(path, err);
	}
	if (status == STATUS_OK) {
		status = catalog_make(store->folder, store->options.catalog_bytes, err);
	}
	if (status == STATUS_OK) {
		status = file_path(path, store->folder, "catalog.mdb", err);
	}
	if (status == STATUS_OK) {
		status = catalog_check(path, store->options.catalog_bytes, NULL, err);
	}
	if (status == STATUS_OK) {
		status = catalog_open(path, store->options.catalog_bytes, &store->catalog, err);
	}
	struct snapshot *snapshot = NULL;
	if (status == STATUS_OK) {
		status = catalog_read(store->catalog, &snapshot, err);
	}
	if (status == STATUS_OK) {
		atomic_store(&store->current, snapshot);
		status = table_counts_give(&store->table_counts, snapshot);
		status = status == STATUS_OK ? open_releases(store, snapshot, err)
					     : error_set(err, status, "open the tables");
	}
	if (status == STATUS_OK) {
		status = janitor_start(store, &store->janitor, err);
	}
	if (status == STATUS_OK) {
		status = indexer_start(store, &store->indexer, err);
	}
	if (status == STATUS_OK) {
		status = follower_start(store, &store->follower, err);
	}
	if (status == STATUS_OK) {
		status = merger_start(store, &store->merger, err);
	}
	return status;
}

void store_retune(struct store *store, const struct write_options *write,
	uint64_t disk_reserve_bytes)
{
	struct write_options wanted = *write;
	struct write_options *now = &store->options.write;
	write_options_complete(&wanted);
	now->sync_interval_ms = wanted.sync_interval_ms;
	now->log_bytes = wanted.log_bytes;
	now->memtable_rows = wanted.memtable_rows;
	now->memtable_bytes = wanted.memtable_bytes;
	now->merge_age_ms = wanted.merge_age_ms;
	now->merge_rate = wanted.merge_rate;
	store->options.disk_reserve_bytes = disk_reserve_bytes;
}

enum status store_open(const struct store_options *options, struct store **out, struct error *err)
{
	struct store *store = NULL;
	enum status status = store_new(options, &store, err);
	if (status == STATUS_OK) {
		status = open_all(store, err);
	}
	if (status != STATUS_OK) {
		store_close(store);
		return status;
	}
	*out = store;
	return STATUS_OK;
}

void store_interrupt(struct store *store)
{
	atomic_store(&store->stop, true);
}

void store_close(struct store *store)
{
	if (store == NULL) {
		return;
	}
	store_interrupt(store);
	merger_stop(store->merger);
	follower_stop(store->follower);
	indexer_stop(store->indexer);
	writer_close(store->writer);
	janitor_stop(store->janitor);
	/* No call is under way any more. */
	assert(store->sealing == 0);
	assert(store->merging == 0);
	assert(store->pins == NULL);
	store_lock_load(store);
	loads_free(loads_take(store, 0));
	store_unlock_load(store);
	load_body_fini(&store->load_body);
	snapshot_drop(atomic_load(&store->current));
	catalog_close(store->catalog);
	folder_close(store->data);
	store_free(store);
}
