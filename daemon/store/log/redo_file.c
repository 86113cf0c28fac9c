/* redo_file.c - reads a file of the log, and tells a torn end from damage. */
#include "daemon/store/log/redo_file.h"

#include "daemon/store/system/bytes.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/mapfault.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static const char redo_magic[8] = {'r', 'e', 'p', 's', 't', 'l', 'o', 'g'};

/* has_later_frame computes checksums of at most so many times the size of the file. */
enum { HASHED_MAX = 16 };

enum { AT_VERSION = 8, AT_NUMBER = 16, AT_SEQUENCE = 24, AT_SALT = 32, AT_HASH = 56 };

void redo_file_name(char *out, size_t size, uint64_t number)
{
	(void)snprintf(out, size, "%" PRIu64 ".log", number);
}

uint64_t redo_file_number(const char *name)
{
	if (name[0] < '1' || name[0] > '9') {
		return 0;
	}
	char *end;
	errno = 0;
	const uint64_t number = strtoull(name, &end, 10);
	return errno == 0 && strcmp(end, ".log") == 0 ? number : 0;
}

uint64_t redo_file_last(const char *folder)
{
	uint64_t last = 0;
	DIR *dir = file_list(folder);
	const struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		const uint64_t number = redo_file_number(entry->d_name);
		last = number > last ? number : last;
	}
	if (dir != NULL) {
		closedir(dir);
	}
	return last;
}

/* ---- create ---- */

static void write_head(uint8_t *data, const struct redo_head *head)
{
	memset(data, 0, REDO_HEAD_BYTES);
	memcpy(data, redo_magic, sizeof redo_magic);
	bytes_put_u32(data + AT_VERSION, REDO_VERSION);
	bytes_put_u64(data + AT_NUMBER, head->number);
	bytes_put_u64(data + AT_SEQUENCE, head->first_sequence);
	bytes_put_u64(data + AT_SALT, head->salt);
	bytes_put_u64(data + AT_HASH, XXH3_64bits(data, AT_HASH));
}

enum status redo_file_create(const char *folder, const struct redo_head *head, int *fd,
	struct error *err)
{
	char name[32];
	char path[PATH_MAX];
	uint8_t data[REDO_HEAD_BYTES];
	assert(head->number > 0);
	redo_file_name(name, sizeof name, head->number);
	enum status status = file_path(path, folder, name, err);
	if (status != STATUS_OK) {
		return status;
	}
	const int file = file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0640);
	if (file < 0) {
		return error_set(err, status_of_errno(errno), "create '%s': %s", path,
			file_reason(errno));
	}
	write_head(data, head);
	status = file_write_at(file, data, sizeof data, 0);
	if (status == STATUS_OK && fdatasync(file) != 0) {
		status = status_of_errno(errno);
	}
	if (status != STATUS_OK) {
		error_set(err, status, "begin '%s': %s", path, strerror(errno));
	} else {
		status = file_sync_folder(folder, err);
	}
	if (status != STATUS_OK) {
		close(file);
		(void)file_remove(path);
		/* Without this sync the file may come back, and then the file before it is not the
		 * last one any more. */
		(void)file_sync_folder(folder, NULL);
		return status;
	}
	*fd = file;
	return STATUS_OK;
}

/* ---- read ---- */

enum status redo_head_read(const uint8_t *data, struct redo_head *out)
{
	if (memcmp(data, redo_magic, sizeof redo_magic) != 0 ||
		bytes_get_u64(data + AT_HASH) != XXH3_64bits(data, AT_HASH)) {
		return STATUS_CORRUPT;
	}
	*out = (struct redo_head){
		.number = bytes_get_u64(data + AT_NUMBER),
		.first_sequence = bytes_get_u64(data + AT_SEQUENCE),
		.salt = bytes_get_u64(data + AT_SALT),
		.version = bytes_get_u32(data + AT_VERSION),
	};
	return out->version == REDO_VERSION ? STATUS_OK : STATUS_UNSUPPORTED;
}

enum status redo_head_refuse(const struct redo_head *head, const char *path, struct error *err)
{
	return error_set(err, STATUS_UNSUPPORTED,
		"log: '%s' has format version %" PRIu32 ", this build knows %d", path,
		head->version, REDO_VERSION);
}

/* A file in memory while it is read. */
struct map {
	const char *path; /* borrowed */
	bool is_copy;     /* `data` is memory of our own */
	uint8_t *data;
	size_t len;
	struct mapfault *watch;
	_Atomic unsigned char damaged;
};

static enum status map_file(struct map *map, struct error *err)
{
	struct stat about;
	if (map->is_copy) {
		return file_read_all(map->path, SIZE_MAX, &map->data, &map->len, err);
	}
	const int fd = file_open(map->path, O_RDONLY, 0);
	if (fd < 0 || fstat(fd, &about) != 0) {
		const int number = errno;
		if (fd >= 0) {
			close(fd);
		}
		return error_set(err, number == ENOENT ? STATUS_CORRUPT : status_of_errno(number),
			"log: '%s': %s", map->path, file_reason(number));
	}
	map->len = (size_t)about.st_size;
	map->data = NULL;
	if (map->len > 0) {
		map->data = mmap(NULL, map->len, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	}
	close(fd);
	if (map->data == MAP_FAILED) {
		map->data = NULL;
		return error_set(err, status_of_errno(errno), "map '%s': %s", map->path,
			strerror(errno));
	}
	if (map->data != NULL &&
		mapfault_watch(map->data, map->len, &map->damaged, 1, &map->watch) != STATUS_OK) {
		return error_set(err, STATUS_NO_MEMORY, "map '%s'", map->path);
	}
	return STATUS_OK;
}

static void unmap_file(struct map *map)
{
	mapfault_forget(map->watch);
	if (map->is_copy) {
		free(map->data);
	} else if (map->data != NULL) {
		munmap(map->data, map->len);
	}
}

static enum status read_head(const struct map *map, uint64_t number, struct redo_head *out,
	struct error *err)
{
	struct redo_head head = {0};
	const enum status status = map->data == NULL || map->len < REDO_HEAD_BYTES
					   ? STATUS_CORRUPT
					   : redo_head_read(map->data, &head);
	if (status == STATUS_CORRUPT || head.number != number) {
		return error_set(err, STATUS_CORRUPT, "log: '%s' has no head of its own",
			map->path);
	}
	if (status == STATUS_UNSUPPORTED) {
		return redo_head_refuse(&head, map->path, err);
	}
	*out = head;
	return STATUS_OK;
}

/* At `offset` stands a bad frame, which had to be frame `sequence`. Says whether a good frame
 * follows that was written only after the bad one had been synced. Rows can be made to look like
 * frames, and so many of them that to compare all with their checksums would take days. When there
 * are too many, *in_doubt is set. */
static bool has_later_frame(const struct map *map, uint64_t salt, size_t offset, uint64_t sequence,
	bool *in_doubt)
{
	struct frame_head head;
	uint64_t hashed = 0;
	*in_doubt = false;
	for (size_t at = offset + FRAME_ALIGN; at + FRAME_HEAD_BYTES <= map->len;
		at += FRAME_ALIGN) {
		const size_t left = map->len - at;
		if (!frame_may_be(map->data + at, left, &head) || head.first <= sequence ||
			head.sequence - sequence > (at - offset) / FRAME_BYTES_MIN) {
			continue;
		}
		hashed += head.bytes;
		if (hashed / HASHED_MAX > map->len) {
			*in_doubt = true;
			return false;
		}
		if (frame_check(map->data + at, left, salt, &head) == STATUS_OK) {
			return true;
		}
	}
	return false;
}

static enum status read_frames(const struct redo_options *options, const struct map *map,
	struct redo_read *out, struct error *err)
{
	const struct redo_head *head = &out->head;
	uint64_t tail_first = 0; /* `first` of the frames at `tail` */
	out->bytes = out->tail = REDO_HEAD_BYTES;
	while (out->bytes < map->len) {
		struct frame_head frame;
		const uint8_t *data = map->data + out->bytes;
		enum status status = frame_check(data, map->len - out->bytes, head->salt, &frame);
		if (status == STATUS_UNSUPPORTED) {
			return error_set(err, status,
				"log: '%s' at %" PRIu64 ": a frame of a newer format", map->path,
				out->bytes);
		}
		if (status != STATUS_OK) {
			out->torn = true;
			return STATUS_OK;
		}
		assert(frame.bytes <= map->len - out->bytes);
		if (frame.sequence != out->next_sequence) {
			return error_set(err, STATUS_CORRUPT,
				"log: '%s' at %" PRIu64 ": frame %" PRIu64 ", expected %" PRIu64,
				map->path, out->bytes, frame.sequence, out->next_sequence);
		}
		if (frame.first != tail_first) {
			tail_first = frame.first;
			out->tail = out->bytes;
		}
		status = options->on_frame == NULL
				 ? STATUS_OK
				 : options->on_frame(options->on_frame_arg, data, &frame, err);
		if (status != STATUS_OK) {
			return error_set(err, status, "log: '%s' at %" PRIu64 ": %s", map->path,
				out->bytes, err == NULL ? "" : err->text);
		}
		out->bytes += frame.bytes;
		out->next_sequence++;
	}
	return STATUS_OK;
}

/* Decides whether what follows the last good frame may be cut off. */
static enum status check_torn(const struct map *map, bool is_last, const struct redo_read *read,
	struct error *err)
{
	bool in_doubt = false;
	if (!is_last || has_later_frame(map, read->head.salt, read->bytes, read->next_sequence,
				&in_doubt)) {
		return error_set(err, STATUS_CORRUPT,
			"log: '%s' is damaged at %" PRIu64
			": what follows was written after it had been synced",
			map->path, read->bytes);
	}
	/* Acknowledged writes are not cut off on a guess. */
	return in_doubt ? error_set(err, STATUS_CORRUPT,
				  "log: '%s' is damaged at %" PRIu64
				  ": too much of what follows looks like writes to tell whether "
				  "some are",
				  map->path, read->bytes)
			: STATUS_OK;
}

static enum status read_map(const struct redo_options *options, uint64_t expected, bool is_last,
	struct map *map, struct redo_read *out, struct error *err)
{
	if (expected != 0 && out->head.first_sequence != expected) {
		return error_set(err, STATUS_CORRUPT,
			"log: '%s' begins at frame %" PRIu64 ", expected %" PRIu64
			": a file is missing, or of another folder",
			map->path, out->head.first_sequence, expected);
	}
	out->next_sequence = out->head.first_sequence;
	enum status status = read_frames(options, map, out, err);
	if (status == STATUS_OK && out->torn) {
		status = check_torn(map, is_last, out, err);
	}
	if (status == STATUS_OK && atomic_load(&map->damaged) != 0) {
		status = error_set(err, STATUS_IO, "log: '%s' cannot be read", map->path);
	}
	return status;
}

enum status redo_file_read(const struct redo_options *options, uint64_t number, uint64_t expected,
	bool is_last, struct redo_read *out, struct error *err)
{
	char name[32];
	char path[PATH_MAX];
	redo_file_name(name, sizeof name, number);
	enum status status = file_path(path, options->folder, name, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct map map = {.path = path, .is_copy = options->may_be_cut};
	*out = (struct redo_read){0};
	status = map_file(&map, err);
	if (status == STATUS_OK) {
		status = read_head(&map, number, &out->head, err);
		/* It was being created when the process or the machine ended. A file that the
		 * catalog names is no such file: its head was synced before. */
		if (status == STATUS_CORRUPT && is_last && map.len <= REDO_HEAD_BYTES &&
			number != options->first_file) {
			status = STATUS_AGAIN;
		}
	}
	if (status == STATUS_OK) {
		status = read_map(options, expected, is_last, &map, out, err);
	}
	unmap_file(&map);
	return status;
}

/* ---- settle ---- */

enum status redo_file_settle(int fd, const struct redo_read *read, struct error *err)
{
	assert(read->tail >= REDO_HEAD_BYTES);
	assert(read->tail <= read->bytes);
	const size_t len = (size_t)(read->bytes - read->tail);
	uint8_t *tail = malloc(len + 1);
	if (tail == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "log: its last %zu bytes", len);
	}
	enum status status = file_read_at(fd, tail, len, read->tail);
	if (status == STATUS_OK && ftruncate(fd, (off_t)read->bytes) != 0) {
		status = status_of_errno(errno);
	}
	if (status == STATUS_OK) {
		status = file_write_at(fd, tail, len, read->tail);
	}
	if (status == STATUS_OK && fdatasync(fd) != 0) {
		status = STATUS_IO;
	}
	free(tail);
	return status == STATUS_OK
		       ? status
		       : error_set(err, status, "log: file %" PRIu64 " cannot be written again: %s",
				 read->head.number, strerror(errno));
}
