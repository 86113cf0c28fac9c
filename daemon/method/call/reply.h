/* reply.h - writes the entries of a result map, and ends a result.
 *
 * Threads: one at a time for each call.
 */
#ifndef DAEMON_METHOD_CALL_REPLY_H
#define DAEMON_METHOD_CALL_REPLY_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;
struct wire_writer;

void reply_str(struct wire_writer *out, const char *name, const char *value);
/* A text that may hold any bytes: what is not UTF-8 of it is written as '?'. */
void reply_text(struct wire_writer *out, const char *name, const char *value);
void reply_text_item(struct wire_writer *out, const char *value); /* of an array */
void reply_uint(struct wire_writer *out, const char *name, uint64_t value);
void reply_int(struct wire_writer *out, const char *name, int64_t value);
void reply_flag(struct wire_writer *out, const char *name, bool value);
void reply_bin(struct wire_writer *out, const char *name, const void *data, size_t len);

/* A run() that has written its whole result returns this: OK, or the error that the writer met. */
enum status reply_end(struct call *call);

#endif
