/* dispatch.h - finds the method that a message names, and runs it here or sends it to a lane.
 *
 * Threads: the session's loop.
 */
#ifndef DAEMON_NET_DISPATCH_H
#define DAEMON_NET_DISPATCH_H

#include "daemon/net/read_buffer.h"
#include "daemon/net/session.h"

enum {
	/* The memory that msgpack-c uses for one element, with a share of its chunks. */
	DISPATCH_ELEMENT_BYTES = 32,
};

/* Either runs the session's message and appends the reply to loop->reply, or sends the message to
 * a lane. In both cases the message has left the read buffer afterwards.
 *
 * Errors: BUSY, NO_MEMORY  the message is still in the read buffer: call again when there may be
 *                          memory
 *         PROTOCOL         the message does not say whom to answer, so the stream is broken */
enum status dispatch(struct session *session, const struct read_message *message);

/* Answers the message in the read buffer with an error; the message need not be whole. False: its
 * head does not say whom to answer. */
bool dispatch_refuse(struct session *session, enum status status);

#endif
