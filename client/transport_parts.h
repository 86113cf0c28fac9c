/* transport_parts.h - what sending and receiving have in common. For transport*.c alone.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_TRANSPORT_PARTS_H
#define CLIENT_TRANSPORT_PARTS_H

#include "client/transport.h"

/* Room for each recv; with less, a large answer takes too many calls. */
#define TRANSPORT_ROOM_MIN ((size_t)64 << 10)

/* Where bytes are received to. */
struct transport_space {
	uint8_t *at;
	size_t room;
	size_t missing; /* so many are known to come */
};

/* Whoever sends or receives has connected before. */
void transport_check_connected(const struct transport *transport);

/* Makes the buffer large enough for `missing` bytes more. */
enum status transport_make_room(struct transport *transport, size_t missing, struct error *err);

/* The ways of a peer in this process. Send errors: TOO_LARGE, NO_MEMORY; receive errors: those of its call. */
enum status transport_embedded_send(struct transport *transport, const struct iovec *parts,
	size_t count, struct error *err);
enum status transport_embedded_receive(struct transport *transport, int64_t deadline_ms,
	struct wire_bytes *message, struct error *err);

/* One recv into `space`, of which `n` came. AGAIN: nothing has come, because of MSG_DONTWAIT, the
 * socket's time-out or a signal. */
enum status transport_receive_at(struct transport *transport, const struct transport_space *space,
	int flags, size_t *n, struct error *err);

/* Errors: CLOSED  whoever waits shall not go on. */
enum status transport_check_interrupted(struct transport *transport, struct error *err);

/* How long one system call waits of the time that is left; 0: without end. */
int64_t transport_slice_ms(const struct transport *transport, int64_t left);

/* The same as poll takes it. */
int transport_poll_ms(int64_t left);

#endif
