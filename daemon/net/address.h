/* address.h - where to listen: `unix:PATH`, `tls:HOST:PORT`, `tcp:HOST:PORT` or a plain path.
 *
 * Nobody knows who a peer at plain TCP is, so that is for loopback alone: 127.0.0.0/8, ::1 and the name
 * localhost. At TLS each peer shows a certificate. Host names are not looked up.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_NET_ADDRESS_H
#define DAEMON_NET_ADDRESS_H

#include "schema/status.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
	/* Fits "unix:" with the longest path, and "tls:[...]:65535" with the longest IPv6 address. */
	ADDRESS_TEXT_BYTES = 160,
};

/* A value: it may be copied. */
struct address {
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} socket;
	socklen_t len;
	bool tls;
	char text[ADDRESS_TEXT_BYTES]; /* in normal form; a client can connect to it */
};

/* Errors: BAD_REQUEST  err says which address is wrong, and why. */
enum status address_parse(const char *text, struct address *out, struct error *err);

/* The same for what may listen beyond loopback without TLS. */
enum status address_parse_anywhere(const char *text, struct address *out, struct error *err);

bool address_is_local(const struct address *address); /* Unix, or loopback */

/* The address that a listening socket is bound to. If port 0 was asked for, it has the port that
 * the system chose.
 * Errors: IO; BAD_REQUEST  no listening stream socket of Unix or TCP, or not loopback. */
enum status address_of_socket(int fd, struct address *out, struct error *err);

/* The same for what may listen beyond loopback. tls: whether TLS is spoken there, which no socket tells. */
enum status address_of_socket_anywhere(int fd, bool tls, struct address *out, struct error *err);

#endif
