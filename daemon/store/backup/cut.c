/* cut.c - takes the moment that a backup is of. */
#include "daemon/store/backup/cut.h"

#include "daemon/store/log/positions.h"
#include "daemon/store/log/redo_copy.h"
#include "daemon/store/log/redo_file.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/spill/spilled.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- files ---- */

/* Opens a file of the data folder. NOT_FOUND: it is not there. */
static enum status open_file(const struct store *store, struct cut *cut, const char *name,
	uint64_t bytes, struct error *err)
{
	char path[PATH_MAX];
	if (cut->count == cut->capacity) {
		const size_t capacity = cut->capacity * 2 + 16;
		void *grown = realloc(cut->files, capacity * sizeof *cut->files);
		if (grown == NULL) {
			return error_set(err, STATUS_NO_MEMORY, "backup: list of files");
		}
		cut->files = grown;
		cut->capacity = capacity;
	}
	assert(cut->files != NULL);
	struct cut_file *file = &cut->files[cut->count];
	const enum status status = file_path(path, store->folder, name, err);
	if (status != STATUS_OK) {
		return status;
	}
	*file = (struct cut_file){.fd = file_open(path, O_RDONLY, 0), .bytes = bytes};
	if (file->fd < 0) {
		return error_set(err, status_of_errno(errno), "open '%s': %s", path,
			file_reason(errno));
	}
	assert(strlen(name) < sizeof file->name);
	memcpy(file->name, name, strlen(name) + 1);
	cut->count++;
	return STATUS_OK;
}

/* The loads of open releases, with what is synced of them. */
static enum status open_loads(struct store *store, struct cut *cut, struct error *err)
{
	enum status status = STATUS_OK;
	lock_assert_held(&store->load_lock);
	for (const struct load *load = store->loads; status == STATUS_OK && load != NULL;
		load = load->next) {
		char file[CUT_NAME_BYTES / 2 + LIMIT_NAME_BYTES];
		char name[CUT_NAME_BYTES];
		if (load->damaged) {
			continue; /* it can only be aborted */
		}
		load_file_name(file, sizeof file, load->spill.owner.table, load->name.text);
		const int len = snprintf(name, sizeof name, "releases/%" PRIu64 "/%s",
			load->spill.owner.release, file);
		assert(len > 0 && (size_t)len < sizeof name);
		(void)len;
		status = open_file(store, cut, name, load->spill.bytes, err);
		if (status == STATUS_OK) {
			assert(cut->files != NULL);
			cut->files[cut->count - 1].release = load->spill.owner.release;
			cut->files[cut->count - 1].table = load->spill.owner.table;
		}
	}
	return status;
}

/* Opens the files of the log from `number` on, until there is no further one. The first must be
 * there. */
static enum status open_log(const struct store *store, struct cut *cut, uint64_t number,
	struct error *err)
{
	const uint64_t first = number;
	for (;; number++) {
		char name[CUT_NAME_BYTES];
		(void)snprintf(name, sizeof name, "log/%" PRIu64 ".log", number);
		const enum status status = open_file(store, cut, name, 0, err);
		if (status == STATUS_NOT_FOUND && number > first) {
			return STATUS_OK;
		}
		if (status != STATUS_OK) {
			return status;
		}
	}
}

/* Finds how much of each file of the log is part of the cut, and lets those go that begin behind it.
 * Files that somebody appends to are as they should be up to the sequence of the cut. */
static enum status measure_log(struct cut *cut, size_t count, struct error *err)
{
	uint64_t next = 0;
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		struct cut_file *file = &cut->files[i];
		struct redo_piece piece;
		if (i > 0 && next > cut->sequence) {
			close(file->fd);
			file->fd = -1;
			continue;
		}
		const enum status status =
			redo_measure(file->fd, file->name, cut->sequence, &piece, err);
		if (status != STATUS_OK || (i > 0 && piece.first_sequence != next)) {
			return status != STATUS_OK
				       ? status
				       : error_set(err, STATUS_CORRUPT,
						 "log: '%s' begins at frame %" PRIu64
						 ", expected %" PRIu64,
						 file->name, piece.first_sequence, next);
		}
		next = piece.next_sequence;
		file->bytes = piece.bytes;
		file->is_constant = i + 1 < count && piece.is_whole;
		kept++;
	}
	memmove(cut->files + kept, cut->files + count, (cut->count - count) * sizeof *cut->files);
	cut->count -= count - kept;
	return next == cut->sequence + 1
		       ? STATUS_OK
		       : error_set(err, STATUS_CORRUPT,
				 "log: it ends at frame %" PRIu64 ", acknowledged is %" PRIu64,
				 next - 1, cut->sequence);
}

/* ---- releases ---- */

/* The positions that the catalog would have now. Those of the release go on. */
static enum status copy_positions(struct positions *from, struct positions **out)
{
	struct source_position *all = NULL;
	size_t count = 0;
	struct positions *copy = positions_new();
	enum status status = copy == NULL ? STATUS_NO_MEMORY
					  : positions_list(from, POSITION_MARKED, &all, &count);
	for (size_t i = 0; status == STATUS_OK && i < count; i++) {
		status = positions_raise(copy, &all[i]);
	}
	free(all);
	if (status != STATUS_OK) {
		positions_drop(copy);
		return status;
	}
	positions_mark(copy);
	*out = copy;
	return STATUS_OK;
}

static enum status copy_release(struct snapshot *snapshot, const struct release *from)
{
	struct release *release = release_copy(from);
	struct positions *positions = NULL;
	if (release == NULL || copy_positions(from->positions, &positions) != STATUS_OK) {
		release_drop(release);
		return STATUS_NO_MEMORY;
	}
	positions_drop(release->positions);
	release->positions = positions;
	return snapshot_put(snapshot, release);
}

static enum status copy_snapshot(struct store *store, struct cut *cut, struct error *err)
{
	const struct snapshot *now = store_current(store);
	lock_assert_held(&store->admin_lock);
	cut->snapshot = snapshot_copy(now);
	enum status status = cut->snapshot == NULL ? STATUS_NO_MEMORY : STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < now->release_count; i++) {
		status = copy_release(cut->snapshot, now->releases[i]);
	}
	return status == STATUS_OK ? status : error_set(err, status, "backup: no memory");
}

static enum status hold(struct store *store, struct cut *cut, struct error *err)
{
	cut->pin = store_hold(store);
	return cut->pin != NULL ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "backup: no memory");
}

/* Nothing of the catalog changes meanwhile. Positions come first, then the sequence up to which the log
 * has what was counted; so they are never ahead of it. */
static enum status take(struct store *store, struct cut *cut, size_t *log_files, struct error *err)
{
	const bool wants_log = log_files != NULL;
	enum status status = hold(store, cut, err);
	if (status == STATUS_OK) {
		status = copy_snapshot(store, cut, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	cut->sequence = atomic_load(&store->visible);
	assert(cut->sequence >= cut->snapshot->written);
	if (wants_log) {
		status = open_log(store, cut, cut->snapshot->log_first_file, err);
		*log_files = cut->count;
	}
	if (status == STATUS_OK) {
		store_lock_load(store);
		status = open_loads(store, cut, err);
		store_unlock_load(store);
	}
	return status;
}

static enum status take_with(struct store *store, bool wants_log, struct cut *out,
	struct error *err)
{
	struct cut cut = {.pin = NULL};
	size_t log_files = 0;
	store_lock_admin(store);
	enum status status = take(store, &cut, wants_log ? &log_files : NULL, err);
	store_unlock_admin(store);
	if (status == STATUS_OK && wants_log) {
		status = measure_log(&cut, log_files, err);
	}
	if (status != STATUS_OK) {
		cut_let_go(store, &cut);
		return status;
	}
	*out = cut;
	return STATUS_OK;
}

enum status cut_take(struct store *store, struct cut *out, struct error *err)
{
	return take_with(store, true, out, err);
}

enum status cut_take_files(struct store *store, struct cut *out, struct error *err)
{
	return take_with(store, false, out, err);
}

/* ---- one release ---- */

static enum status find_sealed(struct store *store, const char *id, const struct release **out,
	struct error *err)
{
	lock_assert_held(&store->admin_lock);
	const enum status status = snapshot_release(store_current(store), id, out, err);
	return status == STATUS_OK && (*out)->state != RELEASE_SEALED
		       ? error_set(err, STATUS_NOT_SEALED, "release: '%s' is open; seal it first",
				 (*out)->id.text)
		       : status;
}

enum status cut_check_release(struct store *store, const char *id, struct error *err)
{
	const struct release *release;
	store_lock_admin(store);
	const enum status status = find_sealed(store, id, &release, err);
	store_unlock_admin(store);
	return status;
}

/* Base files and positions are of one cut of a merge if no table waits for its part of a merge. Positions
 * are copied first: those of a later cut come after its tables were frozen, which is seen then. */
static enum status take_release(struct store *store, const char *id, struct cut *cut,
	struct error *err)
{
	const struct release *release;
	enum status status = find_sealed(store, id, &release, err);
	if (status != STATUS_OK) {
		return status;
	}
	const struct snapshot *now = store_current(store);
	const struct snapshot empty = {.sequence = now->sequence,
		.next_release = now->next_release};
	cut->snapshot = snapshot_copy(&empty);
	status = cut->snapshot == NULL ? STATUS_NO_MEMORY : copy_release(cut->snapshot, release);
	if (status != STATUS_OK) {
		return error_set(err, status, "release: no memory");
	}
	for (size_t i = 0; i < release->table_count; i++) {
		if (memtable_is_frozen(release->tables[i]->memtable)) {
			return STATUS_AGAIN;
		}
	}
	return hold(store, cut, err);
}

enum status cut_take_release(struct store *store, const char *id, struct cut *out,
	struct error *err)
{
	struct cut cut = {.pin = NULL};
	store_lock_admin(store);
	const enum status status = take_release(store, id, &cut, err);
	store_unlock_admin(store);
	if (status != STATUS_OK) {
		cut_let_go(store, &cut);
		return status;
	}
	*out = cut;
	return STATUS_OK;
}

void cut_let_go(struct store *store, struct cut *cut)
{
	for (size_t i = 0; i < cut->count; i++) {
		if (cut->files[i].fd >= 0) {
			close(cut->files[i].fd);
		}
	}
	free(cut->files);
	if (cut->snapshot != NULL) {
		store_lock_admin(store);
		snapshot_drop(cut->snapshot);
		store_unlock_admin(store);
	}
	store_let_go(store, cut->pin);
	*cut = (struct cut){.pin = NULL};
}
