/* service.h - what methods may reach: the store, and the figures of the process.
 *
 * One a process, made by main, handed down; methods change nothing in it but
 * the fetch counters.
 *
 * Threads: the counters are atomic; the rest is constant while methods run.
 */
#ifndef DAEMON_METHOD_SERVICE_H
#define DAEMON_METHOD_SERVICE_H

#include "daemon/store/lookup.h"

#include <stdatomic.h>
#include <stdint.h>

struct wire_writer;

struct service {
	struct store *store; /* borrowed */
	const char *version;
	int64_t started_ms; /* monotonic clock */
	unsigned workers;
	unsigned pool;
	const char *const *listen; /* addresses, NULL-terminated */
	/* Writes the entries of `stats` that the network side knows; returns how many it writes
	 * when `writer` is NULL. */
	size_t (*net_stats)(void *arg, struct wire_writer *writer);
	void *net_stats_arg;
	_Atomic uint64_t fetch_counts[WHY_COUNT];
};

#endif
