/* dispatch.h - one message of a session: which method, and where it runs.
 *
 * Threads: the session's loop.
 */
#ifndef DAEMON_NET_DISPATCH_H
#define DAEMON_NET_DISPATCH_H

#include "daemon/net/read_buffer.h"
#include "daemon/net/session.h"

/* Runs the session's message here, its reply added to loop->reply, or sends it to a lane; in
 * both cases it is gone from the read buffer.
 *
 * Errors: BUSY, NO_MEMORY  the message is still there, until there is memory;
 *         PROTOCOL         nobody can be answered: the stream is broken. */
enum status dispatch(struct session *session, const struct read_message *message);

/* Answers the message that is in the read buffer, whole or not, with an error. False: its head
 * does not say whom. */
bool dispatch_refuse(struct session *session, enum status status);

#endif
