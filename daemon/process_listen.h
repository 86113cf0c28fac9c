/* process_listen.h - the sockets where requests are listened for: those of the settings, or passed by the service
 * manager.
 *
 * A passed socket is taken for what its name says: rpc, tls for requests by TLS, or http. If one for requests was passed,
 * the addresses of the settings are not used.
 *
 * Threads: that of the process.
 */
#ifndef DAEMON_PROCESS_LISTEN_H
#define DAEMON_PROCESS_LISTEN_H

#include "daemon/net/listener.h"
#include "daemon/settings.h"

/* Zeroed, it has none. */
struct process_listen {
	struct listener listeners[SETTINGS_LISTEN_MAX]; /* owned, until the server takes them */
	unsigned count;
	struct address
		addresses[SETTINGS_LISTEN_MAX]; /* of the settings, while nothing is opened */
	unsigned address_count;
	bool has_tls; /* somewhere TLS is spoken */
	int http;     /* the socket that was passed for it; -1: none was */
	/* Addresses, NULL-terminated, for who asks where the daemon listens. */
	const char *shown[SETTINGS_LISTEN_MAX + 1];
	char texts[SETTINGS_LISTEN_MAX][ADDRESS_TEXT_BYTES];
};

/* Takes what was passed, and reads the addresses of the settings. Nothing is opened. Errors: BAD_REQUEST, IO. */
enum status process_listen_begin(struct process_listen *listen, const struct settings *settings,
	struct error *err);

/* Reads the addresses alone, for who only checks the settings. Errors: BAD_REQUEST. */
enum status process_listen_check(struct process_listen *listen, const struct settings *settings,
	struct error *err);

/* Opens the addresses, unless sockets were passed. Errors: those of listener_open. */
enum status process_listen_open(struct process_listen *listen, const struct settings *settings,
	struct error *err);

void process_listen_close(struct process_listen *listen);

#endif
