/* address.h - where a daemon listens: unix:PATH, tls:HOST:PORT, tcp:HOST:PORT or a plain path.
 *
 * Threads: any; there is no state.
 */
#ifndef CLIENT_ADDRESS_H
#define CLIENT_ADDRESS_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* The address when neither the caller nor $REPSTORE names one. */
#define ADDRESS_DEFAULT "/run/repstore/repstore.sock"

enum { ADDRESS_HOST_BYTES = 256 };

bool address_is_tls(const char *text);

/* The host of an address with one, without brackets; "" if it has none. */
void address_host(const char *text, char out[ADDRESS_HOST_BYTES]);

/* What an address leads to: one name, or those that a host has. */
struct address_name {
	struct sockaddr_storage name;
	socklen_t len;
};
struct address {
	struct address_name *names; /* owned */
	size_t count;
};

/* Whether it is one; nothing is looked up. Errors: BAD_REQUEST. */
enum status address_check(const char *text, struct error *err);

/* Looks a host up, which may take long; of a path or a number it does not.
 * Errors: BAD_REQUEST  not an address; IO  no such host; NO_MEMORY. */
enum status address_resolve(const char *text, struct address *out, struct error *err);
void address_fini(struct address *address); /* zeroed is fine */

/* Connects a blocking stream socket, close-on-exec.
 *
 *   deadline_ms  of clock_now_ms()
 *   fd           out: the caller's
 *
 * Errors: BAD_REQUEST  not an address; IO  nobody listens, no such host; TIMEOUT; NO_MEMORY.
 */
enum status address_connect(const char *text, int64_t deadline_ms, int *fd, struct error *err);

/* Begins to connect a socket that never blocks, close-on-exec. text: the address, for errors.
 * Errors: AGAIN  it goes on: address_dialled tells, once the socket can be written; IO, NO_MEMORY. */
enum status address_dial(const char *text, const struct address_name *name, int *out,
	struct error *err);
enum status address_dialled(const char *text, int fd, struct error *err);

#endif
