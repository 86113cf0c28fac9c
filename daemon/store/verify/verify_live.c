/* verify_live.c - verifies a store that works: what there is at one moment. */
#include "daemon/store/verify/verify.h"

#include "daemon/store/backup/backup_files.h"
#include "daemon/store/backup/cut.h"
#include "daemon/store/catalog/catalog.h"
#include "daemon/store/catalog/catalog_add.h"
#include "daemon/store/catalog/current.h"
#include "daemon/store/spill/spill.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"
#include "daemon/store/verify/verify_walk.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The catalog is read by a child, as at a start, so that damage ends that and not the daemon. Nothing of
 * it changes meanwhile. */
static enum status verify_catalog(struct verify *verify, struct store *store, struct error *err)
{
	char path[PATH_MAX];
	struct error reason;
	uint64_t sequence;
	enum status status = file_path(path, store->folder, "catalog.mdb", err);
	if (status != STATUS_OK) {
		return status;
	}
	store_lock_admin(store);
	status = catalog_verify(path, store->options.catalog_bytes, &catalog_form, &reason);
	store_unlock_admin(store);
	if (status == STATUS_CORRUPT) {
		verify_tell(verify, "catalog.mdb", "%s", reason.text);
	} else if (status != STATUS_OK) {
		return error_set(err, status, "%s", reason.text);
	}
	status = current_read_sequence(store->folder, &sequence, &reason);
	if (status != STATUS_OK && status != STATUS_NO_MEMORY) {
		verify_tell(verify, "current", "%s", reason.text);
		status = STATUS_OK;
	}
	verify->result.files += 2;
	return status;
}

/* The frames of loads that are open. Those of the log were compared when the cut was taken. */
static enum status verify_loads(struct verify *verify, const struct cut *cut, struct error *err)
{
	for (size_t i = 0; i < cut->count; i++) {
		const struct cut_file *file = &cut->files[i];
		struct error reason;
		const struct table *table =
			file->release == 0
				? NULL
				: release_find(snapshot_find(cut->snapshot, file->release),
					  file->table);
		verify->result.files++;
		verify->result.bytes += file->bytes;
		if (table == NULL) {
			continue;
		}
		const struct base_owner owner = {
			.release = file->release,
			.table = file->table,
			.seed = table->seed,
			.spec = table->spec,
		};
		const enum status status =
			spill_verify(file->fd, file->bytes, file->name, &owner, &reason);
		if (status == STATUS_NO_MEMORY) {
			return error_set(err, status, "%s", reason.text);
		}
		if (status != STATUS_OK) {
			verify_tell(verify, file->name, "%s", reason.text);
		}
	}
	return STATUS_OK;
}

/* Of the log a text is all that is known. */
static enum status take_cut(struct verify *verify, struct store *store, struct cut *cut,
	struct error *err)
{
	struct error reason = {0};
	enum status status = cut_take(store, cut, &reason);
	if (status == STATUS_CORRUPT) {
		verify_tell(verify, "log", "%s", reason.text);
		status = cut_take_files(store, cut, &reason);
	}
	return status == STATUS_OK ? status : error_set(err, status, "%s", reason.text);
}

static enum status verify_store(struct verify *verify, struct store *store, struct error *err)
{
	struct cut cut = {.pin = NULL};
	enum status status = take_cut(verify, store, &cut, err);
	if (status == STATUS_OK) {
		atomic_store(&store->verify.bytes, backup_release_bytes(cut.snapshot));
		status = verify_catalog(verify, store, err);
	}
	if (status == STATUS_OK) {
		status = verify_loads(verify, &cut, err);
	}
	if (status == STATUS_OK) {
		status = verify_releases(verify, cut.snapshot, err);
	}
	cut_let_go(store, &cut);
	return status;
}

enum status store_verify(struct store *store, const struct verify_wish *wish,
	const struct stop *stop, struct verify_result *out, struct error *err)
{
	const struct stop stops = store_stop_of(store, stop);
	const uint64_t began_ns = clock_monotonic_ns();
	struct verify verify = {
		.folder = store->folder,
		.wish = wish,
		.index_rows_min = store->options.sizes.index_rows_min,
		.is_live = true,
		.done = &store->verify.done,
	};
	atomic_store(&store->verify.done, 0);
	atomic_store(&store->verify.bytes, 0);
	atomic_store(&store->verify.running, true);
	enum status status = pass_begin(&verify.pass, &stops, store->options.write.merge_rate, err);
	if (status == STATUS_OK) {
		status = verify_store(&verify, store, err);
	}
	pass_end(&verify.pass);
	atomic_store(&store->verify.running, false);
	if (status == STATUS_OK) {
		atomic_fetch_add(&store->verify.made, 1);
		atomic_store(&store->verify.last_damaged, verify.result.damaged);
		atomic_store(&store->verify.last_took_ms,
			(clock_monotonic_ns() - began_ns) / 1000000);
		atomic_store(&store->verify.last_ms, (uint64_t)clock_unix_ms());
		*out = verify.result;
	}
	return status;
}
