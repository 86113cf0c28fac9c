/* grace.h - when may memory be freed that readers without locks may still see?
 *
 * A reader says where a request begins (grace_enter) and where it ends (grace_leave). grace_wait
 * returns once every reader that was inside when it was called has left; so what was taken out of
 * sight before the call can be freed after it.
 *
 * A reader that may need longer than a millisecond would keep everybody waiting who waits for a grace
 * period. It counts itself in what it uses while it is inside, and then calls grace_pin: from then on
 * no grace period waits for it, and only what it has counted itself in may be used.
 *
 * Threads: a thread registers before it reads and unregisters before it ends. A thread of
 * a program that reads a folder in its own process registers with nobody: each call lends it a reader
 * (grace_lend). A thread is inside once, not several times: who enters again would be outside after the
 * first leave. A thread that is inside must not call grace_wait, since it would wait for itself. All of
 * this is asserted.
 *
 * After a fork the child has the reader of the thread that forked, if it was registered, and no others.
 */
#ifndef DAEMON_STORE_SYSTEM_GRACE_H
#define DAEMON_STORE_SYSTEM_GRACE_H

#include "schema/link.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What grace_wait knows of a reader; no line of the cache is shared with another one's. */
struct grace_reader {
	_Alignas(64) _Atomic uint64_t entered; /* the epoch in which it has entered; 0: outside */
	struct link all;
};

void grace_register(void); /* this thread will read; it starts outside */
void grace_unregister(void);
void grace_enter(void);
void grace_leave(void);
void grace_wait(void);

/* grace_wait in two steps, for who has something else to do meanwhile. */
uint64_t grace_begin(void);
bool grace_is_over(uint64_t begun);

/* A reader that several threads use, one at a time, in the place of their own. */
void grace_reader_init(struct grace_reader *reader);
void grace_reader_fini(struct grace_reader *reader);
/* From now on this thread reads as this one; NULL: it may not read. Returns as what it has read, which it is lent back
 * when the call is over. It is outside both times. */
struct grace_reader *grace_lend(struct grace_reader *reader);

/* From inside to pinned, and from pinned to outside. */
void grace_pin(void);
void grace_unpin(void);

/* For a start, which reads before any other thread does: the calling thread is inside, whether it is
 * registered or not, and no grace period knows of it. grace_alone_end takes what the beginning has
 * returned. */
int grace_alone_begin(void);
void grace_alone_end(int before);

/* Whether the calling thread is between grace_enter and grace_leave, or pinned. For asserts: code that
 * reads what a grace period, or a count, protects asserts that it is inside. */
bool grace_is_inside(void);

#endif
