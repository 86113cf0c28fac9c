/* read_buffer.h - the bytes that a peer has sent and that no request has taken yet.
 *
 *   [0, at) taken   [at, len) to parse   [len, cap) free
 *
 * It starts small and grows to what the message at `at` is known to need; what it has
 * beyond its base is reserved from a budget that all connections share. A big message
 * begins at 0 and is read into its place, so that it can be given away with the buffer.
 *
 * Threads: one at a time. Knows no socket.
 */
#ifndef DAEMON_NET_READ_BUFFER_H
#define DAEMON_NET_READ_BUFFER_H

#include "daemon/net/budget.h"
#include "schema/wire.h"

enum {
	/* A fetch of LIMIT_INLINE_ROWS packed u64 keys, 32 KiB, fits. */
	READ_BUFFER_BASE_BYTES = 64 << 10,
	/* Beyond what a message needs: its last small fields arrive without growing again. */
	READ_BUFFER_SLACK_BYTES = 4 << 10,
	/* One read is one system call that copies this much at most. */
	READ_BUFFER_READ_BYTES = 256 << 10,
};

struct read_buffer {
	struct budget *budget; /* borrowed */
	uint8_t *data;         /* owned; NULL while there is nothing in it */
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

/* What has left the buffer and is owned by who asked for it. */
struct read_taken {
	uint8_t *data; /* malloc'ed */
	size_t len;
	size_t charged; /* to give back to the budget */
};

/* Gives back what the budget lent. */
void read_buffer_fini(struct read_buffer *buffer);

/* An idle buffer needs no memory: *spare, of READ_BUFFER_BASE_BYTES or NULL, goes from one to the
 * next. `borrow` takes it if the buffer has none; `rest` gives it back if nothing is left
 * in it, or frees it if there is a spare one already. */
void read_buffer_borrow(struct read_buffer *buffer, uint8_t **spare);
void read_buffer_rest(struct read_buffer *buffer, uint8_t **spare);

/* Where the next bytes belong, and how many. Not while a whole message waits.
 * Errors: BUSY  the budget has no room now; NO_MEMORY. */
enum status read_buffer_space(struct read_buffer *buffer, uint8_t **out, size_t *len);

/* `count` bytes were put there. */
void read_buffer_filled(struct read_buffer *buffer, size_t count);

/* The message at hand, again and again until it is done or taken.
 * Errors: AGAIN  it is not whole; PROTOCOL, TOO_LARGE  as wire_skim. */
enum status read_buffer_next(struct read_buffer *buffer, struct read_message *out);

/* Bytes of a message that is not whole. */
size_t read_buffer_partial(const struct read_buffer *buffer);

/* The message is done with. */
void read_buffer_done(struct read_buffer *buffer);

/* Hands the message over: with the buffer itself if it is big, else copied. `extra` more
 * bytes are reserved, for what the message will cost beside itself.
 * Errors, after which the message is still there: BUSY, NO_MEMORY. */
enum status read_buffer_take(struct read_buffer *buffer, size_t extra, struct read_taken *out);

#endif
