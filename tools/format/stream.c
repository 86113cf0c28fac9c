/* stream.c - reads a file or standard input piece by piece. */
#include "tools/format/stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 20 };

enum status stream_open(const char *path, struct stream *out, struct error *err)
{
	bool standard = strcmp(path, "-") == 0;
	*out = (struct stream){.name = standard ? "standard input" : path, .fd = STDIN_FILENO};
	if (standard) {
		return STATUS_OK;
	}
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return error_set(err, status_of_errno(errno), "open '%s': %s", path,
			strerror(errno));
	}
	out->fd = fd;
	struct stat info;
	if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
		out->size = (uint64_t)info.st_size;
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
	ssize_t n = 0;
	do {
		n = read(stream->fd, room, READ_BYTES);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		return error_set(err, STATUS_IO, "read '%s': %s", stream->name, strerror(errno));
	}
	stream->ended = n == 0;
	buffer->len += (size_t)n;
	return STATUS_OK;
}

void stream_take(struct stream *stream, size_t len)
{
	assert(len <= stream_len(stream));
	stream->at += len;
	stream->taken += len;
}
