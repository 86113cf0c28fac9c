/* net.h - what all loops, lanes and connections of one server share.
 *
 * Threads: limits and pointers are constant while the server runs; budgets are atomic,
 * lanes have locks of their own.
 */
#ifndef DAEMON_NET_NET_H
#define DAEMON_NET_NET_H

#include "daemon/net/budget.h"
#include "daemon/net/lane.h"

#include <stdatomic.h>
#include <stdint.h>

struct service;

/* What an operator may change. */
struct net_limits {
	unsigned max_connections;
	unsigned request_timeout_ms; /* a request that stays half sent for so long; 0: for ever */
	unsigned grace_ms;           /* for requests in flight when the server stops */
};

struct net {
	struct service *service; /* borrowed */
	struct net_limits limits;
	struct budget requests; /* bytes of requests beyond each connection's base */
	struct budget replies;  /* bytes of large replies that were not yet sent */
	struct lane pool;
	struct lane search;
	struct lane admin;
	struct lane seal;
	struct lane merge;
	struct lane load;
	struct lane write;
	/* What an operator should know, one line without newline; from any thread. */
	void (*on_event)(void *arg, const char *line);
	void *on_event_arg;
	atomic_bool cut; /* the grace is over: what waits is not run any more */
};

void net_event(struct net *net, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
