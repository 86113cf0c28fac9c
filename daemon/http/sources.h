/* sources.h - where answers over HTTP come from.
 *
 * Threads: constant while the port is open, but for `draining`.
 */
#ifndef DAEMON_HTTP_SOURCES_H
#define DAEMON_HTTP_SOURCES_H

#include <stdatomic.h>
#include <stdbool.h>

struct service;
struct stats_sources;

struct http_sources {
	const struct stats_sources *net; /* borrowed, as the next */
	struct service *service;
	double started_s; /* Unix time when the process began */
	/* Whether the loops turn: what the watchdog knows. */
	bool (*is_alive)(void *arg);
	void *is_alive_arg;
	unsigned ready_resident; /* percent of the live release that must be in memory */
	atomic_bool draining;    /* the daemon stops */
};

#endif
