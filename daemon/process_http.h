/* process_http.h - the port for HTTP of the process: opened with its socket, and closed.
 *
 * Threads: that of the process.
 */
#ifndef DAEMON_PROCESS_HTTP_H
#define DAEMON_PROCESS_HTTP_H

#include "daemon/http/http.h"
#include "daemon/settings.h"

struct server;

/* Zeroed but for listener.fd, which is -1, there is no port. */
struct process_http {
	struct listener listener;
	struct http_sources sources;
	struct http *http; /* owned */
};

/* Could the address that the settings name be listened to, if they name one? Errors: BAD_REQUEST. */
enum status process_http_check(const struct settings *settings, struct error *err);

/* Opens the socket that the settings name, if they name one. passed: a socket that the service manager
 * has passed for it, which is used instead; -1: none. */
enum status process_http_listen(struct process_http *http, const struct settings *settings,
	int passed, struct error *err);

/* Answers from now on, if there is a socket. */
enum status process_http_start(struct process_http *http, const struct settings *settings,
	struct service *service, const struct server *server, struct error *err);

/* The daemon stops, and is not ready any more. */
void process_http_drain(struct process_http *http);

void process_http_stop(struct process_http *http);

#endif
