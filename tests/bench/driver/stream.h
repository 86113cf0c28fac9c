/* stream.h - a blocking Unix socket: everything is sent, and what arrives is kept until it
 * is taken. For the clients of peers.
 */
#ifndef TESTS_BENCH_DRIVER_STREAM_H
#define TESTS_BENCH_DRIVER_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct stream {
	int fd;
	uint8_t *data; /* owned */
	size_t at;     /* taken */
	size_t len;    /* arrived */
	size_t cap;
};

void stream_open(struct stream *stream, const char *path);
void stream_of_fd(struct stream *stream, int fd);
void stream_close(struct stream *stream);
/* The process that listens at a socket. */
pid_t stream_peer(const char *path);
/* Large buffers on both sides, as librepstore and repstored set them. */
void socket_set_buffers(int fd);

void stream_send(struct stream *stream, const void *data, size_t len);
/* Waits until at least `len` bytes can be taken; returns where they begin. They stay there
 * until the next call. */
const uint8_t *stream_need(struct stream *stream, size_t len);
static inline void stream_take(struct stream *stream, size_t len)
{
	stream->at += len;
}
/* A line without its CR LF, taken; *len is its length. */
const char *stream_line(struct stream *stream, size_t *len);

#endif
