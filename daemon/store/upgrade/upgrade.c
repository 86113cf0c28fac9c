/* upgrade.c - looks which formats a folder has, and takes it from those of version 0.1 to today's. */
#include "daemon/store/upgrade/upgrade.h"

#include "daemon/store/catalog/catalog.h"
#include "daemon/store/catalog/current.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/folder.h"
#include "daemon/store/system/mapfault.h"
#include "daemon/store/upgrade/old_catalog.h"
#include "daemon/store/upgrade/upgrade_log.h"
#include "daemon/store/upgrade/upgrade_table.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* For the map of a catalog that is only read; no memory is taken for it. */
#define READ_BYTES ((size_t)1 << 40)

struct upgrade {
	char folder[PATH_MAX];
	char catalog[PATH_MAX];
	const struct upgrade_wish *wish;
	struct snapshot *snapshot; /* owned */
	bool is_switching; /* the rename was tried: either catalog may count after a power cut */
	struct upgrade_result result;
};

/* ---- what is there ---- */

/* Opens the catalog if it is of this form, when a process of its own has read it: LMDB's pages have no checksums. */
static enum status open_catalog(const struct upgrade *upgrade, const struct catalog_form *form,
	struct catalog **out, struct error *err)
{
	const enum status status = catalog_check(upgrade->catalog, READ_BYTES, form, err);
	return status == STATUS_OK ? catalog_open_read(upgrade->catalog, READ_BYTES, form, out, err)
				   : status;
}

static enum status read_old(struct upgrade *upgrade, struct error *err)
{
	struct catalog *catalog = NULL;
	enum status status = open_catalog(upgrade, &old_catalog_form, &catalog, err);
	if (status == STATUS_OK) {
		status = catalog_read(catalog, &upgrade->snapshot, err);
	}
	catalog_close(catalog);
	return status;
}

static enum status find_form(struct upgrade *upgrade, struct error *err)
{
	struct catalog *catalog = NULL;
	const enum status status = open_catalog(upgrade, &catalog_form, &catalog, err);
	catalog_close(catalog);
	if (status == STATUS_UNSUPPORTED) {
		return read_old(upgrade, err);
	}
	upgrade->result.is_of_today = status == STATUS_OK;
	return status;
}

static enum status release_folder(const struct upgrade *upgrade, const struct release *release,
	char out[PATH_MAX], struct error *err)
{
	char name[64];
	(void)snprintf(name, sizeof name, "releases/%" PRIu64, release->number);
	return file_path(out, upgrade->folder, name, err);
}

/* ---- room ---- */

static enum status check_room(const struct upgrade *upgrade, struct error *err)
{
	/* The new catalog and `current` are a little larger than the old ones. */
	uint64_t needed = UINT64_C(16) << 20;
	uint64_t free_bytes = UINT64_MAX; /* a file system that does not say may have any */
	char line[128];
	for (size_t i = 0; i < upgrade->snapshot->release_count; i++) {
		const struct release *release = upgrade->snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			needed += upgrade_table_bytes(release->tables[j]);
		}
	}
	(void)file_free_bytes(upgrade->folder, &free_bytes);
	if (free_bytes < needed) {
		return error_set(err, STATUS_DISK_FULL,
			"data folder '%s': the upgrade may need %" PRIu64 " bytes beside the old "
			"files, and %" PRIu64 " are free on its disk; nothing was changed",
			upgrade->folder, needed, free_bytes);
	}
	(void)snprintf(line, sizeof line, "event=upgrade_begun bytes_needed=%" PRIu64, needed);
	upgrade->wish->on_event(upgrade->wish->arg, line);
	return STATUS_OK;
}

/* ---- base files ---- */

static void tell_table(const struct upgrade *upgrade, const struct release *release,
	const struct table *table)
{
	char line[512];
	(void)snprintf(line, sizeof line,
		"event=upgrade_table release=%s table=%s rows=%" PRIu64 " bytes=%" PRIu64,
		release->id.text, table->spec.name.text, table->rows, table->bytes);
	upgrade->wish->on_event(upgrade->wish->arg, line);
}

static enum status upgrade_release(struct upgrade *upgrade, const struct release *release,
	struct error *err)
{
	char folder[PATH_MAX];
	enum status status = release_folder(upgrade, release, folder, err);
	for (size_t i = 0; status == STATUS_OK && i < release->table_count; i++) {
		struct table *table = release->tables[i];
		if (table->level_count > 0) {
			status = upgrade_table(folder, release, table, err);
		}
		if (status == STATUS_OK) {
			upgrade->result.tables++;
			upgrade->result.rows += table->rows;
			upgrade->result.bytes += table->bytes;
			tell_table(upgrade, release, table);
		}
	}
	upgrade->result.releases++;
	return status;
}

/* Removes the files of a table whose numbers are from `first` up to below `behind`. */
static void remove_files(const char *folder, const struct table *table, uint64_t first,
	uint64_t behind)
{
	for (uint64_t number = first; number < behind; number++) {
		char name[64];
		char path[PATH_MAX];
		base_file_name(name, sizeof name, table->number, number);
		if (file_path(path, folder, name, NULL) == STATUS_OK) {
			(void)file_remove(path);
		}
	}
}

enum which { OLD_FILES, NEW_FILES };

static void remove_of_table(const char *folder, const struct table *table, enum which which)
{
	uint64_t first = UINT64_MAX; /* of the new ones */
	if (!upgrade_table_is_done(table)) {
		return;
	}
	for (size_t i = 0; i < table_file_count(table); i++) {
		const uint64_t number = table_file(table, i)->number;
		first = number < first ? number : first;
	}
	remove_files(folder, table, which == OLD_FILES ? 0 : first,
		which == OLD_FILES ? first : table->next_file);
}

/* Removes what is in the way: after the switch the old files and indexes, or else the new files. What cannot be
 * removed now is by the next start, since no catalog names it. */
static void remove_which(const struct upgrade *upgrade, enum which which)
{
	for (size_t i = 0; i < upgrade->snapshot->release_count; i++) {
		const struct release *release = upgrade->snapshot->releases[i];
		char folder[PATH_MAX];
		if (release_folder(upgrade, release, folder, NULL) != STATUS_OK) {
			continue;
		}
		for (size_t j = 0; j < release->table_count; j++) {
			remove_of_table(folder, release->tables[j], which);
		}
		if (which == OLD_FILES && release->state == RELEASE_SEALED) {
			(void)file_remove_prefixed(folder, "index-", NULL);
		}
	}
}

/* ---- the switch ---- */

static enum status remove_current(const struct upgrade *upgrade, struct error *err)
{
	char path[PATH_MAX];
	const enum status status = file_path(path, upgrade->folder, "current", err);
	if (status != STATUS_OK) {
		return status;
	}
	return file_remove(path) == 0 || errno == ENOENT
		       ? STATUS_OK
		       : error_set(err, status_of_errno(errno), "remove '%s': %s", path,
				 file_reason(errno));
}

/* `current` goes first: either daemon starts without it, and writes its own, but neither with the other's. */
static enum status switch_over(struct upgrade *upgrade, const char *beside, struct error *err)
{
	enum status status = remove_current(upgrade, err);
	if (status == STATUS_OK) {
		status = file_sync_folder(upgrade->folder, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	upgrade->is_switching = true;
	if (file_rename(beside, upgrade->catalog) != 0) {
		status = error_set(err, status_of_errno(errno), "rename to '%s': %s",
			upgrade->catalog, file_reason(errno));
	}
	return status;
}

static enum status write_catalog(struct upgrade *upgrade, const char *beside, struct error *err)
{
	const size_t bytes = (size_t)1 << 34; /* of a map, no file grows to it */
	upgrade->snapshot->sequence++;
	enum status status = catalog_write(beside, bytes, upgrade->snapshot, err);
	if (status == STATUS_OK) {
		status = catalog_verify(beside, bytes, &catalog_form, err);
	}
	return status;
}

static enum status write_all(struct upgrade *upgrade, const char *beside, struct error *err)
{
	enum status status =
		upgrade_log_check(upgrade->folder, upgrade->snapshot, &upgrade->result.writes, err);
	if (status == STATUS_OK) {
		status = check_room(upgrade, err);
	}
	for (size_t i = 0; status == STATUS_OK && i < upgrade->snapshot->release_count; i++) {
		status = upgrade_release(upgrade, upgrade->snapshot->releases[i], err);
	}
	if (status == STATUS_OK) {
		status = write_catalog(upgrade, beside, err);
	}
	return status == STATUS_OK ? switch_over(upgrade, beside, err) : status;
}

static enum status upgrade_old(struct upgrade *upgrade, struct error *err)
{
	char beside[PATH_MAX];
	enum status status = file_path(beside, upgrade->folder, "catalog.mdb.new", err);
	if (status != STATUS_OK) {
		return status;
	}
	status = write_all(upgrade, beside, err);
	if (status != STATUS_OK && !upgrade->is_switching) {
		remove_which(upgrade, NEW_FILES);
		(void)file_remove(beside);
	}
	/* The old files stay until the rename is on the disk. */
	if (status == STATUS_OK) {
		status = file_sync_folder(upgrade->folder, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	remove_which(upgrade, OLD_FILES);
	struct error reason;
	if (current_write(upgrade->folder, upgrade->snapshot, false, &reason) != STATUS_OK) {
		char line[sizeof reason.text + 64]; /* the next start writes it */
		(void)snprintf(line, sizeof line, "event=current_not_written reason=\"%s\"",
			reason.text);
		upgrade->wish->on_event(upgrade->wish->arg, line);
	}
	return STATUS_OK;
}

/* ---- the folder ---- */

/* A folder that is not there is not made. */
static enum status find_folder(struct upgrade *upgrade, const char *path, struct error *err)
{
	size_t len = strlen(path);
	while (len > 1 && path[len - 1] == '/') {
		len--;
	}
	if (len == 0 || len >= PATH_MAX - 128) {
		return error_set(err, STATUS_BAD_REQUEST,
			"folder '%.100s': a path of %zu bytes, 1 to %d are allowed", path, len,
			PATH_MAX - 129);
	}
	memcpy(upgrade->folder, path, len);
	const enum status status = file_path(upgrade->catalog, upgrade->folder, "catalog.mdb", err);
	if (status == STATUS_OK && !file_exists(upgrade->catalog)) {
		return error_set(err, STATUS_NOT_FOUND,
			"'%s': no data folder: there is no catalog.mdb in it", upgrade->folder);
	}
	return status;
}

enum status upgrade_folder(const char *path, const struct upgrade_wish *wish,
	struct upgrade_result *out, struct error *err)
{
	struct folder *folder = NULL;
	struct upgrade upgrade = {.wish = wish};
	enum status status = find_folder(&upgrade, path, err);
	if (status == STATUS_OK) {
		status = folder_open(upgrade.folder, &folder, err);
	}
	if (status == STATUS_OK) {
		status = mapfault_install();
	}
	if (status == STATUS_OK) {
		status = find_form(&upgrade, err);
	}
	if (status == STATUS_OK && !upgrade.result.is_of_today) {
		status = upgrade_old(&upgrade, err);
	}
	snapshot_drop(upgrade.snapshot);
	folder_close(folder);
	if (status == STATUS_OK) {
		*out = upgrade.result;
	}
	return status;
}
