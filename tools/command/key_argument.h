/* key_argument.h - keys as they are written on a command line.
 *
 * A u64 key is decimal. A key of bytes is written as it is, or as hex:0a1b.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_KEY_ARGUMENT_H
#define TOOLS_COMMAND_KEY_ARGUMENT_H

#include "schema/limits.h"
#include "tools/command/options.h"
#include "tools/format/buffer.h"

/* Adds all keys, packed. Returns EXIT_DONE; or EXIT_USAGE or EXIT_REFUSED, after it has
 * said what is wrong. */
int key_argument_pack(const struct session *session, enum rep_key_type type,
	const struct rest *keys, struct buffer *out);

/* A key of bytes as it is typed: the bytes where they are plain UTF-8, else hex:0a1b. */
enum { KEY_ARGUMENT_BYTES = 4 + 2 * LIMIT_KEY_BYTES + 1 };
const char *key_argument_text(const uint8_t *key, size_t len, char text[KEY_ARGUMENT_BYTES]);

#endif
