/* notify.h - what the service manager is told, and what it hands over.
 *
 * Without systemd, at build or at run time, each does nothing.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

void notify_ready(void);
void notify_stopping(void);
void notify_alive(void);

/* How often notify_alive is expected; 0: never. */
uint64_t notify_watchdog_ms(void);

/* The listening sockets that were passed: descriptors from *first on, as many as returned. */
unsigned notify_sockets(int *first);

#endif
