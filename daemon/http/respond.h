/* respond.h - what is answered to the request for a path; it knows no sockets.
 *
 * Threads: any that is registered (grace.h), outside of a snapshot.
 */
#ifndef DAEMON_HTTP_RESPOND_H
#define DAEMON_HTTP_RESPOND_H

#include "daemon/http/text.h"

#include <stdbool.h>

struct http_sources;
struct series;

struct response {
	unsigned code; /* of HTTP */
	const char *type;
	const char *policy; /* for the header Content-Security-Policy */
	struct text body;   /* owned: text_fini */
};

struct asked {
	const char *method;
	const char *path; /* without a query */
	const char *host; /* the header; NULL: there is none */
	/* The port: is it on TCP, where the host is checked, and does it give metrics to everybody, and
	 * nothing else? */
	bool is_tcp;
	bool exposes_metrics;
};

void respond(const struct asked *asked, const struct http_sources *sources,
	const struct series *series, struct response *out);

/* Whether the header names this machine: localhost, 127.0.0.1 or [::1], with any port. */
bool host_is_local(const char *host);

#endif
