/* stats.h - the network's part of the reply to the method `stats`.
 *
 * Threads: any, while the sources live (net_figures.h).
 */
#ifndef DAEMON_NET_STATS_H
#define DAEMON_NET_STATS_H

#include "daemon/net/net_figures.h"

struct wire_writer;

/* Writes the entries of a map, and returns how many there are. If `writer` is NULL it only returns
 * the number. This is what service->net_stats is; `arg` is a struct stats_sources. */
size_t stats_write(void *arg, struct wire_writer *writer);

#endif
