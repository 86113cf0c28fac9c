/* store.c - opens and closes a data folder, and counts what is in it. */
#include "daemon/store/store.h"

#include "daemon/store/base.h"
#include "daemon/store/current.h"
#include "daemon/store/file.h"
#include "daemon/store/grace.h"
#include "daemon/store/index.h"
#include "daemon/store/indexer.h"
#include "daemon/store/janitor.h"
#include "daemon/store/load.h"
#include "daemon/store/mapfault.h"
#include "daemon/store/merger.h"
#include "daemon/store/state.h"
#include "daemon/store/tensor.h"
#include "daemon/store/writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* Half a second for the lock of the folder. */
enum { LOCK_TRIES = 50, LOCK_PAUSE_NS = 10 * 1000 * 1000 };

void store_event(struct store *store, const char *format, ...)
{
	if (store->options.on_event == NULL) {
		return;
	}
	char line[ERROR_TEXT_BYTES + 64];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	store->options.on_event(store->options.on_event_arg, line);
}

void store_release_folder(const struct store *store, uint64_t number, char *out)
{
	/* store_open has checked that this fits. */
	(void)snprintf(out, PATH_MAX, "%.*s/releases/%" PRIu64, PATH_MAX - 40, store->folder,
		number);
}

const char *store_folder(const struct store *store)
{
	return store->folder;
}

/* ---- snapshots for readers ---- */

const struct snapshot *snapshot_begin(struct store *store)
{
	grace_enter();
	return atomic_load_explicit(&store->current, memory_order_acquire);
}

uint64_t store_visible(struct store *store)
{
	return atomic_load_explicit(&store->visible, memory_order_acquire);
}

void snapshot_end(struct store *store)
{
	(void)store;
	grace_leave();
}

/* ---- open ---- */

static enum status take_lock(struct store *store, struct error *err)
{
	char path[PATH_MAX];
	enum status status = file_path(path, store->folder, "lock", err);
	if (status != STATUS_OK) {
		return status;
	}
	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (store->lock_fd < 0) {
		return error_set(err, status_of_errno(errno), "open '%s': %s", path,
			strerror(errno));
	}
	/* A moment after a kill, the reader that catalog_check forks may still hold a copy. */
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
	int locked = flock(store->lock_fd, LOCK_EX | LOCK_NB);
	for (unsigned i = 0; locked != 0 && i < LOCK_TRIES; i++) {
		(void)nanosleep(&pause, NULL);
		locked = flock(store->lock_fd, LOCK_EX | LOCK_NB);
	}
	if (locked != 0) {
		char pid[32] = {0};
		(void)pread(store->lock_fd, pid, sizeof pid - 1, 0);
		pid[strcspn(pid, "\n")] = '\0';
		return error_set(err, STATUS_BUSY,
			"data folder '%s': in use by another daemon (pid %s)", store->folder,
			pid[0] != '\0' ? pid : "unknown");
	}
	char pid[32];
	const int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	if (ftruncate(store->lock_fd, 0) != 0 ||
		file_write_at(store->lock_fd, pid, (size_t)len, 0) != STATUS_OK) {
		return error_set(err, STATUS_IO, "write '%s': %s", path, strerror(errno));
	}
	return STATUS_OK;
}

enum status store_open_table(struct store *store, const struct release *release,
	struct table *table, struct error *err)
{
	char folder[PATH_MAX];
	if (table->bases != NULL || table->file_count == 0) {
		return STATUS_OK;
	}
	store_release_folder(store, release->number, folder);
	const struct base_owner owner = {.release = release->number,
		.table = table->number,
		.spec = table->spec};
	struct error damage = {0};
	const enum status status = base_set_open(folder, &owner, table->files, table->file_count,
		&table->bases, &damage);
	if (status != STATUS_OK) {
		return error_set(err, status, "release '%s', table '%s': %s", release->id.text,
			table->spec.name.text, damage.text);
	}
	if (damage.status != STATUS_OK) {
		store_event(store, "event=damage release=%s table=%s reason=\"%s\"",
			release->id.text, table->spec.name.text, damage.text);
	}
	return STATUS_OK;
}

enum status store_open_bases(struct store *store, struct release *release, struct error *err)
{
	enum status status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < release->table_count; i++) {
		status = store_open_table(store, release, release->tables[i], err);
	}
	return status;
}

/* The number that names a release's folder; 0 for what is none of ours. */
static uint64_t folder_number(const char *name)
{
	if (name[0] < '1' || name[0] > '9') {
		return 0;
	}
	char *end;
	const uint64_t number = strtoull(name, &end, 10);
	return *end == '\0' ? number : 0;
}

/* Removes the files of a release that the catalog does not name, but for the spill files of an open
 * one, which loads_open looks at. */
static void sweep_release(struct store *store, const struct release *release)
{
	char folder[PATH_MAX];
	store_release_folder(store, release->number, folder);
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		bool named = entry->d_name[0] == '.' ||
			     (release->state == RELEASE_OPEN &&
				     strncmp(entry->d_name, "spill-", 6) == 0);
		for (size_t i = 0; !named && i < release->table_count; i++) {
			const struct table *table = release->tables[i];
			char index[64];
			named = index_is_wanted(table) &&
				index_file_name(index, sizeof index, table) &&
				strcmp(index, entry->d_name) == 0;
			for (size_t j = 0; !named && j < table->file_count; j++) {
				char name[64];
				base_file_name(name, sizeof name, table->number,
					table->files[j].number);
				named = strcmp(name, entry->d_name) == 0;
			}
		}
		for (size_t i = 0; !named && i < release->tensor_count; i++) {
			char name[64];
			tensor_file_name(name, sizeof name, release->tensors[i]->number);
			named = strcmp(name, entry->d_name) == 0;
		}
		if (!named) {
			store_event(store, "event=leftover release=%s file=%s", release->id.text,
				entry->d_name);
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
		}
	}
	if (dir != NULL) {
		closedir(dir);
	}
}

/* Removes the folder of a release that is not in the catalog. A number that was never given out
 * can only be that of a release that was being created, whose folder is empty: with files in it,
 * the catalog is the one that is wrong. */
static enum status sweep_folder(struct store *store, const struct snapshot *snapshot,
	uint64_t number, struct error *err)
{
	char folder[PATH_MAX];
	struct error reason = {.text = "no folder"};
	store_release_folder(store, number, folder);
	enum status status = STATUS_OK;
	if (number < snapshot->next_release) {
		status = file_remove_folder(folder, &reason);
	} else if (rmdir(folder) != 0) {
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

/* Removes what a killed process has left: folders and files that the catalog does not name. */
static enum status sweep(struct store *store, const struct snapshot *snapshot, struct error *err)
{
	char path[PATH_MAX];
	enum status status = file_path(path, store->folder, "releases", err);
	DIR *dir = status == STATUS_OK ? opendir(path) : NULL;
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
		sweep_release(store, snapshot->releases[i]);
	}
	return status;
}

/* Writes `current` again: it may be behind. A full disk must not keep anybody from reading; the
 * next change, or start, writes the file then. */
static enum status renew_current(struct store *store, const struct snapshot *snapshot,
	struct error *err)
{
	struct error reason;
	const enum status status = current_write(store->folder, snapshot, &reason);
	if (status == STATUS_OK) {
		return status;
	}
	if (status != STATUS_DISK_FULL) {
		return error_set(err, status, "%s", reason.text);
	}
	store_event(store, "event=current_not_written reason=\"%s\"", reason.text);
	return STATUS_OK;
}

/* A catalog that was lost or put back must not make everything else a leftover. */
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

static enum status open_releases(struct store *store, struct snapshot *snapshot, struct error *err)
{
	enum status status = check_age(store, snapshot, err);
	if (status == STATUS_OK) {
		status = sweep(store, snapshot, err);
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
	enum status status = file_make_folder(store->folder, err);
	if (status == STATUS_OK) {
		status = take_lock(store, err);
	}
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
		status = file_path(path, store->folder, "catalog.mdb", err);
	}
	if (status == STATUS_OK) {
		status = catalog_check(path, store->options.catalog_bytes, err);
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
		status = open_releases(store, snapshot, err);
	}
	if (status == STATUS_OK) {
		status = janitor_start(store, &store->janitor);
		if (status != STATUS_OK) {
			error_set(err, status, "start the janitor thread");
		}
	}
	if (status == STATUS_OK) {
		status = indexer_start(store, &store->indexer);
		if (status != STATUS_OK) {
			error_set(err, status, "start the index thread");
		}
	}
	if (status == STATUS_OK) {
		status = merger_start(store, &store->merger, err);
	}
	return status;
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
	return value != 0 ? value : otherwise;
}

static void set_defaults(struct write_options *options)
{
	enum { DEFAULT_SYNC_MS = 1000, DEFAULT_AGE_MS = 3600000, DEFAULT_RATE = 100000000 };
	options->sync_interval_ms =
		(unsigned)or_default(options->sync_interval_ms, DEFAULT_SYNC_MS);
	options->log_bytes = or_default(options->log_bytes, UINT64_C(512) << 20);
	options->memtable_rows = or_default(options->memtable_rows, 1500000);
	options->memtable_bytes = or_default(options->memtable_bytes, UINT64_C(1) << 30);
	options->merge_age_ms = or_default(options->merge_age_ms, DEFAULT_AGE_MS);
	options->merge_rate = or_default(options->merge_rate, DEFAULT_RATE);
}

enum status store_open(const struct store_options *options, struct store **out, struct error *err)
{
	struct store *store = calloc(1, sizeof *store);
	if (store == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "open '%s'", options->folder);
	}
	store->options = *options;
	set_defaults(&store->options.write);
	store->lock_fd = -1;
	lock_init(&store->admin_lock);
	lock_init(&store->load_lock);
	lock_init(&store->tensor_lock);
	bell_init(&store->merge_bell);
	bell_init(&store->index_bell);
	enum status status;
	if (strlen(options->folder) >= PATH_MAX - 128) {
		status = error_set(err, STATUS_TOO_LARGE, "data folder: its path is over %d bytes",
			PATH_MAX - 128);
	} else {
		memcpy(store->folder, options->folder, strlen(options->folder) + 1);
		status = open_all(store, err);
	}
	if (status != STATUS_OK) {
		store_close(store);
		return status;
	}
	*out = store;
	return STATUS_OK;
}

void store_close(struct store *store)
{
	if (store == NULL) {
		return;
	}
	store_interrupt(store);
	merger_stop(store->merger);
	indexer_stop(store->indexer);
	writer_close(store->writer);
	janitor_stop(store->janitor);
	loads_free(loads_take(store, 0));
	load_body_fini(&store->load_body);
	snapshot_drop(atomic_load(&store->current));
	catalog_close(store->catalog);
	if (store->lock_fd >= 0) {
		close(store->lock_fd);
	}
	lock_fini(&store->admin_lock);
	lock_fini(&store->load_lock);
	lock_fini(&store->tensor_lock);
	bell_fini(&store->merge_bell);
	bell_fini(&store->index_bell);
	free(store);
}

/* ---- figures ---- */

static void write_figures(struct store *store, struct write_figures *out)
{
	struct redo_figures log;
	redo_figures(store->writer->redo, &log);
	*out = (struct write_figures){
		.sequence = store_visible(store),
		.commits = atomic_load(&store->writer->commits),
		.syncs = log.syncs,
		.sync_us = log.sync_ns / 1000,
		.sync_us_max = log.sync_ns_max / 1000,
		.log_files = log.files,
		.log_bytes = log.bytes,
		.log_bytes_written = log.bytes_written,
		.pending_bytes = atomic_load(&store->usage.log_bytes),
		.memtable_rows = atomic_load(&store->usage.rows),
		.memtable_bytes = atomic_load(&store->usage.bytes),
		.read_only = atomic_load(&store->writer->read_only),
	};
	merger_figures(store->merger, out);
}

void store_figures(struct store *store, struct store_figures *out)
{
	struct store_figures figures = {
		.seal_bytes = atomic_load(&store->seal_bytes),
		.load_bytes = atomic_load(&store->load_bytes),
		.durability = store->options.write.durability,
	};
	write_figures(store, &figures.write);
	indexer_figures(store->indexer, &figures.index);
	janitor_waiting(store->janitor, &figures.files_waiting, &figures.bytes_waiting);
	const struct snapshot *snapshot = snapshot_begin(store);
	figures.releases = snapshot->release_count;
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		figures.tables += release->table_count;
		figures.tensors += release->tensor_count;
		for (size_t j = 0; j < release->tensor_count; j++) {
			figures.tensor_bytes += tensor_bytes(&release->tensors[j]->spec);
		}
		for (size_t j = 0; j < release->table_count; j++) {
			const struct table *table = release->tables[j];
			figures.rows += table->rows;
			figures.bytes += table->bytes;
			for (size_t k = 0; table->bases != NULL && k < table->bases->segment_count;
				k++) {
				const enum base_segment_state state =
					base_segment_state(&table->bases->segments[k]);
				figures.segments++;
				figures.segments_checked += state != BASE_UNCHECKED;
				figures.segments_damaged += state == BASE_DAMAGED;
			}
		}
	}
	snapshot_end(store);
	*out = figures;
}
