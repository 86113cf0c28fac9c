/* stats.h - the network's part of the reply to the method `stats`.
 *
 * Threads: any, while the sources live. The figures of different loops are not of the same moment.
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

/* Writes the entries of a map, and returns how many there are. If `writer` is NULL it only returns
 * the number. This is what service->net_stats is; `arg` is a struct stats_sources. */
size_t stats_write(void *arg, struct wire_writer *writer);

#endif
