/* slow.h - tells of requests that took long, and of those that failed by the daemon's fault.
 *
 * Both get a line of the journal, a few in a second at most; the slow ones are kept in the slow log, too. Nothing of it
 * costs a request anything that is neither.
 *
 * Threads: that of the session's loop for slow_tell; any after method_thread_begin for the others.
 */
#ifndef DAEMON_NET_SLOW_H
#define DAEMON_NET_SLOW_H

#include "schema/status.h"
#include "schema/wire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct method;
struct net;
struct session;
struct slow_entry;

enum {
	/* Of a request that runs in a lane so much is kept when its message is freed: the names stand
	 * before the keys and rows. */
	SLOW_HEAD_BYTES = 320,
	SLOW_LINES = 10, /* in a second */
};

/* Lines that may be very many. Zeroed, none was told. */
struct slow_lines {
	_Atomic uint64_t second; /* of the monotonic clock */
	atomic_uint told;        /* in it */
	_Atomic uint64_t untold; /* since the line before */
};

/* A request that was answered. Times are of uv_hrtime. */
struct slow_request {
	const struct session *session;
	const struct method *method;
	enum status status;
	struct wire_bytes message;        /* or its beginning */
	const struct slow_entry *subject; /* what it was about; NULL: the message says it */
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t total_ns;
	uint64_t queued_ns;
	uint64_t work_ns;
};

/* Is it the daemon, or the machine, that is to blame? */
bool slow_is_fault(enum status status);

/* Is there anything to tell of it? */
bool slow_wants(const struct net *net, uint64_t total_ns, enum status status);

/* What a request is about, of its whole message: free() it. NULL: no memory. */
struct slow_entry *slow_subject_new(struct net *net, struct wire_bytes message);

/* Tells of a request of which there is something to tell. */
void slow_tell(struct net *net, const struct slow_request *request);

#endif
