/* buffer.h - bytes that grow, and a file that is mapped.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_FORMAT_BUFFER_H
#define TOOLS_FORMAT_BUFFER_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

/* A zeroed one is empty. */
struct buffer {
	uint8_t *data; /* owned */
	size_t len;
	size_t cap;
};

void buffer_fini(struct buffer *buffer);
/* Makes room for `len` more bytes and returns where they go. The caller fills them and adds as many
 * as it filled to buffer->len. NULL: no memory. */
void *buffer_room(struct buffer *buffer, size_t len);
/* Errors: NO_MEMORY. */
enum status buffer_add(struct buffer *buffer, const void *data, size_t len);
/* Adds f32 values, at any alignment, as f64. Errors: NO_MEMORY. */
enum status buffer_add_widened(struct buffer *buffer, const void *values, size_t count);

/* A whole file, read-only; an empty one has no address. */
struct mapping {
	const uint8_t *data;
	size_t len;
};

/* Errors: those of the system, naming the path. */
enum status mapping_open(const char *path, struct mapping *out, struct error *err);
void mapping_close(struct mapping *mapping);
/* Whether a file that is mapped was cut meanwhile: what was behind its end reads as zeros then, so
 * this is asked before anything that was read is used. Errors: BAD_REQUEST, naming the path. */
enum status mapping_check(struct error *err);

#endif
