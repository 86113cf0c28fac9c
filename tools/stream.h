/* stream.h - bytes of a file or of standard input, in pieces that the caller bounds.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_STREAM_H
#define TOOLS_STREAM_H

#include "schema/status.h"
#include "tools/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream {
	const char *name; /* for errors; borrowed */
	int fd;
	bool ended;
	struct buffer buffer; /* [at, len) not taken yet */
	size_t at;
	uint64_t taken; /* bytes, since the beginning */
	uint64_t size;  /* of a regular file; else 0 */
};

/* path "-" is standard input. Errors: those of the system. */
enum status stream_open(const char *path, struct stream *out, struct error *err);
void stream_close(struct stream *stream);

/* Reads more behind what is there; sets `ended` when there is no more. Errors: IO, NO_MEMORY. */
enum status stream_more(struct stream *stream, struct error *err);

static inline const uint8_t *stream_data(const struct stream *stream)
{
	return stream->buffer.data != NULL ? stream->buffer.data + stream->at : NULL;
}

static inline size_t stream_len(const struct stream *stream)
{
	return stream->buffer.len - stream->at;
}

void stream_take(struct stream *stream, size_t len);

#endif
