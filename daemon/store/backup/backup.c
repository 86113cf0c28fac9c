/* backup.c - makes a backup: what the cut has, and nothing else, then the manifest. */
#include "daemon/store/backup/backup.h"

#include "daemon/store/backup/backup_files.h"
#include "daemon/store/backup/copy.h"
#include "daemon/store/backup/cut.h"
#include "daemon/store/backup/place.h"
#include "daemon/store/catalog/catalog.h"
#include "daemon/store/catalog/current.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- files ---- */

static enum status copy_cut_files(const struct backup_job *job, struct error *err)
{
	enum status status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < job->cut->count; i++) {
		const struct cut_file *file = &job->cut->files[i];
		char path[PATH_MAX];
		status = file_path(path, job->store->folder, file->name, err);
		const struct copy_source source = {
			.name = file->name,
			.fd = file->fd,
			.bytes = file->bytes,
			.path = file->is_constant ? path : NULL,
		};
		if (status == STATUS_OK) {
			status = copy_file(job->copy, &source, err);
		}
	}
	return status;
}

/* The catalog is written from the snapshot of the cut, so no map of the store's own is read for it. */
static enum status write_catalog(const struct backup_job *job, struct error *err)
{
	char beside[PATH_MAX];
	char path[PATH_MAX];
	enum status status = file_path(beside, job->copy->folder, "catalog.mdb.new", err);
	if (status == STATUS_OK) {
		status = file_path(path, job->copy->folder, "catalog.mdb", err);
	}
	if (status == STATUS_OK) {
		status = catalog_write(beside, job->store->options.catalog_bytes,
			job->cut->snapshot, err);
	}
	if (status == STATUS_OK && file_rename(beside, path) != 0) {
		status = error_set(err, status_of_errno(errno), "rename to '%s': %s", path,
			file_reason(errno));
	}
	if (status != STATUS_OK) {
		(void)file_remove(beside);
		return status;
	}
	status = copy_note(job->copy, "catalog.mdb", err);
	if (status == STATUS_OK) {
		status = current_write(job->copy->folder, job->cut->snapshot, false, err);
	}
	return status == STATUS_OK ? copy_note(job->copy, "current", err) : status;
}

static enum status make_folder(const char *folder, const char *name, struct error *err)
{
	char path[PATH_MAX];
	const enum status status = file_path(path, folder, name, err);
	return status == STATUS_OK ? file_make_folder(path, err) : status;
}

/* Everything but the manifest. The log and the loads come first, since their files are held open. */
static enum status copy_all(const struct backup_job *job, struct error *err)
{
	enum status status = make_folder(job->copy->folder, "log", err);
	if (status == STATUS_OK) {
		status = backup_make_releases(job, err);
	}
	if (status == STATUS_OK) {
		status = copy_cut_files(job, err);
	}
	if (status == STATUS_OK) {
		status = write_catalog(job, err);
	}
	for (size_t i = 0; status == STATUS_OK && i < job->cut->snapshot->release_count; i++) {
		status = backup_copy_release(job, job->cut->snapshot->releases[i], err);
	}
	return status;
}

/* ---- one backup ---- */

static uint64_t bytes_of(const struct cut *cut)
{
	uint64_t bytes = backup_release_bytes(cut->snapshot);
	for (size_t i = 0; i < cut->count; i++) {
		bytes += cut->files[i].bytes;
	}
	return bytes;
}

static enum status backup_into(struct store *store, const struct place *place,
	const struct backup_wish *wish, const struct stop *stop, struct backup_result *out,
	struct error *err)
{
	struct cut cut = {.pin = NULL};
	struct copy copy = {
		.folder = place->path,
		.links = !wish->copies,
		.done = &store->backup.done,
		.written = &store->backup.written,
	};
	const struct backup_job job = {.store = store,
		.copy = &copy,
		.cut = &cut,
		.kind = MANIFEST_BACKUP};
	enum status status = backup_check_folder(place->path, err);
	if (status == STATUS_OK) {
		status = cut_take(store, &cut, err);
	}
	if (status == STATUS_OK) {
		status = copy_begin(&copy, stop, store->options.write.merge_rate, err);
	}
	if (status == STATUS_OK) {
		atomic_store(&store->backup.bytes, bytes_of(&cut));
		status = backup_make(&job, copy_all, err);
	}
	if (status == STATUS_OK) {
		*out = backup_result(&job);
	}
	copy_end(&copy);
	cut_let_go(store, &cut);
	return status;
}

static void begin(struct store *store)
{
	atomic_store(&store->backup.done, 0);
	atomic_store(&store->backup.bytes, 0);
	atomic_store(&store->backup.running, true);
}

/* Is the request wrong, so that no backup was to be made? */
static bool is_of_the_request(enum status status)
{
	return status == STATUS_BAD_REQUEST || status == STATUS_TOO_LARGE ||
	       status == STATUS_UNSUPPORTED;
}

static void end(struct store *store, enum status status, const struct backup_result *result,
	uint64_t took_ns)
{
	atomic_store(&store->backup.running, false);
	if (status != STATUS_OK) {
		atomic_fetch_add(&store->backup.failed, 1);
		return;
	}
	atomic_fetch_add(&store->backup.made, 1);
	atomic_store(&store->backup.last_bytes, result->bytes);
	atomic_store(&store->backup.last_written, result->written_bytes);
	atomic_store(&store->backup.last_took_ms, took_ns / 1000000);
	atomic_store(&store->backup.last_ms, (uint64_t)clock_unix_ms());
}

enum status store_backup(struct store *store, const struct backup_wish *wish,
	const struct stop *stop, struct backup_result *out, struct error *err)
{
	const struct stop stops = store_stop_of(store, stop);
	const uint64_t began_ns = clock_monotonic_ns();
	struct backup_result result = {0};
	struct place place;
	enum status status = place_open(store, wish->dir, wish->dir_len, PLACE_MAKE, &place, err);
	if (status != STATUS_OK) {
		atomic_fetch_add(&store->backup.failed, is_of_the_request(status) ? 0 : 1);
		return status;
	}
	begin(store);
	status = backup_into(store, &place, wish, &stops, &result, err);
	place_close(&place);
	end(store, status, &result, clock_monotonic_ns() - began_ns);
	if (status == STATUS_OK) {
		*out = result;
	}
	return status;
}
