/* put.h - systems that take the same rows under the same keys, and say when they have them.
 *
 * A request is written out beforehand, but for its number, its keys and the first elements of its
 * rows: those are put into place each time. So the client costs little beside what it measures.
 */
#ifndef TESTS_BENCH_DRIVER_PUT_H
#define TESTS_BENCH_DRIVER_PUT_H

#include "tests/bench/driver/measure.h"
#include "tests/bench/peer/peer.h"

#include <stdbool.h>

struct stream;

enum { PUT_ROWS_MAX = 4096 };

struct put_request {
	const struct put_kind *kind;
	uint8_t *data; /* owned */
	size_t len;
	size_t keys_at;
	size_t keys_step; /* bytes from one to the next */
	size_t rows_at;
	size_t rows_step;
	size_t others_at; /* of samples: the items, side by side, as `keys` are their users */
	size_t times_at;  /* of samples: i64, side by side */
	uint32_t rows;
	uint32_t number;
};

struct put_answer {
	uint32_t number; /* of the request; 0: not said */
	uint32_t rows;   /* that were applied; 0: not said */
	bool busy;       /* nothing was: it is to be sent again */
};

struct put_kind {
	const char *name;
	/* Fills data, len, and where things are; keys and rows need not be there. */
	void (*write)(struct put_request *request);
	/* Puts request->number into place; NULL: answers come in order. */
	void (*set_number)(struct put_request *request);
	/* The bytes of the answer that begins at `data`; 0 while more are needed. Dies if it is
	 * not one that acknowledges. */
	size_t (*read_answer)(const uint8_t *data, size_t len, struct put_answer *out);
	const struct peer_kind *reader; /* of what was put; NULL: it cannot be asked */
};

extern const struct put_kind put_repstored; /* put, acknowledged when it is synced */
extern const struct put_kind put_samples;   /* observe into layer "fm", likewise */
extern const struct put_kind put_redis;     /* MSET */
extern const struct put_kind put_floor;     /* bench_floor.c */

/* A request of so many rows, 1..PUT_ROWS_MAX; `rows` are those that it has but for their first
 * elements. */
void put_request_init(struct put_request *request, const struct put_kind *kind, uint32_t count,
	const uint8_t *rows);
void put_request_fini(struct put_request *request);
void put_request_set_number(struct put_request *request, uint32_t number);
static inline uint8_t *put_request_key(const struct put_request *request, uint32_t i)
{
	return request->data + request->keys_at + i * request->keys_step;
}
static inline uint8_t *put_request_row(const struct put_request *request, uint32_t i)
{
	return request->data + request->rows_at + i * request->rows_step;
}
/* Dies unless `answer` is that of a request with this number and so many rows. */
void put_answer_check(const struct put_kind *kind, const struct put_answer *answer, uint32_t number,
	uint32_t rows);

/* Sends a request over a connection of its own, and waits until it is acknowledged. */
void put_call(struct stream *stream, const struct put_request *request);

/* Redis, which must write a log, syncs it at each write from now on. */
void redis_sync_always(const char *address);

/* What the bare append is sent: this, the keys, the rows. It answers with the same. */
struct floor_head {
	uint32_t bytes; /* of the request with its head */
	uint32_t number;
	uint32_t rows;
	uint32_t zero;
};

#endif
