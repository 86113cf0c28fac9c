/* method.h - the table of methods.
 *
 * A method reads its params, does its work and writes its result, all in run().
 * It never writes to a socket, frees the call or waits for another one; its place
 * says on which thread run() is called.
 *
 * Threads: method_thread_begin before a thread's first run(), method_thread_end
 * after its last.
 */
#ifndef DAEMON_METHOD_METHOD_H
#define DAEMON_METHOD_METHOD_H

#include "daemon/method/call.h"

#include <stddef.h>

enum method_place {
	METHOD_INLINE, /* on the loop that read it; STATUS_AGAIN: once more, in the pool */
	METHOD_POOL,   /* a pool thread; may block */
	METHOD_SEARCH, /* as METHOD_INLINE, but once more in the search lane, where peers take turns
			*/
	METHOD_ADMIN,  /* the admin thread: changes of the catalog, one at a time */
	METHOD_SEAL,   /* a thread of its own, one at a time: takes as long as it takes */
	METHOD_MERGE,  /* as METHOD_SEAL */
	METHOD_LOAD,   /* the load lane: in order of arrival; answered after method_load_sync */
	METHOD_WRITE,  /* the write lane: in order of arrival; answered when call.ticket is settled
			*/
};

struct method {
	const char *name;
	enum method_place place;
	enum status (*run)(struct call *call);
	const char *const *names; /* that its params may have, NULL-terminated */
};

/* Whether nothing is lost when it is not run, or when its answer is not told. */
static inline bool method_is_read(const struct method *method)
{
	return method->place <= METHOD_SEARCH;
}

extern const struct method method_table[];
extern const size_t method_count;

/* NULL when there is none. */
const struct method *method_find(const char *name, size_t len);

/* The load lane calls this after the run()s of a group, and before it answers any of
 * them. After a failure every call of the group is answered with the error. */
enum status method_load_sync(struct service *service, struct error *err);
/* Whether the group should end now, because enough waits. */
bool method_load_is_full(struct service *service);

/* Calls `done` once, from here or from another thread, when a write is durable or has failed. */
void method_write_then(struct write_ticket *ticket,
	void (*done)(void *arg, enum status status, const struct error *err), void *arg);

void method_thread_begin(void);
void method_thread_end(void);

#endif
