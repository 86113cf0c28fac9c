/* redo_follow.c - reads files of the log by blocks, and hands their frames out. */
#include "daemon/store/log/redo_follow.h"

#include "daemon/store/log/redo_file.h"
#include "daemon/store/system/bytes.h"
#include "daemon/store/system/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* So much is read at once; more for a frame that is larger. */
enum { BLOCK_BYTES = 1 << 20 };

/* Where the size of a frame stands in its head. */
enum { AT_FRAME_BYTES = 4 };

/* AGAIN: it is not whole yet; then the file is no longer than it. */
static enum status read_head(int fd, uint64_t file, struct redo_head *head)
{
	uint8_t data[REDO_HEAD_BYTES];
	struct stat before;
	if (fstat(fd, &before) != 0) {
		return STATUS_IO;
	}
	enum status status = file_read_at(fd, data, sizeof data, 0);
	if (status == STATUS_OK) {
		status = redo_head_read(data, head);
	}
	if (status == STATUS_OK && head->number != file) {
		status = STATUS_CORRUPT;
	}
	return status == STATUS_CORRUPT && before.st_size <= REDO_HEAD_BYTES ? STATUS_AGAIN
									     : status;
}

enum status redo_follow_begin(struct redo_follow *follow, uint64_t file, struct error *err)
{
	char name[32];
	char path[PATH_MAX];
	struct redo_head head = {0};
	redo_file_name(name, sizeof name, file);
	enum status status = file_path(path, follow->folder, name, err);
	if (status != STATUS_OK) {
		return status;
	}
	const int fd = file_open(path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0) {
		return error_set(err, status_of_errno(errno), "open '%s': %s", path,
			file_reason(errno));
	}
	status = read_head(fd, file, &head);
	if (status != STATUS_OK) {
		close(fd);
		return status == STATUS_UNSUPPORTED
			       ? redo_head_refuse(&head, path, err)
			       : error_set(err, status,
					 "log: '%s' has no head that this build can read", path);
	}
	redo_follow_pause(follow);
	if (follow->file != 0) {
		close(follow->fd);
	}
	follow->file = file;
	follow->fd = fd;
	follow->at = REDO_HEAD_BYTES;
	follow->salt = head.salt;
	follow->next_sequence = head.first_sequence;
	return STATUS_OK;
}

/* Reads on until `wanted` bytes from `at` on are there, or no more are to be had. */
static enum status fill(struct redo_follow *follow, size_t wanted, uint64_t limit)
{
	const size_t block = wanted < BLOCK_BYTES ? BLOCK_BYTES : wanted;
	const uint64_t left = limit > follow->at ? limit - follow->at : 0;
	const size_t most = left < block ? (size_t)left : block;
	if (follow->from > 0) {
		memmove(follow->data, follow->data + follow->from, follow->len);
		follow->from = 0;
	}
	if (most > follow->cap) {
		uint8_t *grown = realloc(follow->data, most);
		if (grown == NULL) {
			return STATUS_NO_MEMORY;
		}
		follow->data = grown;
		follow->cap = most;
	}
	while (follow->len < most) {
		const ssize_t n = pread(follow->fd, follow->data + follow->len, most - follow->len,
			(off_t)(follow->at + follow->len));
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return STATUS_IO;
		}
		if (n == 0) {
			break;
		}
		follow->len += (size_t)n;
	}
	return STATUS_OK;
}

/* Has the whole frame in memory, if there is one. */
static enum status read_frame(struct redo_follow *follow, uint64_t limit)
{
	enum status status = STATUS_OK;
	if (follow->len < FRAME_HEAD_BYTES) {
		status = fill(follow, FRAME_HEAD_BYTES, limit);
	}
	if (status == STATUS_OK && follow->len < FRAME_HEAD_BYTES) {
		return STATUS_AGAIN;
	}
	if (status != STATUS_OK) {
		return status;
	}
	const size_t bytes = bytes_get_u32(follow->data + follow->from + AT_FRAME_BYTES);
	const uint64_t left = limit > follow->at ? limit - follow->at : 0;
	if (bytes < FRAME_HEAD_BYTES || bytes > left || bytes > (size_t)INT32_MAX) {
		return STATUS_AGAIN;
	}
	if (follow->len < bytes) {
		/* A size that is none must not take memory: so many bytes have to be in the file. */
		struct stat about;
		if (fstat(follow->fd, &about) != 0) {
			return STATUS_IO;
		}
		if ((uint64_t)about.st_size < follow->at + bytes) {
			return STATUS_AGAIN;
		}
		status = fill(follow, bytes, limit);
	}
	return status == STATUS_OK && follow->len < bytes ? STATUS_AGAIN : status;
}

enum status redo_follow_next(struct redo_follow *follow, uint64_t limit, const uint8_t **data,
	struct frame_head *head, struct error *err)
{
	assert(follow->file != 0);
	enum status status = read_frame(follow, limit);
	const uint8_t *frame = follow->data + follow->from;
	if (status == STATUS_OK) {
		status = frame_check(frame, follow->len, follow->salt, head);
		status = status == STATUS_CORRUPT ? STATUS_AGAIN : status;
	}
	if (status == STATUS_OK && head->sequence != follow->next_sequence) {
		status = STATUS_CORRUPT;
	}
	if (status != STATUS_OK) {
		return error_set(err, status,
			"log: file %" PRIu64 " at %" PRIu64 ": frame %" PRIu64 ": %s", follow->file,
			follow->at, follow->next_sequence, status_name(status));
	}
	*data = frame;
	follow->from += head->bytes;
	follow->len -= head->bytes;
	follow->at += head->bytes;
	follow->next_sequence++;
	return STATUS_OK;
}

bool redo_follow_has_rest(const struct redo_follow *follow)
{
	struct stat about;
	return fstat(follow->fd, &about) == 0 && (uint64_t)about.st_size > follow->at;
}

void redo_follow_pause(struct redo_follow *follow)
{
	follow->from = 0;
	follow->len = 0;
}

void redo_follow_end(struct redo_follow *follow)
{
	if (follow->file != 0) {
		close(follow->fd);
	}
	free(follow->data);
	*follow = (struct redo_follow){.folder = follow->folder};
}
