/* stats.h - the network's entries of the method `stats`.
 *
 * Threads: any while the sources live; figures of different loops are not of one moment.
 */
#ifndef DAEMON_NET_STATS_H
#define DAEMON_NET_STATS_H

#include "daemon/net/acceptor.h"
#include "daemon/net/loop.h"
#include "daemon/net/net.h"

/* All borrowed. */
struct stats_sources {
	struct net *net;
	const struct loop *loops;
	const struct acceptor *acceptors;
	unsigned loop_count;
	unsigned acceptor_count;
};

/* For service->net_stats; `arg` is a struct stats_sources. */
size_t stats_write(void *arg, struct wire_writer *writer);

#endif
