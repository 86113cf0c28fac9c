/* stream.c - reads a file or standard input piece by piece. */
#include "tools/format/stream.h"

#include "tools/format/interrupt.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	READ_BYTES = 1 << 20,
	WAIT_MS = 200, /* how late an interrupt may be noticed that came just before a wait */
};

enum status stream_open(const char *path, struct stream *out, struct error *err)
{
	bool standard = strcmp(path, "-") == 0;
	*out = (struct stream){.name = standard ? "standard input" : path, .fd = STDIN_FILENO};
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return error_set(err, status_of_errno(errno), "open '%s': %s", path,
			strerror(errno));
	}
	out->fd = fd;
	struct stat info;
	if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
		out->regular = true;
		/* Standard input may have been read in part. */
		const off_t at = lseek(fd, 0, SEEK_CUR);
		out->size = (uint64_t)(info.st_size > at && at >= 0 ? info.st_size - at : 0);
	}
	return STATUS_OK;
}

void stream_close(struct stream *stream)
{
	if (stream->fd > STDIN_FILENO) {
		close(stream->fd);
	}
	buffer_fini(&stream->buffer);
	stream->fd = -1;
}

bool stream_is_ready(const struct stream *stream, int wait_ms)
{
	struct pollfd pollfd = {.fd = stream->fd, .events = POLLIN};
	return stream->regular || poll(&pollfd, 1, wait_ms) != 0;
}

/* Reads once, when there is something to read. */
static enum status read_some(struct stream *stream, void *room, size_t *len, struct error *err)
{
	for (;;) {
		while (!stream_is_ready(stream, WAIT_MS) && !interrupt_seen()) {
		}
		if (interrupt_seen()) {
			return error_set(err, STATUS_CLOSED, "%s: interrupted", stream->name);
		}
		const ssize_t n = read(stream->fd, room, READ_BYTES);
		if (n >= 0) {
			*len = (size_t)n;
			return STATUS_OK;
		}
		if (errno != EINTR) {
			return error_set(err, STATUS_IO, "read '%s': %s", stream->name,
				strerror(errno));
		}
	}
}

enum status stream_more(struct stream *stream, struct error *err)
{
	struct buffer *buffer = &stream->buffer;
	if (stream->at > 0) {
		memmove(buffer->data, buffer->data + stream->at, stream_len(stream));
		buffer->len -= stream->at;
		stream->at = 0;
	}
	void *room = buffer_room(buffer, READ_BYTES);
	if (room == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "%s: no memory for %zu bytes", stream->name,
			buffer->len + READ_BYTES);
	}
	size_t len = 0;
	const enum status status = read_some(stream, room, &len, err);
	if (status != STATUS_OK) {
		return status;
	}
	buffer->len += len;
	stream->ended = len == 0;
	const uint64_t read = stream->taken + stream_len(stream);
	if (stream->ended && read < stream->size) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': it was cut while it was read: it had %" PRIu64
			" bytes, and ends at %" PRIu64,
			stream->name, stream->size, read);
	}
	return STATUS_OK;
}

void stream_take(struct stream *stream, size_t len)
{
	assert(len <= stream_len(stream));
	stream->at += len;
	stream->taken += len;
}
