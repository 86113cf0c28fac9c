/* slow_subject.h - what a slow request was about, for its entry in the slow log.
 *
 * Threads: any after method_thread_begin.
 */
#ifndef DAEMON_METHOD_CALL_SLOW_SUBJECT_H
#define DAEMON_METHOD_CALL_SLOW_SUBJECT_H

#include "daemon/method/call/slow_log.h"
#include "schema/wire.h"

#include <stddef.h>

struct service;

/* Copies text that a peer chose, NUL-terminated: bytes that are not printable ASCII, quotes and backslashes
 * become \xNN. What has no room is left out. */
void slow_text(char *out, size_t cap, struct wire_bytes text);

/* Fills release, layer, tables, table_count, keys and trace by the message, which may be cut behind its
 * beginning. A request that names no release gets the live one, if it names a table. */
void slow_subject_read(struct slow_entry *entry, struct service *service,
	struct wire_bytes message);

/* The name that a hello says; "": none. */
void slow_client_read(char out[LIMIT_CLIENT_BYTES + 1], struct wire_bytes message);

#endif
