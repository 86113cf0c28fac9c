/* listener.h - a listening socket: bound, or handed over by the service manager.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_NET_LISTENER_H
#define DAEMON_NET_LISTENER_H

#include "daemon/net/address.h"

#include <stdbool.h>
#include <sys/stat.h>

/* A zeroed listener whose fd is -1 counts as closed. */
struct listener {
	int fd; /* owned */
	struct address address;
	dev_t file_device; /* of the socket file that listener_open made; 0: it made none */
	ino_t file_number; /* the same */
};

/* Binds and listens. If there is a socket file that nobody listens at, it is replaced. The file of
 * a Unix socket gets the mode `mode`.
 * Errors: IO; EXISTS  somebody answers there, or the file is no socket. err names the address. */
enum status listener_open(const struct address *address, mode_t mode, struct listener *out,
	struct error *err);

/* Takes over a socket that listens already, without TLS. Its file is never unlinked. After a failure the socket
 * is still open and the caller's. Errors: those of address_of_socket. */
enum status listener_adopt(int fd, struct listener *out, struct error *err);

/* The same for what may listen beyond loopback. */
enum status listener_adopt_anywhere(int fd, struct listener *out, struct error *err);

/* The same for TCP where TLS is spoken. */
enum status listener_adopt_tls(int fd, struct listener *out, struct error *err);

/* Closes the socket, and unlinks the socket file if it is still the one that listener_open made. A
 * second call does nothing. */
void listener_close(struct listener *listener);

#endif
