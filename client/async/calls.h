/* calls.h - the slots of calls: taken, ended, and free again.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_ASYNC_CALLS_H
#define CLIENT_ASYNC_CALLS_H

#include "client/async/async.h"

/* A free slot, which becomes a call. Errors: BUSY, NO_MEMORY. */
enum status calls_new(rep_async *async, struct async_call **out, struct error *err);

/* The call of a ticket; NULL: there is none, or its result was taken. */
struct async_call *calls_find(const rep_async *async, uint64_t ticket);

/* The call that a message of the wire answers; NULL: none. */
struct async_call *calls_of_msgid(const rep_async *async, uint32_t msgid);

/* The call is over: rep_async_next hands it out. answer: NULL where `status` is an error. */
void calls_end(rep_async *async, struct async_call *call, enum status status,
	const struct wire_bytes *answer);

/* Lets go of an answer. */
void calls_drop_answer(rep_async *async, struct async_call *call);

/* Frees the slot of a call if nobody needs it any more. */
void calls_free_if_done(rep_async *async, struct async_call *call);

void calls_fini(rep_async *async);

#endif
