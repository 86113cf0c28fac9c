/* net_fixture.h - a real server over methods of the test, and peers that talk to it.
 *
 * The server's main loop has a thread of its own; peers block, with a limit.
 */
#ifndef TESTS_UNIT_NET_NET_FIXTURE_H
#define TESTS_UNIT_NET_NET_FIXTURE_H

#include "daemon/access/role.h"
#include "daemon/net/server.h"
#include "schema/rpc.h"

#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What the methods do, and what they have seen; a test sets it before it calls.
 *
 *   ping    INLINE  {}            -> {}, for anybody; put, write, seal want the role write, admin its own, the others
 *                                    read
 *   bytes   INLINE  {n: uint}     -> bin of n bytes
 *   burn    INLINE  {n: uint}     uses n us of CPU time -> {}
 *   crowd   INLINE  {}            -> whether others had much of its turn, so that it left the loop
 *   heavy   POOL    {n: uint}     -> bin of n bytes
 *   again   INLINE  {}            -> true, but only where it may block
 *   fail    INLINE  {}            writes something, then NOT_FOUND
 *   starve  INLINE  {}            NOT_FOUND, and the loop's next allocation is refused
 *   gate    POOL    {}            waits until `gate` is posted, -> {}
 *   write   LOAD    {n: uint}     -> n; n = 0 is BAD_REQUEST
 *   put     WRITE   {n: uint}     the same
 *   search  SEARCH  {n: uint}     -> n, where it may block, after `gate` was posted
 *   admin   ADMIN   {}            -> {}
 *   operate OPERATOR {}           -> {}
 *   seal    SEAL    {}            -> {}
 */
enum { NET_STUB_SEARCHES = 32 };
struct net_stub {
	sem_t gate;
	atomic_uint gate_entered;
	atomic_bool sync_fails;
	atomic_bool crowded; /* for writes */
	atomic_uint syncs;
	atomic_uint writes;
	atomic_uint pings;
	atomic_uint burns;            /* that have begun */
	_Atomic uint64_t write_order; /* the last n; out_of_order once one was not larger */
	atomic_bool out_of_order;
	atomic_uint search_numbers;
	atomic_uint last_tid;     /* the thread of the last `gate` or `search` */
	atomic_uint search_count; /* that have begun; searches: the n of each */
	_Atomic uint64_t searches[NET_STUB_SEARCHES];
};
extern struct net_stub net_stub;

struct net_fixture {
	uv_loop_t uv;
	uv_async_t stop;
	pthread_t thread;
	struct server *server;
	char folder[32];
	char path[64];
	struct sockaddr_in tcp; /* the other address */
	bool stop_asked;
	atomic_uint events;
};

struct net_fixture_options {
	unsigned workers;          /* 0: 1 */
	unsigned max_connections;  /* 0: 64 */
	unsigned user_connections; /* 0: as many */
	unsigned in_flight;        /* 0: 64 */
	size_t connection_reply;   /* 0: 256 KiB */
	unsigned queue_ms;         /* 0: any */
	unsigned idle_ms;          /* 0: never */
	unsigned timeout_ms;       /* 0: never */
	unsigned grace_ms;         /* 0: 5000 */
	size_t request_memory;     /* 0: 256 MiB */
	size_t reply_memory;       /* 0: 256 MiB */
	unsigned search_waiting;   /* 0: 4 */
	unsigned spare;            /* threads */
	size_t least_rate;         /* bytes a second; 0: none */
	bool tcp_denied;           /* peers at TCP have no role; else they are admin */
};

void net_fixture_open(struct net_fixture *fixture, const struct net_fixture_options *options);
/* From now on peers at TCP have this role. */
void net_fixture_allow_tcp(enum role role);
/* Asks it to stop. */
void net_fixture_stop(struct net_fixture *fixture);
/* Stops it if need be, and requires that nothing was left open. */
void net_fixture_close(struct net_fixture *fixture);
/* The figure of `stats`, such as "memory", "requests". */
uint64_t net_fixture_figure(struct net_fixture *fixture, const char *group, const char *name);
/* The figure of one loop: an entry of an array. */
uint64_t net_fixture_figure_of(struct net_fixture *fixture, const char *group, const char *name,
	unsigned loop);
/* Waits until it has this value. */
void net_fixture_await(struct net_fixture *fixture, const char *group, const char *name,
	uint64_t figure);

struct peer {
	int fd;
	uint8_t *data; /* owned */
	size_t len;
	size_t cap;
	struct wire_message *message; /* owned: the last reply */
	size_t taken;                 /* its bytes */
};

void peer_open(struct peer *peer, const struct net_fixture *fixture);
/* The same over TCP, whose peers count as another user. */
void peer_open_tcp(struct peer *peer, const struct net_fixture *fixture);
void peer_close(struct peer *peer);
void peer_send(struct peer *peer, const void *data, size_t len);
/* [0, msgid, method, [{n: n}]] */
void peer_ask(struct peer *peer, uint32_t msgid, const char *method, uint64_t n);
/* [0, msgid, method, [{n: n, timeout_ms: timeout_ms}]] */
void peer_ask_within(struct peer *peer, uint32_t msgid, const char *method, uint64_t n,
	uint64_t timeout_ms);
/* The next reply; its values live until the next call. False: the connection was closed. */
bool peer_answer(struct peer *peer, struct rpc_envelope *out);
/* The next reply is to `msgid`, and OK. */
void peer_expect_ok(struct peer *peer, uint32_t msgid);
/* The next reply is an error to `msgid`. */
void peer_expect_error(struct peer *peer, uint32_t msgid, enum status status);
void peer_expect_end(struct peer *peer);
/* Returns when the peer's loop has seen all that had happened before. */
void peer_turn_loop(struct peer *peer);

#endif
