/* closing.h - why a connection is refused, and why one is closed that its peer would have kept.
 *
 * Peers at TLS that do not show who they are have reasons of their own: enum tls_refusal.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_NET_CLOSING_H
#define DAEMON_NET_CLOSING_H

/* What keeps a peer out. */
enum refusal {
	REFUSAL_MAX_CONNECTIONS,
	REFUSAL_USER_CONNECTIONS,
	REFUSAL_NO_ROLE,    /* users without one have a part of max_connections */
	REFUSAL_HANDSHAKES, /* more come than their handshakes can be begun */
	REFUSAL_NO_DESCRIPTORS,
	REFUSAL_NO_MEMORY,
	REFUSAL_COUNT,
};

enum closing {
	CLOSING_IDLE,      /* it has asked nothing for idle_timeout */
	CLOSING_HALF_SENT, /* a request was half sent for request_timeout */
	CLOSING_UNREAD,    /* its answers were read slower than least_rate */
	CLOSING_MESSAGE,   /* what it sent is no message, or a longer one than it may send */
	CLOSING_NO_MEMORY, /* there was none for its request, or for the answer */
	CLOSING_COUNT,
};

/* The words for them in the journal, in `stats` and in labels. */
const char *refusal_name(enum refusal refusal);
const char *closing_name(enum closing closing);

#endif
