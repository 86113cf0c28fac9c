/* side.h - the calls that one peer is to be sent, and those that it owes an answer.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_ASYNC_SIDE_H
#define CLIENT_ASYNC_SIDE_H

#include "client/async/async.h"

/* Puts a call at the end of the queue. */
void side_queue(rep_async *async, enum async_peer which, struct async_call *call);

/* Takes a call out of the queue if nothing of it was sent. */
void side_unqueue(rep_async *async, enum async_peer which, struct async_call *call);

/* Sends, or receives, what goes without waiting; connects first if there is something to be sent. */
void side_send(rep_async *async, enum async_peer which, int64_t now_us);
void side_receive(rep_async *async, enum async_peer which, int64_t now_us);

/* Gives the connection up. Reads that it owes go back into its queue, writes end. */
void side_lose(rep_async *async, enum async_peer which, const struct error *error, int64_t now_us);

#endif
