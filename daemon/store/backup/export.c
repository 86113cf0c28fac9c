/* export.c - copies one release into a folder. */
#include "daemon/store/backup/export.h"

#include "daemon/store/backup/backup_files.h"
#include "daemon/store/backup/copy.h"
#include "daemon/store/backup/cut.h"
#include "daemon/store/backup/place.h"
#include "daemon/store/catalog/current.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/file.h"

#include <string.h>

/* How often it merges and looks whether another merge has begun. */
enum { EXPORT_TRIES = 5 };

/* Everything but the manifest. */
static enum status copy_release(const struct backup_job *job, struct error *err)
{
	const struct snapshot *snapshot = job->cut->snapshot;
	enum status status = backup_make_releases(job, err);
	if (status == STATUS_OK) {
		status = backup_copy_release(job, snapshot->releases[0], err);
	}
	if (status == STATUS_OK) {
		status = current_write(job->copy->folder, snapshot, false, err);
	}
	return status == STATUS_OK ? copy_note(job->copy, "current", err) : status;
}

/* Copies what the cut has. `copy` has its folder. */
static enum status export_cut(struct store *store, const struct cut *cut, struct copy *copy,
	const struct stop *stop, struct export_result *out, struct error *err)
{
	const struct backup_job job = {.store = store,
		.copy = copy,
		.cut = cut,
		.kind = MANIFEST_RELEASE};
	atomic_store(&store->backup.done, 0);
	atomic_store(&store->backup.bytes, backup_release_bytes(cut->snapshot));
	atomic_store(&store->backup.running, true);
	enum status status = copy_begin(copy, stop, store->options.write.merge_rate, err);
	if (status == STATUS_OK) {
		status = backup_make(&job, copy_release, err);
	}
	if (status == STATUS_OK) {
		*out = (struct export_result){
			.id = cut->snapshot->releases[0]->id,
			.made = backup_result(&job),
		};
	}
	copy_end(copy);
	atomic_store(&store->backup.running, false);
	return status;
}

/* Merges what was written, and takes the release as of a moment when no merge of it is under way. */
static enum status take_merged(struct store *store, const char *id, const struct stop *stop,
	struct cut *cut, struct error *err)
{
	enum status status = cut_check_release(store, id, err);
	for (unsigned i = 0; status == STATUS_OK; i++) {
		struct merge_result merged;
		status = store_merge(store, stop, &merged, err);
		if (status == STATUS_OK) {
			status = cut_take_release(store, id, cut, err);
		}
		if (status != STATUS_AGAIN) {
			return status;
		}
		status =
			i < EXPORT_TRIES
				? STATUS_OK
				: error_set(err, STATUS_BUSY,
					  "release: it is merged without a pause; write less to it");
	}
	return status;
}

enum status store_export(struct store *store, const char *id, const struct backup_wish *wish,
	const struct stop *stop, struct export_result *out, struct error *err)
{
	const struct stop stops = store_stop_of(store, stop);
	struct place place;
	struct cut cut = {.pin = NULL};
	enum status status = place_open(store, wish->dir, wish->dir_len, PLACE_MAKE, &place, err);
	if (status != STATUS_OK) {
		return status;
	}
	status = backup_check_folder(place.path, err);
	if (status == STATUS_OK) {
		status = take_merged(store, id, &stops, &cut, err);
	}
	if (status == STATUS_OK) {
		struct copy copy = {
			.folder = place.path,
			.links = !wish->copies,
			.done = &store->backup.done,
			.written = &store->backup.written,
		};
		status = export_cut(store, &cut, &copy, &stops, out, err);
	}
	cut_let_go(store, &cut);
	place_close(&place);
	return status;
}
