/* leftovers.c - finds what a killed process has left in a data folder, and removes it. */
#include "daemon/store/leftovers.h"

#include "daemon/store/base/base.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/folder.h"
#include "daemon/store/tensor/tensor.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The number that a release's folder is named by; 0 for any other name. */
static uint64_t folder_number(const char *name)
{
	if (name[0] < '1' || name[0] > '9') {
		return 0;
	}
	char *end;
	const uint64_t number = strtoull(name, &end, 10);
	return *end == '\0' ? number : 0;
}

/* A release's folder has to be ours, as the data folder itself. One that is gone is told of later,
 * by who needs a file of it. */
static enum status check_folder(const struct store *store, const struct release *release,
	struct error *err)
{
	char folder[PATH_MAX];
	store_release_folder(store, release->number, folder);
	const int fd = file_open(folder, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0) {
		return errno == ENOENT
			       ? STATUS_OK
			       : error_set(err, status_of_errno(errno), "open folder '%s': %s",
					 folder, file_reason(errno));
	}
	const enum status status = folder_check(fd, folder, err);
	close(fd);
	return status;
}

/* Whether a file is one of a table, of its base, a delta or an index. */
static bool is_of_table(const struct store *store, const struct table *table, const char *file)
{
	char name[64];
	const bool indexed = table_indexed_levels(table, store->options.sizes.index_rows_min) > 0;
	const size_t files = table_file_count(table);
	for (size_t i = 0; i < files; i++) {
		const uint64_t number = table_file(table, i)->number;
		base_file_name(name, sizeof name, table->number, number);
		if (strcmp(name, file) == 0) {
			return true;
		}
		table_index_file_name(name, sizeof name, table, number);
		if (indexed && strcmp(name, file) == 0) {
			return true;
		}
	}
	return false;
}

/* Whether the catalog names a file of a release's folder. The spill files of an open release stay: loads_open
 * decides about them. */
static bool is_named(const struct store *store, const struct release *release, const char *file)
{
	bool named = file[0] == '.' ||
		     (release->state == RELEASE_OPEN && strncmp(file, "spill-", 6) == 0);
	for (size_t i = 0; !named && i < release->table_count; i++) {
		named = is_of_table(store, release->tables[i], file);
	}
	for (size_t i = 0; !named && i < release->tensor_count; i++) {
		char name[64];
		tensor_file_name(name, sizeof name, release->tensors[i]->number);
		named = strcmp(name, file) == 0;
	}
	return named;
}

/* Removes the files of a release's folder that the catalog does not name. */
static void sweep_release(struct store *store, const struct release *release)
{
	char folder[PATH_MAX];
	store_release_folder(store, release->number, folder);
	DIR *dir = file_list(folder);
	const struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (!is_named(store, release, entry->d_name)) {
			store_event(store, "event=leftover release=%s file=%s", release->id.text,
				entry->d_name);
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
		}
	}
	if (dir != NULL) {
		closedir(dir);
	}
}

/* Removes the folder of a release that is not in the catalog. If the catalog has never given its
 * number out, the release was being created when the process ended, and its folder is empty. If
 * there are files in it all the same, the catalog is the wrong one, and the files stay. */
static enum status sweep_folder(struct store *store, const struct snapshot *snapshot,
	uint64_t number, struct error *err)
{
	char folder[PATH_MAX];
	struct error reason = {.text = "no folder"};
	store_release_folder(store, number, folder);
	enum status status = STATUS_OK;
	if (number < snapshot->next_release) {
		status = file_remove_folder(folder, &reason);
	} else if (file_remove_empty(folder) != 0) {
		if (errno == ENOTEMPTY || errno == EEXIST) {
			return error_set(err, STATUS_CORRUPT,
				"catalog: it has never had release number %" PRIu64
				", but '%s' holds files: catalog.mdb is missing or older than the folder",
				number, folder);
		}
		status = STATUS_IO;
	}
	store_event(store, "event=leftover folder=releases/%" PRIu64 "%s%s", number,
		status == STATUS_OK ? "" : " stays=", status == STATUS_OK ? "" : reason.text);
	return STATUS_OK;
}

enum status leftovers_sweep(struct store *store, const struct snapshot *snapshot, struct error *err)
{
	char path[PATH_MAX];
	/* Nobody writes files yet that the catalog does not name. */
	assert(store->writer == NULL);
	assert(store->janitor == NULL);
	assert(store->indexer == NULL);
	assert(store->merger == NULL);
	enum status status = file_path(path, store->folder, "releases", err);
	DIR *dir = status == STATUS_OK ? file_list(path) : NULL;
	const struct dirent *entry;
	while (dir != NULL && status == STATUS_OK && (entry = readdir(dir)) != NULL) {
		const uint64_t number = folder_number(entry->d_name);
		if (number != 0 && snapshot_find(snapshot, number) == NULL) {
			status = sweep_folder(store, snapshot, number, err);
		}
	}
	if (dir != NULL) {
		closedir(dir);
	}
	for (size_t i = 0; status == STATUS_OK && i < snapshot->release_count; i++) {
		status = check_folder(store, snapshot->releases[i], err);
	}
	for (size_t i = 0; status == STATUS_OK && i < snapshot->release_count; i++) {
		sweep_release(store, snapshot->releases[i]);
	}
	return status;
}
