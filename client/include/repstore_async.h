/* repstore_async.h - the client for programs that run an event loop: libuv, epoll, asio, asyncio.
 *
 * Nothing here waits. There is one descriptor, which stays the same as long as the client
 * lives; poll it for reading with whatever the program polls with. When it is readable, call
 * rep_async_step, and then rep_async_next for each call that has ended:
 *
 *     rep_async *async = NULL;
 *     rep_async_open(NULL, NULL, &async, &err);
 *     ... poll rep_async_fd(async) for reading ...
 *
 *     uint64_t ticket;
 *     rep_async_fetch(async, NULL, &part, 1, &ticket, &err);      a call begins
 *
 *     rep_async_step(async);                                      the descriptor is readable
 *     while (rep_async_next(async, &ticket))
 *             rep_async_fetched(async, ticket, &part, 1, NULL, &err);
 *
 * Calls are known by tickets, which are never 0 and never used twice. They end in any order; writes are
 * applied in the order in which they were begun. What a call was given is copied when it returns.
 * Connecting and connecting again go on in steps too: calls may begin at once. When a connection is lost,
 * reads are sent again over the next one, writes end with REP_CLOSED, and it is not known
 * whether they were done.
 *
 * Threads: a client is used by one thread at a time; there is no global state, no callback, no thread and
 * no signal. After a fork the child closes the descriptor's client without using it.
 * Memory and errors: as repstore.h says. A call that could not begin leaves no ticket.
 */
#ifndef CLIENT_INCLUDE_REPSTORE_ASYNC_H
#define CLIENT_INCLUDE_REPSTORE_ASYNC_H

#include "repstore.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rep_async rep_async;

struct rep_async_options {
	/* Reads that wait for longer than 95 of 100 of them did are sent to this daemon as well, and the
	 * first answer counts, but for an error of the second. It must serve the same releases. NULL: none. */
	const char *hedge;
	/* At most this part of all reads is asked twice; that of 2,560 reads is saved up. 0: 0.05 */
	double hedge_share;
	unsigned hedge_floor_us; /* none before it has waited so long; 0: 200 */
	size_t send_bytes;       /* requests that wait to be sent, in all; 0: 64 MiB */
	uint64_t reserved[8];
};

/* Opens a client and begins to connect; both options may be NULL. Only a host's name takes time: it is
 * looked up here. Of the first, connect_timeout_ms is also how long a call waits for a connection.
 * Errors: BAD_REQUEST  no such address; IO, NO_MEMORY. A daemon that does not answer is none: the calls
 * say so. */
REP_API enum rep_status rep_async_open(const struct rep_options *options,
	const struct rep_async_options *more, rep_async **out, struct rep_error *err);
/* Calls that are under way end without a word. NULL is fine. */
REP_API void rep_async_close(rep_async *async);

/* The descriptor. It is the client's: poll it for reading, and do nothing else with it. */
REP_API int rep_async_fd(const rep_async *async);

/* Sends and receives what goes without waiting, connects, and ends calls whose time is over. To be called
 * when the descriptor is readable; at other times it does no harm. */
REP_API void rep_async_step(rep_async *async);

/* How long calls that begin from now on wait for an answer; 0: without end. The daemon is told a
 * sixteenth less, and gives up by then, unless a change has begun. At first it is that of the options. */
REP_API void rep_async_set_timeout(rep_async *async, unsigned timeout_ms);

/* What calls that begin from now on belong to, as rep_set_trace; with UNSUPPORTED, where nobody knew yet that
 * the daemon is too old for it. */
REP_API enum rep_status rep_async_set_trace(rep_async *async, const char *trace,
	struct rep_error *err);

/* ---- calls begin ---- */

/* Each is as the call of the same name of repstore.h, and gives a ticket.
 * Errors: BAD_REQUEST, TOO_LARGE  as there; BUSY  65,536 calls are under way, or send_bytes wait to be
 * sent; CLOSED  the connection was lost, with no_reconnect; NO_MEMORY. */
REP_API enum rep_status rep_async_fetch(rep_async *async, const char *release,
	const struct rep_part *parts, size_t count, uint64_t *ticket, struct rep_error *err);
REP_API enum rep_status rep_async_put(rep_async *async, const char *release, const char *table,
	const struct rep_rows *rows, uint64_t *ticket, struct rep_error *err);
REP_API enum rep_status rep_async_put_parts(rep_async *async, const char *release,
	const struct rep_put_part *parts, size_t count, uint64_t *ticket, struct rep_error *err);
REP_API enum rep_status rep_async_delete(rep_async *async, const char *release, const char *table,
	struct rep_keys keys, uint64_t *ticket, struct rep_error *err);
REP_API enum rep_status rep_async_observe(rep_async *async, const char *release,
	const struct rep_samples *samples, uint64_t *ticket, struct rep_error *err);
REP_API enum rep_status rep_async_append(rep_async *async, const char *release,
	const struct rep_vectors *vectors, uint64_t *ticket, struct rep_error *err);
REP_API enum rep_status rep_async_retrieve(rep_async *async, const char *release,
	const struct rep_retrieval *asked, uint64_t *ticket, struct rep_error *err);
REP_API enum rep_status rep_async_score(rep_async *async, const char *release,
	const struct rep_scoring *scoring, uint64_t *ticket, struct rep_error *err);
/* Any method, as rep_call. */
REP_API enum rep_status rep_async_call(rep_async *async, const char *method, const void *params,
	size_t params_len, uint64_t *ticket, struct rep_error *err);

/* ---- calls end ---- */

/* A call that has ended, in the order in which they did; false: no other has. */
REP_API bool rep_async_next(rep_async *async, uint64_t *ticket);

/* Each takes the result of a call of its kind that has ended, and the ticket is gone. They fill what the
 * call of repstore.h fills; `parts`, `asked` and `scoring` must say what was asked. Where there is
 * too little room for the rows rep_async_fetched returns REP_TOO_LARGE, fills the shapes, and may be called
 * again, or the call cancelled; a TOO_LARGE that the daemon answered fills no stride, and the ticket is gone.
 * Errors: those of the call; TIMEOUT; CLOSED  and it is not known whether a write was done; IO  there was
 * no connection in time, so nothing was done; BAD_REQUEST  also where the ticket is of no call of this
 * kind that has ended, and then nothing is taken. */
REP_API enum rep_status rep_async_fetched(rep_async *async, uint64_t ticket, struct rep_part *parts,
	size_t count, struct rep_fetched *out, struct rep_error *err);
/* Of put, put_parts, delete, observe and append. */
REP_API enum rep_status rep_async_written(rep_async *async, uint64_t ticket,
	struct rep_written *out, struct rep_error *err);
REP_API enum rep_status rep_async_retrieved(rep_async *async, uint64_t ticket,
	const struct rep_retrieval *asked, struct rep_retrieved *out, struct rep_error *err);
REP_API enum rep_status rep_async_scored(rep_async *async, uint64_t ticket,
	const struct rep_scoring *scoring, struct rep_fetched *out, struct rep_error *err);
REP_API enum rep_status rep_async_called(rep_async *async, uint64_t ticket, void **result,
	size_t *result_len, struct rep_error *err);

/* Nobody will ask for the result of a call. If it was not sent yet, it is not sent; if it was, the
 * daemon may do it all the same, and the answer is thrown away. An unknown ticket is passed over. */
REP_API void rep_async_cancel(rep_async *async, uint64_t ticket);

struct rep_async_counters {
	uint64_t calls;     /* begun */
	uint64_t under_way; /* now; or ended and not taken; or given up and still owed an answer */
	uint64_t late;   /* answers to calls that were given up, or answered by the other daemon */
	uint64_t losses; /* of a connection to a daemon, hedges apart */
	uint64_t hedges; /* reads that a second daemon was asked */
	uint64_t hedges_won; /* those that it answered first */
	uint64_t reserved[8];
};
REP_API void rep_async_count(const rep_async *async, struct rep_async_counters *out);

#ifdef __cplusplus
}
#endif

#endif
