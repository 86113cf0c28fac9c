/* sender.h - sends replies: at once if the socket takes them; what it does not take waits.
 *
 * Threads: the session's loop.
 */
#ifndef DAEMON_NET_SENDER_H
#define DAEMON_NET_SENDER_H

#include "daemon/net/session.h"

enum {
	/* The replies of one turn are sent together. When there are so many bytes of them, they are
	 * sent before the turn ends. */
	SENDER_FLUSH_BYTES = 256 << 10,
	/* One system call sends no more. A peer that reads while the kernel copies makes room for all of
	 * a reply, and 32 MiB took 19 ms; others wait for a piece only. It is small because many sessions
	 * may send one in the same turn: with 2 MiB a turn took 13 ms, with this 3 ms. */
	SENDER_PIECE_BYTES = 512 << 10,
	/* Behind what was sent so much is copied, rather than that its whole buffer is kept. */
	SENDER_COPY_BYTES = 64 << 10,
	/* A loop keeps its reply buffer up to this size, so that the kernel need not give it fresh
	 * pages for each reply. A larger buffer is freed. */
	SENDER_KEEP_BYTES = 4 << 20,
};

/* Sends what `out` holds, and leaves `out` empty. If a part has to wait, the memory of `out` may be
 * taken for it. Gives `reserved` bytes back to the reply budget once all is sent, or the connection
 * is closed. Closes the session if it cannot be written to. */
void sender_send(struct session *session, struct wire_writer *out, size_t reserved);

/* Sends the replies that were made on the loop, and so leaves loop->reply empty. */
void sender_flush(struct session *session);

/* Frees a piece of the replies that were not sent since their connections have closed. False: none is
 * left. */
bool sender_free_some(struct loop *loop);

#endif
