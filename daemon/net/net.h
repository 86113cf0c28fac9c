/* net.h - what all loops, lanes and connections of one server share.
 *
 * Threads: any. The pointers do not change while the server runs; limits and budgets are atomic, and each lane has a
 * lock of its own.
 */
#ifndef DAEMON_NET_NET_H
#define DAEMON_NET_NET_H

#include "daemon/net/budget.h"
#include "daemon/net/closing.h"
#include "daemon/net/credentials.h"
#include "daemon/net/lane.h"
#include "daemon/net/slow.h"
#include "daemon/net/user.h"

#include <stdatomic.h>
#include <stdint.h>

struct access;
struct service;

/* Settings of the operator. A reload changes them, each by itself, while others read them. */
struct net_limits {
	atomic_uint max_connections;
	atomic_uint
		kept_connections; /* of these: for the daemon's own user, and at most half of them */
	atomic_uint user_connections; /* of these: for each other user; 0: as many as there are */
	atomic_uint in_flight; /* requests of one connection in lanes; beyond, it is not read */
	_Atomic size_t
		connection_reply_bytes; /* unsent replies of one connection; beyond, it is not read */
	atomic_uint
		queue_ms; /* how long a read may wait before it is BUSY instead; 0: for any time */
	atomic_uint idle_timeout_ms; /* how long a connection may ask nothing; 0: for ever */
	/* What a peer must read a second while others need the memory of its replies; 0: nothing. */
	_Atomic size_t least_rate_bytes;
	/* How long a request may stay half sent, or wait for memory. 0: for ever. */
	atomic_uint request_timeout_ms;
	atomic_uint grace_ms; /* how long requests in flight may take when the server stops */
	atomic_uint
		spin_us; /* how long a loop looks for requests before it sleeps; 0: not at all */
};

/* An event of which there may be very many: it is told now and then. Zeroed, none was told. */
struct net_rare_event {
	_Atomic uint64_t told_ms;
	atomic_uint untold;
};

/* How many lines `event=audit` were told lately that anybody can cause. */
struct net_audit {
	struct lock lock;
	uint64_t window; /* its number, from 1 on; guarded by lock, as is the rest */
	uint64_t began_ms;
	unsigned told;                            /* in this window */
	unsigned refused_told[TLS_REFUSED_COUNT]; /* the same of peers at TLS, by what was wrong */
	unsigned untold;                          /* since a line has said how many */
};

struct net {
	struct service *service; /* borrowed */
	struct access *access;   /* borrowed */
	struct net_limits limits;
	struct budget requests; /* bytes of requests, but for the base that each connection has */
	struct budget replies;  /* bytes of large replies that were not sent yet */
	struct users users;
	struct credentials credentials;
	struct lane lanes[LANE_COUNT];
	/* Tells the operator of something: one line without a newline. Called on any thread. */
	void (*on_event)(void *arg, const char *line);
	void *on_event_arg;
	_Atomic uint64_t refused[REFUSAL_COUNT]; /* peers that were kept out */
	_Atomic uint64_t replies_full; /* replies that were BUSY, since others fill their budget */
	_Atomic uint64_t
		queue_late; /* reads that were BUSY, since they had waited for queue_time */
	_Atomic uint64_t lanes_full; /* requests that were BUSY, since too many waited */
	struct net_rare_event half_sent;
	struct net_rare_event unread;
	struct net_audit audit;
	struct slow_lines slow;
	struct slow_lines failed;
	atomic_bool cut; /* the grace is over: lanes run no more requests */
};

void net_event(struct net *net, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Tells that a connection is closed, in at most one line in ten seconds, which says how many were
 * not told since the line before it. now_ms: of uv_now. */
void net_event_closed(struct net *net, struct net_rare_event *event, uint64_t now_ms,
	enum closing why, size_t bytes);

#endif
