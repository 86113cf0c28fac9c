/* read_buffer.h - the bytes that a peer has sent and that no request has taken yet.
 *
 *   [0, at) taken   [at, len) to parse   [len, cap) free
 *
 * The buffer starts at its base size, and grows as bytes come: what a message announces and does not
 * send takes no memory. A buffer of more than the base takes its size from a budget that all
 * connections share. A big message begins at 0, so the request that takes it takes the whole buffer,
 * without a copy.
 *
 * Threads: one at a time. Knows no socket.
 */
#ifndef DAEMON_NET_READ_BUFFER_H
#define DAEMON_NET_READ_BUFFER_H

#include "daemon/net/budget.h"
#include "schema/wire.h"

enum {
	/* The base. A fetch of 4,096 packed u64 keys, 32 KiB, fits. */
	READ_BUFFER_BASE_BYTES = 64 << 10,
	/* At the end a buffer has this much more than its message is known to need. So the last
	 * small fields of the message do not make it grow again. */
	READ_BUFFER_SLACK_BYTES = 4 << 10,
	/* One system call reads at most this much. */
	READ_BUFFER_READ_BYTES = 256 << 10,
};

struct read_buffer {
	struct budget_holder *holder; /* borrowed */
	uint8_t *data;                /* owned; NULL while cap is 0 */
	size_t at;
	size_t len;
	size_t cap;
	struct wire_skim skim; /* of the message at `at` */
	bool whole;            /* the skim has passed all of it */
};

struct read_message {
	const uint8_t *data; /* borrowed: valid until the next call */
	size_t len;
	uint32_t elements;
};

/* A message that has left the buffer. Its taker owns it. */
struct read_taken {
	uint8_t *data; /* malloc'ed */
	size_t len;
	size_t charged; /* its owner gives so much back to the budget */
};

/* Frees the buffer, and gives back what it took from the budget. */
void read_buffer_fini(struct read_buffer *buffer);

/* A buffer with nothing in it needs no memory. So *spare, which is NULL or has
 * READ_BUFFER_BASE_BYTES, goes from buffer to buffer. `borrow` takes *spare if the buffer has no
 * memory. `rest` puts the memory of an empty buffer into *spare, or frees it if *spare is there
 * already. */
void read_buffer_borrow(struct read_buffer *buffer, uint8_t **spare);
void read_buffer_rest(struct read_buffer *buffer, uint8_t **spare);

/* Where to put the next bytes, and how many; at least one. Not to be called while a whole message
 * is in the buffer.
 * Errors: BUSY  the budget has no room now; NO_MEMORY. */
enum status read_buffer_space(struct read_buffer *buffer, uint8_t **out, size_t *len);

/* `count` bytes were put where read_buffer_space said. */
void read_buffer_filled(struct read_buffer *buffer, size_t count);

/* The first message of the buffer. It stays the first until it is done or taken.
 * Errors: AGAIN  it is not whole; PROTOCOL, TOO_LARGE  as wire_skim. */
enum status read_buffer_next(struct read_buffer *buffer, struct read_message *out);

/* How many bytes there are of a message that is not whole. */
size_t read_buffer_partial(const struct read_buffer *buffer);

/* Drops the whole message that read_buffer_next has returned. */
void read_buffer_done(struct read_buffer *buffer);

/* Hands over the whole message that read_buffer_next has returned. A big message goes with the
 * buffer itself; another is copied. Takes `extra` more bytes from the budget, for the memory that
 * the message will need besides its own bytes.
 * Errors, after which the message is still in the buffer: BUSY, NO_MEMORY. */
enum status read_buffer_take(struct read_buffer *buffer, size_t extra, struct read_taken *out);

#endif
