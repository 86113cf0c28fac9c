/* redo.c - the log's files as one: opened, appended to, rotated, removed. */
#include "daemon/store/log/redo.h"

#include "daemon/store/log/redo_file.h"
#include "daemon/store/log/redo_write.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { BATCH_FRAMES = 1024 /* IOV_MAX of Linux */ };

/* A file before the current one. */
struct old_file {
	uint64_t number;
	uint64_t first_sequence;
	uint64_t bytes;
};

struct redo {
	char folder[PATH_MAX];
	struct redo_head head; /* of the current file */
	int fd;                /* of the current file; owned */
	uint64_t bytes;        /* of the current file */
	uint64_t dropped;      /* up to here its pages were taken out of the page cache */
	uint64_t next_sequence;
	uint64_t synced; /* all sequences below it are on the disk */
	bool read_only;
	bool is_removed;      /* that is why */
	struct old_file *old; /* owned; the oldest first */
	size_t old_count;
	/* Figures. The thread that appends writes them, any reads them. */
	_Atomic uint64_t files;
	_Atomic uint64_t all_bytes;
	_Atomic uint64_t bytes_written;
	struct histogram sync_times; /* of who appends and syncs, one thread at a time */
	_Atomic uint64_t sync_ns_max;
	_Atomic uint64_t sync_ns_last;
};

static enum status read_only(struct redo *redo, struct error *err)
{
	redo->read_only = true;
	return error_set(err, STATUS_READ_ONLY,
		"%s; until a restart nothing is written, and whether the last writes are there is not "
		"known before it",
		redo->is_removed ? "somebody has removed the log's file"
				 : "the log could not be synced");
}

/* ---- files ---- */

static enum status add_old(struct redo *redo, const struct old_file *file)
{
	const struct old_file *last = redo->old_count > 0 ? &redo->old[redo->old_count - 1] : NULL;
	assert(last == NULL || last->number + 1 == file->number);
	assert(last == NULL || last->first_sequence <= file->first_sequence);
	struct old_file *grown = realloc(redo->old, (redo->old_count + 1) * sizeof *grown);
	if (grown == NULL) {
		return STATUS_NO_MEMORY;
	}
	redo->old = grown;
	grown[redo->old_count++] = *file;
	return STATUS_OK;
}

/* Begins a file. The current one, if there is one, was added to the old ones. */
static enum status begin_file(struct redo *redo, uint64_t number, struct error *err)
{
	struct redo_head head = {.number = number, .first_sequence = redo->next_sequence};
	int fd;
	assert(number > redo->head.number); /* numbers only grow */
	assert(head.first_sequence >= redo->head.first_sequence);
	if (getrandom(&head.salt, sizeof head.salt, 0) != (ssize_t)sizeof head.salt) {
		return error_set(err, STATUS_IO, "log: no random number");
	}
	const enum status status = redo_file_create(redo->folder, &head, &fd, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (redo->fd >= 0) {
		close(redo->fd);
	}
	redo->head = head;
	redo->fd = fd;
	redo->bytes = REDO_HEAD_BYTES;
	redo->dropped = 0;
	return STATUS_OK;
}

/* Goes on with the last file that was read. */
static enum status resume_file(struct redo *redo, const struct redo_read *read, struct error *err)
{
	char name[32];
	char path[PATH_MAX];
	redo_file_name(name, sizeof name, read->head.number);
	enum status status = file_path(path, redo->folder, name, err);
	if (status != STATUS_OK) {
		return status;
	}
	redo->fd = file_open(path, O_RDWR, 0);
	if (redo->fd < 0) {
		return error_set(err, status_of_errno(errno), "open '%s': %s", path,
			strerror(errno));
	}
	redo->head = read->head;
	redo->bytes = read->bytes;
	status = redo_file_settle(redo->fd, read, err);
	return status == STATUS_OK ? file_sync_folder(redo->folder, err) : status;
}

/* ---- open ---- */

/* Finds the lowest and the highest number of the folder's files. Those below `first` are
 * removed. */
static enum status list_files(const char *folder, uint64_t first, uint64_t *lowest,
	uint64_t *highest, struct error *err)
{
	*lowest = *highest = 0;
	DIR *dir = file_list(folder);
	if (dir == NULL) {
		return error_set(err, STATUS_IO, "open folder '%s': %s", folder,
			file_reason(errno));
	}
	const struct dirent *entry;
	while ((entry = readdir(dir)) != NULL) {
		const uint64_t number = redo_file_number(entry->d_name);
		if (number != 0 && number < first) {
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
		} else if (number != 0) {
			*lowest = *lowest == 0 || number < *lowest ? number : *lowest;
			*highest = number > *highest ? number : *highest;
		}
	}
	closedir(dir);
	return STATUS_OK;
}

static enum status check_files(const struct redo_options *options, uint64_t lowest,
	struct error *err)
{
	if (options->first_file == 0 && lowest > 1) {
		return error_set(err, STATUS_CORRUPT,
			"log: '%s' has file %" PRIu64 ", but the catalog knows of none",
			options->folder, lowest);
	}
	if (options->first_file != 0 && lowest != options->first_file) {
		return error_set(err, STATUS_CORRUPT,
			"log: '%s/%" PRIu64 ".log' is missing; acknowledged writes are in it",
			options->folder, options->first_file);
	}
	return STATUS_OK;
}

static enum status read_files(struct redo *redo, const struct redo_options *options,
	uint64_t lowest, uint64_t highest, struct error *err)
{
	uint64_t expected = 0;
	struct redo_read read = {0};
	for (uint64_t number = lowest; number <= highest; number++) {
		enum status status = STATUS_OK;
		if (number > lowest) {
			const struct old_file old = {read.head.number, read.head.first_sequence,
				read.bytes};
			status = add_old(redo, &old);
			if (status != STATUS_OK) {
				return error_set(err, status, "log: list of files");
			}
		}
		status = redo_file_read(options, number, expected, number == highest, &read, err);
		if (status == STATUS_AGAIN) {
			redo->next_sequence = expected > options->next_sequence
						      ? expected
						      : options->next_sequence;
			return begin_file(redo, number, err);
		}
		if (status != STATUS_OK) {
			return status;
		}
		if (number == lowest && read.head.first_sequence > options->next_sequence) {
			return error_set(err, STATUS_CORRUPT,
				"log: file %" PRIu64 " begins at frame %" PRIu64
				", the catalog's last is %" PRIu64,
				number, read.head.first_sequence, options->next_sequence - 1);
		}
		expected = read.next_sequence;
	}
	redo->next_sequence = read.next_sequence;
	if (redo->next_sequence < options->next_sequence) {
		return error_set(err, STATUS_CORRUPT,
			"log: it ends at frame %" PRIu64 ", the catalog knows of %" PRIu64,
			redo->next_sequence - 1, options->next_sequence - 1);
	}
	return resume_file(redo, &read, err);
}

enum status redo_open(const struct redo_options *options, struct redo **out, struct error *err)
{
	uint64_t lowest;
	uint64_t highest;
	struct redo *redo = calloc(1, sizeof *redo);
	if (redo == NULL || strlen(options->folder) >= sizeof redo->folder) {
		free(redo);
		return error_set(err, STATUS_NO_MEMORY, "open the log");
	}
	memcpy(redo->folder, options->folder, strlen(options->folder) + 1);
	redo->fd = -1;
	enum status status = file_make_folder(options->folder, err);
	if (status == STATUS_OK) {
		status = list_files(options->folder, options->first_file, &lowest, &highest, err);
	}
	if (status == STATUS_OK) {
		status = check_files(options, lowest, err);
	}
	if (status == STATUS_OK && highest == 0) {
		redo->next_sequence = options->next_sequence;
		status = begin_file(redo, 1, err);
	} else if (status == STATUS_OK) {
		status = read_files(redo, options, lowest, highest, err);
	}
	if (status != STATUS_OK) {
		redo_close(redo);
		return status;
	}
	assert(redo->fd >= 0);
	assert(redo->next_sequence >= options->next_sequence);
	assert(redo->next_sequence >= redo->head.first_sequence);
	redo->synced = redo->next_sequence;
	redo->all_bytes = redo->bytes;
	for (size_t i = 0; i < redo->old_count; i++) {
		redo->all_bytes += redo->old[i].bytes;
	}
	redo->files = redo->old_count + 1;
	*out = redo;
	return STATUS_OK;
}

void redo_close(struct redo *redo)
{
	if (redo == NULL) {
		return;
	}
	if (redo->fd >= 0) {
		close(redo->fd);
	}
	free(redo->old);
	free(redo);
}

uint64_t redo_next_sequence(const struct redo *redo)
{
	return redo->next_sequence;
}

uint64_t redo_file(const struct redo *redo)
{
	return redo->head.number;
}

uint64_t redo_offset(const struct redo *redo)
{
	return redo->bytes;
}

uint64_t redo_first_file(const struct redo *redo)
{
	return redo->old_count > 0 ? redo->old[0].number : redo->head.number;
}

/* ---- append ---- */

static enum status write_frames(struct redo *redo, const struct redo_frame *frames, size_t count,
	uint64_t *bytes)
{
	struct iovec parts[BATCH_FRAMES];
	*bytes = 0;
	for (size_t first = 0; first < count; first += BATCH_FRAMES) {
		const size_t some = count - first < BATCH_FRAMES ? count - first : BATCH_FRAMES;
		const uint64_t offset = redo->bytes + *bytes;
		for (size_t i = 0; i < some; i++) {
			const struct redo_frame *frame = &frames[first + i];
			assert(frame_is(frame->data, redo->next_sequence + first + i, frame->len));
			frame_seal(frame->data, redo->synced, redo->head.salt);
			parts[i] = (struct iovec){.iov_base = frame->data, .iov_len = frame->len};
			*bytes += frame->len;
		}
		const enum status status = redo_write(redo->fd, parts, some, offset);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

enum status redo_append(struct redo *redo, const struct redo_frame *frames, size_t count,
	struct error *err)
{
	if (redo->read_only) {
		return read_only(redo, err);
	}
	assert(redo->synced <= redo->next_sequence);
	uint64_t bytes;
	const enum status status = write_frames(redo, frames, count, &bytes);
	if (status == STATUS_OK) {
		redo->bytes += bytes;
		redo->next_sequence += count;
		atomic_fetch_add(&redo->bytes_written, bytes);
		atomic_fetch_add(&redo->all_bytes, bytes);
		return STATUS_OK;
	}
	const int number = errno;
	if (ftruncate(redo->fd, (off_t)redo->bytes) != 0 || fdatasync(redo->fd) != 0) {
		return read_only(redo, err);
	}
	return error_set(err, status, "log: %" PRIu64 " bytes cannot be written: %s", bytes,
		strerror(number));
}

enum status redo_sync(struct redo *redo, struct error *err)
{
	if (redo->read_only) {
		return read_only(redo, err);
	}
	const uint64_t began = clock_monotonic_ns();
	redo->is_removed = !file_is_named(redo->fd);
	if (redo->is_removed || fdatasync(redo->fd) != 0) {
		return read_only(redo, err);
	}
	const uint64_t ns = clock_monotonic_ns() - began;
	assert(redo->synced <= redo->next_sequence); /* what is synced stays so */
	redo->synced = redo->next_sequence;
	histogram_add(&redo->sync_times, ns, HISTOGRAM_SHORT_NS);
	atomic_store(&redo->sync_ns_last, ns);
	if (ns > atomic_load(&redo->sync_ns_max)) {
		atomic_store(&redo->sync_ns_max, ns);
	}
	redo->dropped = redo_drop_pages(redo->fd, redo->dropped, redo->bytes);
	return STATUS_OK;
}

bool redo_is_dirty(const struct redo *redo)
{
	return redo->synced < redo->next_sequence && !redo->read_only;
}

enum status redo_has_room(struct redo *redo, size_t bytes, struct error *err)
{
	if (redo->read_only) {
		return read_only(redo, err);
	}
	if (fallocate(redo->fd, FALLOC_FL_KEEP_SIZE, (off_t)redo->bytes, (off_t)bytes) != 0 &&
		status_of_errno(errno) == STATUS_DISK_FULL) {
		/* Give back the room that was reserved before it failed. */
		(void)ftruncate(redo->fd, (off_t)redo->bytes);
		return error_set(err, STATUS_DISK_FULL, "log: no room for %zu bytes", bytes);
	}
	return STATUS_OK;
}

/* ---- rotate, remove ---- */

enum status redo_rotate(struct redo *redo, struct error *err)
{
	if (redo->read_only) {
		return read_only(redo, err);
	}
	if (redo->bytes == REDO_HEAD_BYTES) {
		return STATUS_OK;
	}
	enum status status = redo_is_dirty(redo) ? redo_sync(redo, err) : STATUS_OK;
	const struct old_file old = {redo->head.number, redo->head.first_sequence, redo->bytes};
	if (status == STATUS_OK && add_old(redo, &old) != STATUS_OK) {
		status = error_set(err, STATUS_NO_MEMORY, "log: list of files");
	}
	if (status != STATUS_OK) {
		return status;
	}
	status = begin_file(redo, redo->head.number + 1, err);
	if (status != STATUS_OK) {
		redo->old_count--;
		return status;
	}
	assert(!redo_is_dirty(redo)); /* a file is synced before the next one begins */
	atomic_fetch_add(&redo->files, 1);
	atomic_fetch_add(&redo->all_bytes, REDO_HEAD_BYTES);
	return STATUS_OK;
}

uint64_t redo_file_of(const struct redo *redo, uint64_t sequence)
{
	for (size_t i = redo->old_count; i-- > 0;) {
		const uint64_t behind = i + 1 < redo->old_count ? redo->old[i + 1].first_sequence
								: redo->head.first_sequence;
		if (sequence >= redo->old[i].first_sequence && sequence < behind) {
			return redo->old[i].number;
		}
	}
	/* A sequence before the oldest file is answered with the oldest file: all is kept. */
	return sequence >= redo->head.first_sequence || redo->old_count == 0 ? redo->head.number
									     : redo->old[0].number;
}

uint64_t redo_begins_at(const struct redo *redo, uint64_t file)
{
	for (size_t i = 0; i < redo->old_count; i++) {
		if (redo->old[i].number == file) {
			return redo->old[i].first_sequence;
		}
	}
	assert(file == redo->head.number);
	return redo->head.first_sequence;
}

enum status redo_remove_before(struct redo *redo, uint64_t first_file, struct error *err)
{
	size_t gone = 0;
	enum status status = STATUS_OK;
	assert(first_file <= redo->head.number); /* the current file is always needed */
	while (gone < redo->old_count && redo->old[gone].number < first_file) {
		char name[32];
		char path[PATH_MAX];
		redo_file_name(name, sizeof name, redo->old[gone].number);
		status = file_path(path, redo->folder, name, err);
		if (status != STATUS_OK) {
			break;
		}
		if (file_remove(path) != 0 && errno != ENOENT) {
			status = error_set(err, status_of_errno(errno), "remove '%s': %s", path,
				strerror(errno));
			break;
		}
		const uint64_t files = atomic_fetch_sub(&redo->files, 1);
		const uint64_t bytes = atomic_fetch_sub(&redo->all_bytes, redo->old[gone].bytes);
		assert(files > 1);
		assert(bytes > redo->old[gone].bytes);
		(void)files;
		(void)bytes;
		gone++;
	}
	if (gone > 0) {
		redo->old_count -= gone;
		memmove(redo->old, redo->old + gone, redo->old_count * sizeof *redo->old);
	}
	return status;
}

uint64_t redo_bytes(const struct redo *redo)
{
	return atomic_load_explicit(&redo->all_bytes, memory_order_relaxed);
}

void redo_figures(const struct redo *redo, struct redo_figures *out)
{
	struct histogram_figures times = {0};
	histogram_read(&redo->sync_times, &times);
	*out = (struct redo_figures){
		.files = atomic_load(&redo->files),
		.bytes = atomic_load(&redo->all_bytes),
		.bytes_written = atomic_load(&redo->bytes_written),
		.sync_times = times,
		.sync_ns_max = atomic_load(&redo->sync_ns_max),
		.sync_ns_last = atomic_load(&redo->sync_ns_last),
	};
}
