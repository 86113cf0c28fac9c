/* verify_folder.c - verifies a folder that no daemon works in, or an exported release: its manifest, if there is
 * one, and every checksum in it. */
#include "daemon/store/verify/verify.h"

#include "daemon/store/catalog/catalog.h"
#include "daemon/store/catalog/catalog_add.h"
#include "daemon/store/catalog/current.h"
#include "daemon/store/log/redo_file.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/spill/spilled.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/folder.h"
#include "daemon/store/system/mapfault.h"
#include "daemon/store/verify/verify_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The largest catalog: it is address space, and the daemon's setting is not known here. */
#define CATALOG_BYTES (UINT64_C(1) << 40)

/* ---- manifest, catalog, current ---- */

static enum status read_manifest(struct verify *verify, struct error *err)
{
	struct error reason;
	enum status status = manifest_read(verify->folder, &verify->manifest, &reason);
	if (status == STATUS_CORRUPT || status == STATUS_UNSUPPORTED) {
		verify_tell(verify, MANIFEST_NAME, "%s", reason.text);
		verify->manifest_damaged = true;
		status = STATUS_OK;
	}
	if (status == STATUS_OK) {
		verify->seen = calloc(verify->manifest.count + 1, sizeof *verify->seen);
		status = verify->seen == NULL ? error_set(err, STATUS_NO_MEMORY, "verify") : status;
		verify->result.files++;
	} else if (status != STATUS_NOT_FOUND) {
		error_set(err, status, "%s", reason.text);
	}
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status verify_rest(struct verify *verify, struct error *err)
{
	enum status status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < verify->manifest.count; i++) {
		if (!verify->seen[i]) {
			status = verify_listed(verify, &verify->manifest.files[i], err);
		}
	}
	return status;
}

/* *out is NULL when it is damaged, which is told. */
static enum status read_catalog(struct verify *verify, struct snapshot **out, struct error *err)
{
	char path[PATH_MAX];
	struct error reason;
	struct catalog *catalog = NULL;
	enum status status = file_path(path, verify->folder, "catalog.mdb", err);
	if (status != STATUS_OK) {
		return status;
	}
	*out = NULL;
	verify->result.files++;
	if (!file_exists(path)) {
		verify_tell(verify, "catalog.mdb", "it is not there");
		return STATUS_OK;
	}
	status = catalog_verify(path, CATALOG_BYTES, &catalog_form, &reason);
	if (status == STATUS_OK) {
		status = catalog_open_read(path, CATALOG_BYTES, &catalog_form, &catalog, &reason);
	}
	if (status == STATUS_OK) {
		status = catalog_read(catalog, out, &reason);
	}
	catalog_close(catalog);
	if (status == STATUS_CORRUPT) {
		verify_tell(verify, "catalog.mdb", "%s", reason.text);
		return STATUS_OK;
	}
	return status == STATUS_OK ? status : error_set(err, status, "%s", reason.text);
}

/* Whether the folder is an exported release, which has no catalog and no log: its `current` says what is in it. If
 * its manifest cannot say what it is, the catalog that is not there does. */
static enum status is_release(const struct verify *verify, bool *out, struct error *err)
{
	char path[PATH_MAX];
	const enum status status = file_path(path, verify->folder, "catalog.mdb", err);
	*out = verify->manifest.kind == MANIFEST_RELEASE ||
	       (status == STATUS_OK && verify->manifest_damaged && !file_exists(path));
	return status;
}

/* *out is NULL when `current` is damaged, which is told. */
static enum status read_release(struct verify *verify, struct snapshot **out, struct error *err)
{
	char path[PATH_MAX];
	struct error reason;
	uint8_t *data = NULL;
	size_t len = 0;
	enum status status = file_path(path, verify->folder, "current", err);
	if (status != STATUS_OK) {
		return status;
	}
	*out = NULL;
	verify->result.files++;
	status = file_read_all(path, LIMIT_MESSAGE_BYTES, &data, &len, &reason);
	if (status == STATUS_OK) {
		status = current_parse(data, len, out, &reason);
	}
	free(data);
	if (status == STATUS_NO_MEMORY) {
		return error_set(err, status, "%s", reason.text);
	}
	if (status != STATUS_OK) {
		verify_tell(verify, "current", "%s", reason.text);
	}
	return STATUS_OK;
}

static enum status verify_current(struct verify *verify, const struct snapshot *snapshot,
	struct error *err)
{
	struct error reason;
	uint64_t sequence = 0;
	const enum status status = current_read_sequence(verify->folder, &sequence, &reason);
	if (status == STATUS_NO_MEMORY) {
		return error_set(err, status, "%s", reason.text);
	}
	if (status != STATUS_OK) {
		verify_tell(verify, "current", "%s", reason.text);
	} else if (sequence > snapshot->sequence) {
		verify_tell(verify, "catalog.mdb", "it is older than 'current'");
	}
	verify->result.files++;
	return STATUS_OK;
}

/* ---- log ---- */

/* Reads one file of the log as a start would. *next: the sequence behind it; 0: it is damaged. */
static enum status verify_log_file(struct verify *verify, const struct redo_options *options,
	uint64_t number, bool is_last, uint64_t *next, struct error *err)
{
	char file[32];
	char name[64];
	struct redo_read read;
	struct error reason;
	redo_file_name(file, sizeof file, number);
	(void)snprintf(name, sizeof name, "log/%s", file);
	const enum status status = redo_file_read(options, number, *next, is_last, &read, &reason);
	verify->result.files++;
	verify->result.bytes += read.bytes;
	if (status == STATUS_NO_MEMORY) {
		return error_set(err, status, "%s", reason.text);
	}
	if (status == STATUS_AGAIN) {
		return STATUS_OK; /* it was being created, and never used */
	}
	*next = status == STATUS_OK ? read.next_sequence : 0;
	if (status != STATUS_OK) {
		verify_tell(verify, name, "%s", reason.text);
	} else if (read.torn) {
		verify_tell(verify, name,
			"from offset %" PRIu64 " on it has no whole writes: a crash has torn its "
			"end, or it is damaged; a start cuts it there",
			read.bytes);
	}
	return STATUS_OK;
}

static enum status verify_log(struct verify *verify, const struct snapshot *snapshot,
	struct error *err)
{
	char folder[PATH_MAX];
	enum status status = file_path(folder, verify->folder, "log", err);
	if (status != STATUS_OK || snapshot->log_first_file == 0) {
		return status;
	}
	const struct redo_options options = {
		.folder = folder,
		.first_file = snapshot->log_first_file,
		.next_sequence = snapshot->written + 1,
	};
	const uint64_t last = redo_file_last(folder);
	uint64_t next = 0;
	if (last < options.first_file) {
		verify_tell(verify, "log", "'%" PRIu64 ".log' is not there; writes are in it",
			options.first_file);
		return STATUS_OK;
	}
	for (uint64_t number = options.first_file; status == STATUS_OK && number <= last;
		number++) {
		status = verify_log_file(verify, &options, number, number == last, &next, err);
		if (status == STATUS_OK && next == 0) {
			return STATUS_OK; /* what follows cannot be judged */
		}
	}
	if (status == STATUS_OK && next < options.next_sequence) {
		verify_tell(verify, "log",
			"it ends at write %" PRIu64 ", the catalog knows of %" PRIu64, next - 1,
			options.next_sequence - 1);
	}
	return status;
}

/* ---- loads ---- */

static enum status verify_load(struct verify *verify, const struct release *release,
	const char *file, struct error *err)
{
	char name[VERIFY_NAME_BYTES];
	char path[PATH_MAX];
	struct stat about;
	struct error reason;
	char *end;
	const struct table *table = release_find(release, strtoull(file + 6, &end, 10));
	verify_name(name, release->number, file);
	enum status status = file_path(path, verify->folder, name, err);
	if (status != STATUS_OK || table == NULL || *end != '-') {
		return status; /* of a table that there is not: a start tells of it */
	}
	const int fd = file_open(path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0 || fstat(fd, &about) != 0) {
		verify_tell(verify, name, "%s", file_reason(errno));
	} else {
		const struct base_owner owner = {.release = release->number,
			.table = table->number,
			.seed = table->seed,
			.spec = table->spec};
		status = spill_verify(fd, (uint64_t)about.st_size, name, &owner, &reason);
		if (status != STATUS_OK && status != STATUS_NO_MEMORY) {
			verify_tell(verify, name, "%s", reason.text);
			status = STATUS_OK;
		}
		verify->result.files++;
		verify->result.bytes += (uint64_t)about.st_size;
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	return status == STATUS_OK ? status : error_set(err, status, "verify: %s", name);
}

/* Loads that were said to be whole must be there. */
static void verify_ended(struct verify *verify, const struct release *release)
{
	for (size_t i = 0; i < release->table_count; i++) {
		const struct table *table = release->tables[i];
		for (size_t j = 0; j < table->ended_count; j++) {
			char file[128];
			char name[VERIFY_NAME_BYTES];
			char path[PATH_MAX];
			load_file_name(file, sizeof file, table->number, table->ended[j].load.text);
			verify_name(name, release->number, file);
			if (file_path(path, verify->folder, name, NULL) == STATUS_OK &&
				!file_exists(path)) {
				verify_tell(verify, name,
					"it is not there, and the catalog names the load");
			}
		}
	}
}

static enum status verify_loads(struct verify *verify, const struct release *release,
	struct error *err)
{
	char name[VERIFY_NAME_BYTES];
	char path[PATH_MAX];
	verify_name(name, release->number, "");
	enum status status = file_path(path, verify->folder, name, err);
	if (status != STATUS_OK) {
		return status;
	}
	path[strlen(path) - 1] = '\0'; /* the slash */
	DIR *dir = file_list(path);
	const struct dirent *entry;
	while (dir != NULL && status == STATUS_OK && (entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, "spill-", 6) == 0) {
			status = verify_load(verify, release, entry->d_name, err);
		}
	}
	if (dir != NULL) {
		closedir(dir);
	}
	verify_ended(verify, release);
	return status;
}

/* ---- the folder ---- */

static enum status verify_named(struct verify *verify, struct snapshot *snapshot, struct error *err)
{
	enum status status = verify_current(verify, snapshot, err);
	if (status == STATUS_OK) {
		status = verify_log(verify, snapshot, err);
	}
	for (size_t i = 0; status == STATUS_OK && i < snapshot->release_count; i++) {
		if (snapshot->releases[i]->state == RELEASE_OPEN) {
			status = verify_loads(verify, snapshot->releases[i], err);
		}
	}
	return status == STATUS_OK ? verify_releases(verify, snapshot, err) : status;
}

static enum status verify_all(struct verify *verify, struct error *err)
{
	struct snapshot *snapshot = NULL;
	bool exported = false;
	enum status status = read_manifest(verify, err);
	if (status == STATUS_OK) {
		status = is_release(verify, &exported, err);
	}
	if (status == STATUS_OK) {
		status = exported ? read_release(verify, &snapshot, err)
				  : read_catalog(verify, &snapshot, err);
	}
	if (status == STATUS_OK && snapshot != NULL) {
		status = exported ? verify_releases(verify, snapshot, err)
				  : verify_named(verify, snapshot, err);
	}
	snapshot_drop(snapshot);
	return status == STATUS_OK ? verify_rest(verify, err) : status;
}

/* Keeps a daemon from the folder meanwhile, if one was ever there. */
static enum status lock_folder(const char *folder, int *fd, struct error *err)
{
	char path[PATH_MAX];
	const enum status status = file_path(path, folder, "lock", err);
	*fd = status == STATUS_OK ? file_open(path, O_RDONLY | O_NONBLOCK, 0) : -1;
	if (*fd >= 0 && flock(*fd, LOCK_SH | LOCK_NB) != 0) {
		return error_set(err, STATUS_BUSY,
			"'%s': a daemon works in it: repstore verify asks the daemon", folder);
	}
	return status;
}

enum status verify_folder(const char *path, const struct verify_wish *wish,
	struct verify_result *out, struct error *err)
{
	char folder[PATH_MAX];
	struct folder *opened = NULL;
	struct verify verify = {.folder = folder, .wish = wish};
	size_t len = strlen(path);
	int lock = -1;
	while (len > 1 && path[len - 1] == '/') {
		len--;
	}
	if (len == 0 || len >= PATH_MAX - 128) {
		return error_set(err, STATUS_BAD_REQUEST, "folder '%.100s': its path is too long",
			path);
	}
	memcpy(folder, path, len);
	folder[len] = '\0';
	enum status status = folder_open_other(folder, &opened, err);
	if (status == STATUS_OK) {
		status = lock_folder(folder, &lock, err);
	}
	if (status == STATUS_OK) {
		status = mapfault_install();
	}
	if (status == STATUS_OK) {
		status = pass_begin(&verify.pass, NULL, PASS_UNPACED, err);
	}
	if (status == STATUS_OK) {
		status = verify_all(&verify, err);
	}
	pass_end(&verify.pass);
	manifest_fini(&verify.manifest);
	free(verify.seen);
	folder_close(opened);
	if (lock >= 0) {
		(void)close(lock);
	}
	if (status == STATUS_OK) {
		*out = verify.result;
	}
	return status;
}
