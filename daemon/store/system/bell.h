/* bell.h - how one thread tells another that there may be something to do.
 *
 * Whoever makes work rings. The thread that does the work waits for the bell, and then looks for
 * itself what there is to do. A bell that was rung while nobody waited stays rung, so no ring is
 * lost.
 *
 * Threads: any rings; one waits.
 */
#ifndef DAEMON_STORE_SYSTEM_BELL_H
#define DAEMON_STORE_SYSTEM_BELL_H

#include "daemon/store/system/lock.h"

struct bell {
	struct lock lock;
	struct condition wake;
	bool rung; /* guarded by lock */
};

void bell_init(struct bell *bell);
void bell_fini(struct bell *bell);

/* Write what the waiter is to see before you ring. */
void bell_ring(struct bell *bell);

/* Returns when it has been rung since the last return, or until_ms of clock_monotonic_ms has come
 * (CONDITION_NEVER: not before it is rung). */
void bell_wait(struct bell *bell, uint64_t until_ms);

#endif
