/* listener.h - a listening socket: bound, or handed over by the service manager.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_NET_LISTENER_H
#define DAEMON_NET_LISTENER_H

#include "daemon/net/address.h"

#include <stdbool.h>
#include <sys/stat.h>

/* A zeroed one with fd -1 is closed. */
struct listener {
	int fd; /* owned */
	struct address address;
	dev_t file_device; /* of a socket file that listener_open made, else 0 */
	ino_t file_number;
};

/* Binds and listens. A socket file that nobody answers at is replaced; `mode` is what the
 * file of a Unix socket gets.
 * Errors: IO, EXISTS (somebody answers there, or the file is no socket); the text names the
 * address. */
enum status listener_open(const struct address *address, mode_t mode, struct listener *out,
	struct error *err);

/* Takes over a socket that listens already; its file is never unlinked. The socket is not
 * closed on failure. Errors: as address_of_socket. */
enum status listener_adopt(int fd, struct listener *out, struct error *err);

/* Closes, and unlinks the socket file if it still is ours. Closing twice is fine. */
void listener_close(struct listener *listener);

#endif
