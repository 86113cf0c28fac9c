/* sender.h - replies out: at once if the socket takes them, else queued in libuv.
 *
 * Threads: the session's loop.
 */
#ifndef DAEMON_NET_SENDER_H
#define DAEMON_NET_SENDER_H

#include "daemon/net/session.h"

enum {
	/* Replies of one turn that are sent together. */
	SENDER_FLUSH_BYTES = 256 << 10,
	/* A loop's reply buffer is kept up to this size: no page is asked for again. */
	SENDER_KEEP_BYTES = 4 << 20,
};

/* Sends what `out` holds and leaves it empty; its memory is taken if some has to wait.
 * `reserved` bytes go back to the reply budget once all is sent. A session that cannot be
 * written to is closed. */
void sender_send(struct session *session, struct wire_writer *out, size_t reserved);

/* Sends the replies that were made on the loop. */
void sender_flush(struct session *session);

#endif
