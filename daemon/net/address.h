/* address.h - where to listen: `unix:PATH`, `tcp:HOST:PORT` or a plain path.
 *
 * There is no authentication yet, so TCP is for loopback alone: 127.0.0.0/8, ::1 and
 * the name localhost. Host names are not looked up.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_NET_ADDRESS_H
#define DAEMON_NET_ADDRESS_H

#include "schema/status.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
	ADDRESS_TEXT_BYTES = 160, /* "unix:" and the longest path, "tcp:[...]:65535" */
};

/* A value: copy it freely. */
struct address {
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} socket;
	socklen_t len;
	char text[ADDRESS_TEXT_BYTES]; /* in normal form: what a client can be given */
};

/* Errors: BAD_REQUEST  the text says which address and why. */
enum status address_parse(const char *text, struct address *out, struct error *err);

/* The address that a listening socket is bound to, with the port that the system chose.
 * Errors: IO; BAD_REQUEST  not a Unix or TCP stream socket, or not loopback. */
enum status address_of_socket(int fd, struct address *out, struct error *err);

#endif
