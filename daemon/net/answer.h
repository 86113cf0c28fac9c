/* answer.h - one request's bytes in, one reply's bytes out.
 *
 * The one place where a method is run, whichever thread that is on.
 *
 * Threads: any after method_thread_begin.
 */
#ifndef DAEMON_NET_ANSWER_H
#define DAEMON_NET_ANSWER_H

#include "daemon/net/budget.h"
#include "schema/rpc_head.h"

#include <stdatomic.h>
#include <stdint.h>

enum {
	/* A reply up to this size is always kept, so that errors and figures are told when replies
	 * hold all their memory; a larger one reserves its size first. A connection has 64 in
	 * flight. */
	ANSWER_FREE_BYTES = 4 << 10,
};

struct method;
struct service;
struct write_ticket;

/* What is asked. */
struct question {
	struct service *service;     /* borrowed */
	const struct method *method; /* borrowed */
	struct rpc_head head;
	struct wire_bytes message; /* borrowed: all of it, as wire_skim passed it */
	/* Of struct call, for what leaves the loop. */
	const atomic_bool *gone;
	const atomic_bool *cut;
	uint64_t waited_ms;
};

/* Parses, runs, and appends the reply to `out`: a result, or the error that is returned.
 * To a notification nothing is written. `ticket` is that of struct call, to be passed to
 * method_write_then whatever is returned; NULL on a loop, where nothing may block.
 *
 * Errors: AGAIN  run it again in the pool; nothing was written. All others were answered,
 * unless out->status says that there was no memory even for that. */
enum status answer_run(const struct question *question, struct write_ticket **ticket,
	struct wire_writer *out);

/* Replaces what `out` holds beyond `start` by an error; nothing for a notification. */
void answer_error(const struct rpc_head *head, const struct error *err, struct wire_writer *out,
	size_t start);

/* Reserves the memory of a large reply that stands in `out` beyond `start`, and says how
 * much; where that is refused the reply becomes BUSY. Not for what has changed something. */
enum status answer_reserve(struct budget *replies, const struct rpc_head *head,
	struct wire_writer *out, size_t start, size_t *reserved);

#endif
