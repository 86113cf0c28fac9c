/* session_tls.h - a session's bytes on their way through TLS: records of the socket into its read buffer, and
 * replies into records.
 *
 * What the socket brings stands in the loop's memory while it is read. What cannot be read yet, since the
 * session is full or there is no memory for a request, is copied: at most TLS_PIECE_BYTES, since nothing
 * more is read from the socket before. With the records of a piece that waits to be sent a connection so
 * holds 128 KiB at most beyond what a plain one holds.
 *
 * Threads: the session's loop.
 */
#ifndef DAEMON_NET_SESSION_TLS_H
#define DAEMON_NET_SESSION_TLS_H

#include "daemon/net/session.h"
#include "tls/tls.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* What a loop needs to read and send records. */
enum { SESSION_TLS_LOOP_BYTES = 2 * TLS_SEALED_BYTES };

/* Where the socket's next records go. */
uv_buf_t session_tls_space(const struct session *session);

/* So many of their bytes have come. */
void session_tls_filled(struct session *session, size_t count);

/* Opens some records into the read buffer, which has no whole message. OK: it has more now.
 * Errors: AGAIN  no record has come; BUSY, NO_MEMORY  the read buffer cannot grow; CLOSED  the session
 * was closed, since the peer may be here no longer, or has broken the stream. */
enum status session_tls_open_some(struct session *session);

/* To be called when the session leaves the loop to others: copies what is not read yet. */
void session_tls_rest(struct session *session);

/* Where replies are sealed: TLS_SEALED_BYTES. */
uint8_t *session_tls_records(const struct session *session);

/* Tells the peer that nothing more is sent, or why the session ends, if the socket takes that now. */
void session_tls_say_end(struct session *session);

#endif
