/* address.h - where a daemon listens: unix:PATH, tcp:HOST:PORT or a plain path.
 *
 * Threads: any; there is no state.
 */
#ifndef CLIENT_ADDRESS_H
#define CLIENT_ADDRESS_H

#include "schema/status.h"

#include <stdint.h>

/* The address when neither the caller nor $REPSTORE names one. */
#define ADDRESS_DEFAULT "/run/repstore/repstore.sock"

/* Connects a blocking stream socket, close-on-exec.
 *
 *   deadline_ms  of clock_now_ms()
 *   fd           out: the caller's
 *
 * Errors: BAD_REQUEST  not an address; IO  nobody listens, no such host; TIMEOUT; NO_MEMORY.
 */
enum status address_connect(const char *address, int64_t deadline_ms, int *fd, struct error *err);

#endif
