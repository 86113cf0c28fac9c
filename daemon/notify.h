/* notify.h - what the daemon tells the service manager, and what it gets from it.
 *
 * If the machine has no systemd, these functions do nothing.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

void notify_ready(void);
void notify_stopping(void);
void notify_alive(void);

/* The time within which the service manager expects a call of notify_alive. 0: it expects none. */
uint64_t notify_watchdog_ms(void);

enum { NOTIFY_SOCKETS_MAX = 32, NOTIFY_NAME_BYTES = 64 };

/* A listening socket that the service manager has passed, and what it calls it (FileDescriptorName= of the
 * socket unit); "unknown": it says no names. A longer name is cut. */
struct notify_socket {
	int fd;
	char name[NOTIFY_NAME_BYTES];
};

/* Returns how many were passed, and writes the first NOTIFY_SOCKETS_MAX of them. */
unsigned notify_sockets(struct notify_socket out[NOTIFY_SOCKETS_MAX]);

#endif
