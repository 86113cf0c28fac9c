/* method.h - the table of methods, and what one call is given.
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

#include "schema/status.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct service;

enum method_place {
	METHOD_INLINE, /* on the loop that read it; STATUS_AGAIN: once more, in the pool */
	METHOD_POOL,   /* a pool thread; may block */
	METHOD_ADMIN,  /* the admin thread: changes of the catalog, one at a time */
	METHOD_SEAL,   /* a thread of its own, one at a time: takes as long as it takes */
	METHOD_WRITE,  /* the write lane: in order of arrival; answered after method_write_sync */
};

struct call {
	struct service *service;  /* borrowed */
	struct wire_value params; /* a map, or absent */
	struct wire_writer *out;  /* run() writes one value: the result */
	bool may_block;           /* false on a loop */
	struct error error;       /* filled by a run() that fails */
};

struct method {
	const char *name;
	enum method_place place;
	enum status (*run)(struct call *call);
};

extern const struct method method_table[];
extern const size_t method_count;

/* NULL when there is none. */
const struct method *method_find(const char *name, size_t len);

/* The write lane calls this after the run()s of a group, and before it answers any of
 * them. After a failure every call of the group is answered with the error. */
enum status method_write_sync(struct service *service, struct error *err);
/* Whether the group should end now, because enough waits. */
bool method_write_is_full(struct service *service);

void method_thread_begin(void);
void method_thread_end(void);

#endif
