/* redo_copy.c - measures a log file up to a sequence, frame by frame. */
#include "daemon/store/log/redo_copy.h"

#include "daemon/store/log/frame.h"
#include "daemon/store/log/redo_file.h"
#include "daemon/store/system/bytes.h"
#include "daemon/store/system/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Where the size of a frame stands in its head. */
enum { AT_FRAME_BYTES = 4 };

/* A frame in memory, which grows with the largest one. */
struct buffer {
	uint8_t *data; /* owned */
	size_t capacity;
};

static enum status make_room(struct buffer *buffer, size_t len)
{
	if (len > buffer->capacity) {
		uint8_t *grown = realloc(buffer->data, len);
		if (grown == NULL) {
			return STATUS_NO_MEMORY;
		}
		buffer->data = grown;
		buffer->capacity = len;
	}
	return STATUS_OK;
}

/* Reads the frame at `at`, of which `left` bytes are in the file, and compares it with its checksum. */
static enum status read_frame(int fd, uint64_t at, uint64_t left, uint64_t salt,
	struct buffer *buffer, struct frame_head *head)
{
	enum status status = make_room(buffer, FRAME_HEAD_BYTES);
	if (status != STATUS_OK || left < FRAME_HEAD_BYTES) {
		return status == STATUS_OK ? STATUS_CORRUPT : status;
	}
	status = file_read_at(fd, buffer->data, FRAME_HEAD_BYTES, at);
	const uint64_t bytes =
		status == STATUS_OK ? bytes_get_u32(buffer->data + AT_FRAME_BYTES) : 0;
	if (status == STATUS_OK && (bytes < FRAME_HEAD_BYTES || bytes > left)) {
		status = STATUS_CORRUPT;
	}
	if (status == STATUS_OK) {
		status = make_room(buffer, bytes);
	}
	if (status == STATUS_OK) {
		status = file_read_at(fd, buffer->data, bytes, at);
	}
	return status == STATUS_OK ? frame_check(buffer->data, bytes, salt, head) : status;
}

enum status redo_measure(int fd, const char *name, uint64_t last, struct redo_piece *out,
	struct error *err)
{
	struct stat about;
	struct redo_head head;
	struct buffer buffer = {0};
	uint8_t data[REDO_HEAD_BYTES];
	if (fstat(fd, &about) != 0) {
		return error_set(err, STATUS_IO, "log: '%s': %s", name, strerror(errno));
	}
	const uint64_t size = (uint64_t)about.st_size;
	enum status status = file_read_at(fd, data, sizeof data, 0);
	if (status == STATUS_OK) {
		status = redo_head_read(data, &head);
	}
	if (status != STATUS_OK) {
		return error_set(err, status, "log: '%s' has no head of its own: %s", name,
			status_name(status));
	}
	struct redo_piece piece = {
		.number = head.number,
		.first_sequence = head.first_sequence,
		.next_sequence = head.first_sequence,
		.bytes = REDO_HEAD_BYTES,
	};
	while (piece.bytes < size && piece.next_sequence <= last) {
		struct frame_head frame;
		status =
			read_frame(fd, piece.bytes, size - piece.bytes, head.salt, &buffer, &frame);
		if (status == STATUS_OK && frame.sequence != piece.next_sequence) {
			status = STATUS_CORRUPT;
		}
		if (status != STATUS_OK) {
			error_set(err, status, "log: '%s' at %" PRIu64 ": frame %" PRIu64 ": %s",
				name, piece.bytes, piece.next_sequence, status_name(status));
			break;
		}
		piece.bytes += frame.bytes;
		piece.next_sequence++;
	}
	free(buffer.data);
	piece.is_whole = piece.bytes == size;
	*out = piece;
	return status;
}
