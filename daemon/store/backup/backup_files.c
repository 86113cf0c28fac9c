/* backup_files.c - the files of a backup: copied, told from others, synced. */
#include "daemon/store/backup/backup_files.h"

#include "daemon/store/backup/copy.h"
#include "daemon/store/backup/cut.h"
#include "daemon/store/base/base.h"
#include "daemon/store/index/index.h"
#include "daemon/store/log/redo_file.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/file.h"
#include "daemon/store/tensor/tensor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status fail(const char *what, const char *path, struct error *err)
{
	const int number = errno;
	return error_set(err, status_of_errno(number), "%s '%s': %s", what, path,
		file_reason(number));
}

/* releases/<number>/<file>, or without a file its folder. */
static void name_of(char *out, const struct release *release, const char *file)
{
	(void)snprintf(out, CUT_NAME_BYTES, "releases/%" PRIu64 "%s%s", release->number,
		file[0] != '\0' ? "/" : "", file);
}

/* ---- the folder ---- */

enum status backup_check_folder(const char *folder, struct error *err)
{
	static const char *const ours[] = {MANIFEST_NAME, "manifest.new", "catalog.mdb",
		"catalog.mdb.new", "current", "current.new", "log", "releases"};
	enum status status = STATUS_OK;
	DIR *dir = file_list(folder);
	if (dir == NULL) {
		return fail("open folder", folder, err);
	}
	const struct dirent *entry;
	while (status == STATUS_OK && (entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;
		bool known = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
		for (size_t i = 0; !known && i < sizeof ours / sizeof *ours; i++) {
			known = strcmp(name, ours[i]) == 0;
		}
		if (!known && strcmp(name, "lock") == 0) {
			status = error_set(err, STATUS_CONFLICT,
				"dir: a daemon has worked in '%s', so it is no backup; name another",
				folder);
		} else if (!known) {
			char quote[ERROR_QUOTE_BYTES];
			status = error_set(err, STATUS_CONFLICT,
				"dir: '%s' has '%s', which is of no backup; name a folder that is empty, "
				"new, or an earlier backup",
				folder, error_quote(quote, name, strlen(name)));
		}
	}
	closedir(dir);
	return status;
}

static enum status make_folder(const struct backup_job *job, const char *name, struct error *err)
{
	char path[PATH_MAX];
	const enum status status = file_path(path, job->copy->folder, name, err);
	return status == STATUS_OK ? file_make_folder(path, err) : status;
}

enum status backup_make_releases(const struct backup_job *job, struct error *err)
{
	const struct snapshot *snapshot = job->cut->snapshot;
	enum status status = make_folder(job, "releases", err);
	for (size_t i = 0; status == STATUS_OK && i < snapshot->release_count; i++) {
		char name[CUT_NAME_BYTES];
		name_of(name, snapshot->releases[i], "");
		status = make_folder(job, name, err);
	}
	return status;
}

enum status backup_sync(const struct backup_job *job, struct error *err)
{
	const struct snapshot *snapshot = job->cut->snapshot;
	enum status status = STATUS_OK;
	char path[PATH_MAX];
	for (size_t i = 0; status == STATUS_OK && i < snapshot->release_count; i++) {
		char name[CUT_NAME_BYTES];
		name_of(name, snapshot->releases[i], "");
		status = file_path(path, job->copy->folder, name, err);
		status = status == STATUS_OK ? file_sync_folder(path, err) : status;
	}
	static const char *const others[] = {"releases", "log"};
	for (size_t i = 0; status == STATUS_OK && i < sizeof others / sizeof *others; i++) {
		status = file_path(path, job->copy->folder, others[i], err);
		if (status == STATUS_OK && file_exists(path)) {
			status = file_sync_folder(path, err);
		}
	}
	return status == STATUS_OK ? file_sync_folder(job->copy->folder, err) : status;
}

/* ---- releases ---- */

uint64_t backup_release_bytes(const struct snapshot *snapshot)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			bytes += release->tables[j]->bytes;
		}
		for (size_t j = 0; j < release->tensor_count; j++) {
			bytes += release->tensors[j]->file.bytes;
		}
	}
	return bytes;
}

/* Copies a file of a release's folder; with an info one that never changes. */
static enum status copy_one(const struct backup_job *job, const struct release *release,
	const char *file, const struct base_file_info *info, struct error *err)
{
	char name[CUT_NAME_BYTES];
	char path[PATH_MAX];
	struct stat about;
	name_of(name, release, file);
	enum status status = file_path(path, job->store->folder, name, err);
	if (status != STATUS_OK) {
		return status;
	}
	const int fd = file_open(path, O_RDONLY, 0);
	if (fd < 0 || fstat(fd, &about) != 0) {
		status = fail("open", path, err);
	} else if (info != NULL && (uint64_t)about.st_size != info->bytes) {
		status = error_set(err, STATUS_CORRUPT, "'%s': %lld bytes, written were %" PRIu64,
			path, (long long)about.st_size, info->bytes);
	} else {
		const struct copy_source source = {
			.name = name,
			.fd = fd,
			.bytes = (uint64_t)about.st_size,
			.path = info != NULL ? path : NULL,
			.info = info,
		};
		status = copy_file(job->copy, &source, err);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	return status;
}

/* An index is copied, never linked: users may calibrate it in place. If that came in between, the copy is
 * worth nothing and is removed. */
static enum status copy_index(const struct backup_job *job, const struct release *release,
	const struct index_owner *owner, struct error *err)
{
	char file[64];
	char folder[PATH_MAX];
	char name[CUT_NAME_BYTES];
	struct index *index = NULL;
	index_file_name(file, sizeof file, owner->table, owner->file->number);
	const size_t before = job->copy->manifest.count;
	enum status status = copy_one(job, release, file, NULL, err);
	if (status != STATUS_OK) {
		return status == STATUS_NOT_FOUND ? STATUS_OK : status; /* none is built yet */
	}
	name_of(name, release, "");
	status = file_path(folder, job->copy->folder, name, err);
	if (status == STATUS_OK) {
		status = index_open(folder, owner, &index, err);
	}
	index_close(index);
	if (status == STATUS_OK || status == STATUS_NO_MEMORY) {
		return status;
	}
	manifest_cut(&job->copy->manifest, before); /* backup_remove_others removes the file */
	return STATUS_OK;
}

/* Those of a table; a release that is exported has none. */
static enum status copy_indexes(const struct backup_job *job, const struct release *release,
	const struct table *table, struct error *err)
{
	const size_t levels =
		job->kind == MANIFEST_RELEASE
			? 0
			: table_indexed_levels(table, job->store->options.sizes.index_rows_min);
	enum status status = STATUS_OK;
	for (size_t i = 0; i < levels; i++) {
		for (size_t j = 0; status == STATUS_OK && j < table->levels[i]->file_count; j++) {
			const struct index_owner owner =
				table_index_owner(table, i, j, release->number);
			status = copy_index(job, release, &owner, err);
		}
	}
	return status;
}

enum status backup_copy_release(const struct backup_job *job, const struct release *release,
	struct error *err)
{
	enum status status = STATUS_OK;
	char file[64];
	for (size_t i = 0; status == STATUS_OK && i < release->table_count; i++) {
		const struct table *table = release->tables[i];
		const size_t files = table_file_count(table);
		for (size_t j = 0; status == STATUS_OK && j < files; j++) {
			const struct base_file_info *info = table_file(table, j);
			base_file_name(file, sizeof file, table->number, info->number);
			status = copy_one(job, release, file, info, err);
		}
		status = status == STATUS_OK ? copy_indexes(job, release, table, err) : status;
	}
	for (size_t i = 0; status == STATUS_OK && i < release->tensor_count; i++) {
		const struct tensor *tensor = release->tensors[i];
		tensor_file_name(file, sizeof file, tensor->number);
		status = copy_one(job, release, file, &tensor->file, err);
	}
	return status;
}

/* ---- what is left of an earlier backup ---- */

/* Whether a file of this name may be of a backup: another one stays, whoever has put it there. */
static bool is_ours(const char *name)
{
	static const char *const begins[] = {"base-", "index-", "tensor-", "spill-"};
	for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
		if (strncmp(name, begins[i], strlen(begins[i])) == 0) {
			return true;
		}
	}
	const size_t len = strlen(name);
	return redo_file_number(name) != 0 || (len > 4 && strcmp(name + len - 4, ".new") == 0);
}

/* Removes files of one folder of the copy: those that are ours and not in the manifest. */
static enum status sweep(const struct backup_job *job, const char *folder, struct error *err)
{
	char path[PATH_MAX];
	enum status status = file_path(path, job->copy->folder, folder, err);
	DIR *dir = status == STATUS_OK ? file_list(path) : NULL;
	if (dir == NULL) {
		return status != STATUS_OK || errno == ENOENT ? status
							      : fail("open folder", path, err);
	}
	const struct dirent *entry;
	while (status == STATUS_OK && (entry = readdir(dir)) != NULL) {
		char name[PATH_MAX];
		if (!is_ours(entry->d_name)) {
			continue;
		}
		status = file_path(name, folder, entry->d_name, err);
		if (status == STATUS_OK && manifest_find(&job->copy->manifest, name) == NULL &&
			unlinkat(dirfd(dir), entry->d_name, 0) != 0) {
			status = fail("remove", name, err);
		}
	}
	closedir(dir);
	return status;
}

enum status backup_remove_others(const struct backup_job *job, struct error *err)
{
	char path[PATH_MAX];
	enum status status = sweep(job, "log", err);
	if (status == STATUS_OK) {
		status = file_path(path, job->copy->folder, "releases", err);
	}
	DIR *dir = status == STATUS_OK ? file_list(path) : NULL;
	if (dir == NULL) {
		return status == STATUS_OK ? fail("open folder", path, err) : status;
	}
	const struct dirent *entry;
	while (status == STATUS_OK && (entry = readdir(dir)) != NULL) {
		char name[PATH_MAX];
		char *end;
		const uint64_t number = strtoull(entry->d_name, &end, 10);
		if (number == 0 || *end != '\0') {
			continue;
		}
		(void)snprintf(name, sizeof name, "releases/%" PRIu64, number);
		status = sweep(job, name, err);
		if (status == STATUS_OK && snapshot_find(job->cut->snapshot, number) == NULL) {
			(void)unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
		}
	}
	closedir(dir);
	return status;
}

/* ---- one copy ---- */

static enum status remove_manifest(const char *folder, struct error *err)
{
	char path[PATH_MAX];
	enum status status = file_path(path, folder, MANIFEST_NAME, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (file_remove(path) == 0) {
		return file_sync_folder(folder, err);
	}
	return errno == ENOENT ? STATUS_OK
			       : error_set(err, status_of_errno(errno), "remove '%s': %s", path,
					 file_reason(errno));
}

struct backup_result backup_result(const struct backup_job *job)
{
	const struct copy *copy = job->copy;
	struct backup_result result = {
		.sequence = job->cut->sequence,
		.files = copy->manifest.count,
		.written_bytes = copy->written_bytes,
		.linked_bytes = copy->linked_bytes,
		.kept_bytes = copy->kept_bytes,
	};
	for (size_t i = 0; i < copy->manifest.count; i++) {
		result.bytes += copy->manifest.files[i].bytes;
	}
	return result;
}

enum status backup_make(const struct backup_job *job,
	enum status (*all)(const struct backup_job *job, struct error *err), struct error *err)
{
	struct copy *copy = job->copy;
	enum status status = remove_manifest(copy->folder, err);
	if (status == STATUS_OK) {
		status = all(job, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	copy->manifest.kind = job->kind;
	copy->manifest.sequence = job->cut->sequence;
	manifest_sort(&copy->manifest);
	status = backup_remove_others(job, err);
	if (status == STATUS_OK) {
		status = backup_sync(job, err);
	}
	return status == STATUS_OK ? manifest_write(copy->folder, &copy->manifest, err) : status;
}
