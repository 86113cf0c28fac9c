/* notify.h - what the daemon tells the service manager, and what it gets from it.
 *
 * If the build or the machine has no systemd, these functions do nothing.
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

/* The number of listening sockets that the service manager has passed. Their descriptors are
 * *first and those that follow. */
unsigned notify_sockets(int *first);

#endif
