/* sources.h - where answers over HTTP come from.
 *
 * Threads: constant while the port is open, but for `draining`.
 */
#ifndef DAEMON_HTTP_SOURCES_H
#define DAEMON_HTTP_SOURCES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct service;
struct stats_sources;

enum { HTTP_EVENTS_MAX = 20, HTTP_EVENT_BYTES = 256 };

/* A line of the journal. */
struct http_event {
	int64_t ms;        /* Unix time */
	const char *level; /* info, warning, error */
	char text[HTTP_EVENT_BYTES];
};

struct http_sources {
	const struct stats_sources *net; /* borrowed, as the next */
	struct service *service;
	double started_s; /* Unix time when the process began */
	/* Whether the loops turn: what the watchdog knows. */
	bool (*is_alive)(void *arg);
	void *is_alive_arg;
	unsigned ready_resident; /* percent of the live release that must be in memory */
	bool shows_page;         /* also /api/state */
	/* Writes the last events, the oldest first, and returns how many; NULL: there are none. */
	unsigned (*events)(struct http_event out[HTTP_EVENTS_MAX]);
	atomic_bool draining; /* the daemon stops */
};

#endif
