/* grace.h - when may memory be freed that readers without locks may still see?
 *
 * Readers say where a request begins and ends; grace_wait returns once every reader
 * that was inside when it was called has left. This is the QSBR flavour of liburcu;
 * under ThreadSanitizer, which cannot see into the library, the hand-over is annotated.
 *
 * Threads: a thread registers before it reads and unregisters before it ends. grace_wait
 * must not be called between enter and leave.
 */
#ifndef DAEMON_STORE_SYSTEM_GRACE_H
#define DAEMON_STORE_SYSTEM_GRACE_H

void grace_register(void); /* this thread will read; it starts outside */
void grace_unregister(void);
void grace_enter(void);
void grace_leave(void);
void grace_wait(void);

#endif
