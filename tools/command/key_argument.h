/* key_argument.h - keys as they are written on a command line.
 *
 * A key of a u64 table is decimal; one of bytes is written as it is, or as hex:0a1b.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_KEY_ARGUMENT_H
#define TOOLS_COMMAND_KEY_ARGUMENT_H

#include "tools/command/options.h"
#include "tools/format/buffer.h"

/* Adds all of them, packed. EXIT_DONE, or EXIT_USAGE or EXIT_REFUSED after saying what
 * is wrong. */
int key_argument_pack(const struct session *session, enum rep_key_type type,
	const struct rest *keys, struct buffer *out);

#endif
