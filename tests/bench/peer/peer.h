/* peer.h - systems that hold the same rows under the same keys, asked the same questions.
 *
 * A peer is one connection over a Unix socket. What its client library would do is written out
 * here with care: requests are built beforehand where the protocol allows it, values are found
 * in the stream as it arrives and copied once, into the caller's rows. So a system is
 * measured, not a wrapper of it.
 */
#ifndef TESTS_BENCH_PEER_PEER_H
#define TESTS_BENCH_PEER_PEER_H

#include "tests/bench/driver/measure.h"

struct peer;

struct peer_kind {
	const char *name;
	/* `address`: of its socket. `rows`: what the peer shall answer; for those that hold no
	 * rows of their own. Both are borrowed, and so are the questions. */
	struct peer *(
		*open)(const char *address, const struct questions *questions, const uint8_t *rows);
	/* Asks question `request` and puts its rows into `out`, one a key, in order. */
	void (*fetch)(struct peer *peer, size_t request, uint8_t *out);
	void (*close)(struct peer *peer);
	enum { PEER_ANSWERS, PEER_ECHOES } rows; /* PEER_ECHOES: `out` stays as it is */
};

extern const struct peer_kind peer_repstored;      /* librepstore */
extern const struct peer_kind peer_local;          /* librepstore-local; address: the folder */
extern const struct peer_kind peer_lmdb;           /* in process; address: a folder of lmdb_fill */
extern const struct peer_kind peer_redis;          /* MGET; GET of one key */
extern const struct peer_kind peer_memcached_text; /* get k1 k2 ... */
extern const struct peer_kind peer_memcached;      /* binary protocol: quiet gets, a no-op */
extern const struct peer_kind peer_limit;          /* a bare process: copies rows, writes */
extern const struct peer_kind peer_plain_limit;    /* the same without prefetching */
extern const struct peer_kind peer_echo;           /* the same without looking at a row */
extern const struct peer_kind peer_memcpy;         /* in process */
extern const struct peer_kind peer_plain_memcpy;   /* the same without prefetching */

/* Bytes of a bare request and answer beside the keys and rows: about those of repstored. */
enum { LIMIT_REQUEST_EXTRA = 64, LIMIT_REPLY_EXTRA = 96 };

/* Put rows 0 to count - 1 in. */
void redis_fill(const char *address, const uint8_t *rows, size_t count);
void memcached_fill(const char *address, const uint8_t *rows, size_t count);
void lmdb_fill(const char *folder, const uint8_t *rows, size_t count);

#endif
