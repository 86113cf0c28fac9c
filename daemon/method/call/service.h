/* service.h - what methods use: the store, and the figures of the process.
 *
 * main makes one for the process and hands it down. Methods change only the fetch counters of it.
 *
 * Threads: the counters are atomic; the rest is constant while methods run.
 */
#ifndef DAEMON_METHOD_CALL_SERVICE_H
#define DAEMON_METHOD_CALL_SERVICE_H

#include "daemon/store/read/lookup.h"

#include <stdatomic.h>
#include <stdint.h>

struct access;
struct wire_writer;

struct service {
	struct store *store;   /* borrowed */
	struct access *access; /* borrowed */
	const char *version;
	int64_t started_ms; /* monotonic clock */
	unsigned workers;
	unsigned pool;
	unsigned request_keys;     /* of one request, at most */
	const char *const *listen; /* addresses, NULL-terminated */
	/* Writes the entries of `stats` that daemon/net knows. It returns their number, and writes
	 * nothing if `writer` is NULL. */
	size_t (*net_stats)(void *arg, struct wire_writer *writer);
	void *net_stats_arg;
	_Atomic uint64_t fetch_counts[WHY_COUNT];
};

#endif
