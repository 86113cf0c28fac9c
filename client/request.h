/* request.h - a request that is being written, whoever sends it.
 *
 *   request_begin -> [the caller writes the params, and may set a tail] -> request_check -> sent
 *
 * What the public calls ask is written into one of these (fetch.h, write.h, search.h), so that the client
 * that waits and the one that does not ask in the same words.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include "schema/limits.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed, with the first three set, it is ready. */
struct request {
	uint32_t msgid;      /* what the sender's answer is known by */
	unsigned timeout_ms; /* how long the sender waits for it; 0: without end */
	bool can_limit;      /* the daemon takes timeout_ms */
	bool can_trace;      /* the daemon takes trace */
	/* What the requests that are begun belong to; "": nothing. */
	char trace[LIMIT_TRACE_BYTES + 1];
	unsigned needs;            /* features that the daemon must have, of enum hello_feature */
	struct wire_writer writer; /* reused */
	/* Borrowed; sent behind what was written, which ends with the head of a bin of this length. */
	struct wire_bytes tail;
};

void request_fini(struct request *request);

/* Each begins a request, which has no tail until the caller gives it one.
 *
 *   request_begin         the caller writes so many fields of the params into the writer returned; the
 *                         daemon is told with them when to stop: a bit before the sender does, but
 *                         for a change that has begun
 *   request_begin_search  the same for retrieve and score, which always have a limit
 *   request_begin_long    the same without a limit
 *   request_begin_raw     the caller writes the map of the params, and request_write_common into it what
 *                         the others write by themselves, but for the limit */
struct wire_writer *request_begin(struct request *request, const char *method, size_t fields);
struct wire_writer *request_begin_search(struct request *request, const char *method,
	size_t fields);
struct wire_writer *request_begin_long(struct request *request, const char *method, size_t fields);
struct wire_writer *request_begin_raw(struct request *request, const char *method);
size_t request_common_fields(const struct request *request);
void request_write_common(struct request *request);

/* Errors: BAD_REQUEST  it is too long. NULL is "". */
enum status request_set_trace(struct request *request, const char *trace, struct error *err);

/* Writes an entry `name` whose value is a bin, and makes `bytes` the tail: they are not copied. */
void request_write_tail(struct request *request, const char *name, struct wire_bytes bytes);

/* Whether all was written. Errors: TOO_LARGE, NO_MEMORY. */
enum status request_check(const struct request *request, struct error *err);

#endif
