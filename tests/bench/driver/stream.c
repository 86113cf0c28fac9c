/* stream.c - a blocking Unix socket with a buffer for what arrives. */
#include "tests/bench/driver/stream.h"

#include "tests/bench/driver/measure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { STREAM_BYTES = 1 << 20, SOCKET_BUFFER_BYTES = 4 << 20 };

void socket_set_buffers(int fd)
{
	const int bytes = SOCKET_BUFFER_BYTES; /* the kernel cuts it */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

void stream_of_fd(struct stream *stream, int fd)
{
	socket_set_buffers(fd);
	*stream = (struct stream){.fd = fd, .cap = STREAM_BYTES};
	stream->data = allocate(STREAM_BYTES);
}

void stream_open(struct stream *stream, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path) {
		die("'%s' is too long for a socket", path);
	}
	memcpy(address.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
		die("connect to '%s': %s", path, strerror(errno));
	}
	stream_of_fd(stream, fd);
}

pid_t stream_peer(const char *path)
{
	struct stream stream;
	struct ucred peer;
	socklen_t len = sizeof peer;
	stream_open(&stream, path);
	if (getsockopt(stream.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
		die("'%s' does not say who listens: %s", path, strerror(errno));
	}
	stream_close(&stream);
	return peer.pid;
}

void stream_close(struct stream *stream)
{
	if (stream->data != NULL) {
		close(stream->fd);
		free(stream->data);
		*stream = (struct stream){.fd = -1};
	}
}

void stream_send(struct stream *stream, const void *data, size_t len)
{
	for (size_t sent = 0; sent < len;) {
		ssize_t n =
			send(stream->fd, (const uint8_t *)data + sent, len - sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR) {
			die("send: %s", strerror(errno));
		}
		sent += n < 0 ? 0 : (size_t)n;
	}
}

static void receive(struct stream *stream)
{
	if (stream->at == stream->len) {
		stream->at = 0;
		stream->len = 0;
	} else if (stream->cap - stream->len < STREAM_BYTES / 2) {
		memmove(stream->data, stream->data + stream->at, stream->len - stream->at);
		stream->len -= stream->at;
		stream->at = 0;
	}
	ssize_t n = recv(stream->fd, stream->data + stream->len, stream->cap - stream->len, 0);
	if (n == 0 || (n < 0 && errno != EINTR)) {
		die("recv: %s", n == 0 ? "the peer closed" : strerror(errno));
	}
	stream->len += n < 0 ? 0 : (size_t)n;
}

const uint8_t *stream_need(struct stream *stream, size_t len)
{
	if (len > STREAM_BYTES / 2) {
		die("%zu bytes at once", len);
	}
	while (stream->len - stream->at < len) {
		receive(stream);
	}
	return stream->data + stream->at;
}

const char *stream_line(struct stream *stream, size_t *len)
{
	size_t looked = 0;
	for (;;) {
		const uint8_t *first = stream->data + stream->at;
		const size_t held = stream->len - stream->at;
		const uint8_t *end = memchr(first + looked, '\n', held - looked);
		if (end != NULL && end > first && end[-1] == '\r') {
			*len = (size_t)(end - first) - 1;
			stream_take(stream, *len + 2);
			return (const char *)first;
		}
		if (held > 4096) {
			die("a line without an end");
		}
		looked = end == NULL ? held : (size_t)(end - first) + 1;
		receive(stream);
	}
}
