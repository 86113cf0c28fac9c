/* http.h - the port for whoever watches the daemon: metrics, health, the status page.
 *
 *   GET /metrics             the text format of Prometheus
 *   GET /healthz, /livez     200 while the loops turn, else 503
 *   GET /readyz              200 when the daemon serves, else 503; the body says why
 *   GET /                    the status page; it reads /api/state (schema/PROTOCOL.md)
 *
 * HEAD is answered, too, and nothing else. A thread of its own answers one request after the other, with
 * poll and epoll, so that descriptors above 1023 are no matter. It sees figures, and no rows.
 *
 * Threads: that of the process, for start and stop.
 */
#ifndef DAEMON_HTTP_HTTP_H
#define DAEMON_HTTP_HTTP_H

#include "daemon/http/sources.h"
#include "daemon/net/listener.h"
#include "schema/status.h"

struct http;

struct http_options {
	struct listener
		*listener; /* borrowed until http_stop; it listens, and is the caller's to close */
	const struct http_sources *sources; /* borrowed */
	/* Who may come: with a name of this machine alone, so that a page of a stranger whose name was led here
	 * reads nothing; or everybody, who then gets /metrics and nothing else. */
	bool exposes_metrics;
};

/* Errors: UNSUPPORTED  the daemon was built without libmicrohttpd, or the library is not there; NO_MEMORY, IO. */
enum status http_start(const struct http_options *options, struct http **out, struct error *err);

/* Ends the thread and all connections; the listener still listens. NULL is fine. */
void http_stop(struct http *http);

#endif
