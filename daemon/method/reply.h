/* reply.h - the entries of a result map, and the end of a result.
 *
 * Threads: one at a time a call.
 */
#ifndef DAEMON_METHOD_REPLY_H
#define DAEMON_METHOD_REPLY_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;
struct wire_writer;

void reply_str(struct wire_writer *out, const char *name, const char *value);
void reply_uint(struct wire_writer *out, const char *name, uint64_t value);
void reply_int(struct wire_writer *out, const char *name, int64_t value);
void reply_flag(struct wire_writer *out, const char *name, bool value);
void reply_bin(struct wire_writer *out, const char *name, const void *data, size_t len);

/* What run() returns when it has written all: OK, or what the writer met. */
enum status reply_end(struct call *call);

#endif
