/* method.h - the method table.
 *
 * A method reads its params, does its work and writes its result, all in run(). It never writes to
 * a socket, never frees the call and never waits for another call. Its place says which thread
 * calls run().
 *
 * Threads: a thread calls method_thread_begin before its first run() and method_thread_end after
 * its last.
 */
#ifndef DAEMON_METHOD_CALL_METHOD_H
#define DAEMON_METHOD_CALL_METHOD_H

#include "daemon/access/role.h"
#include "daemon/method/call/call.h"

#include <stddef.h>

enum method_place {
	/* On the loop that read the request. If run() returns STATUS_AGAIN, it is called again, in
	 * the pool. */
	METHOD_INLINE,
	METHOD_POOL, /* on a pool thread; run() may block */
	/* As METHOD_INLINE, but the second call is in the search lane. */
	METHOD_SEARCH,
	/* On a thread for the operator, where no request of others is before it. */
	METHOD_OPERATOR,
	METHOD_ROLLBACK, /* as METHOD_OPERATOR, but it changes something */
	METHOD_PUBLISH,  /* as METHOD_SEAL */
	METHOD_ADMIN,    /* on the admin thread, one call at a time: changes of the catalog */
	METHOD_SEAL,     /* on a thread of its own, one call at a time, however long that takes */
	METHOD_MERGE,    /* as METHOD_SEAL */
	METHOD_BACKUP,   /* as METHOD_SEAL */
	METHOD_VERIFY,   /* as METHOD_SEAL */
	METHOD_LOAD, /* in the load lane, those of a connection in order; answered after method_load_sync */
	/* In the write lane, those of a connection in order; answered when call.ticket is
	 * settled. */
	METHOD_WRITE,
};

struct method {
	const char *name;
	enum method_place place;
	enum role role; /* that a peer must have to call it */
	enum status (*run)(struct call *call);
	const char *const *names; /* that its params may have, NULL-terminated */
};

/* Is it harmless not to run the method, or not to send its answer? */
static inline bool method_is_read(const struct method *method)
{
	return method->place <= METHOD_OPERATOR;
}

/* May the method be answered BUSY where others have kept it waiting? Those that read rows; not those by which
 * somebody finds out what is going on. */
static inline bool method_may_be_busy(const struct method *method)
{
	return method->role == ROLE_READ && method_is_read(method) &&
	       method->place != METHOD_OPERATOR;
}

/* How long a call may wait and run if its params do not say; 0: for any time. */
uint64_t method_timeout_ms(const struct method *method);

/* Runs the method, within the `timeout_ms` of its params, which every method takes: it becomes
 * call->stop.timeout_ms. Errors: BAD_REQUEST  a wrong timeout_ms; else those of run(). */
enum status method_run(const struct method *method, struct call *call);

extern const struct method method_table[];
extern const size_t method_count;

/* NULL when there is none. */
const struct method *method_find(const char *name, size_t len);

/* The load lane calls this after the run()s of a group of calls, and before it answers any of
 * them. If it fails, every call of the group is answered with the error. */
enum status method_load_sync(struct service *service, struct error *err);
/* Should the group end now, because enough bytes wait for the sync? */
bool method_load_is_full(struct service *service);

/* Are the bounds near at which all writes wait? Any thread; takes no lock. */
bool method_write_is_crowded(struct service *service);

/* Calls `done` once, when the write is durable or has failed: on this thread before it returns, or
 * later on another thread. */
void method_write_then(struct write_ticket *ticket,
	void (*done)(void *arg, enum status status, const struct error *err), void *arg);

void method_thread_begin(void);
void method_thread_end(void);

#endif
