/* stream.h - the bytes of a file or of standard input; the caller says when to read more.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_FORMAT_STREAM_H
#define TOOLS_FORMAT_STREAM_H

#include "schema/status.h"
#include "tools/format/buffer.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream {
	const char *name; /* for errors; borrowed */
	int fd;
	bool ended;
	struct buffer buffer; /* [at, len) were read and not taken yet */
	size_t at;
	uint64_t taken; /* bytes taken since the beginning */
	bool regular;   /* a file, and no pipe or terminal */
	uint64_t size;  /* of a regular file when it was opened; else 0 */
};

/* path "-" is standard input. Errors: those of the system. */
enum status stream_open(const char *path, struct stream *out, struct error *err);
void stream_close(struct stream *stream);

/* Reads more bytes behind those that are there. Sets `ended` when there are no more.
 * Errors: IO, NO_MEMORY; BAD_REQUEST  a file has become shorter; CLOSED  interrupt_seen(). */
enum status stream_more(struct stream *stream, struct error *err);

/* Whether stream_more returns without waiting, at once or within some milliseconds: bytes have
 * come, or the end. */
bool stream_is_ready(const struct stream *stream, int wait_ms);

static inline const uint8_t *stream_data(const struct stream *stream)
{
	return stream->buffer.data != NULL ? stream->buffer.data + stream->at : NULL;
}

static inline size_t stream_len(const struct stream *stream)
{
	assert(stream->at <= stream->buffer.len);
	return stream->buffer.len - stream->at;
}

/* Takes `len` bytes off the front; len <= stream_len. */
void stream_take(struct stream *stream, size_t len);

#endif
