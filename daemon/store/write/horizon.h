/* horizon.h - how old a moment any reader may still see.
 *
 * A thread takes `visible`, waits for a grace period, and makes what it took the horizon of the
 * memtables (struct memtable_usage): every reader that is inside by then began after `visible` had come
 * so far. Readers that have pinned what they see are told by the counts of the generations.
 *
 * Threads: any moves it; who owns it starts and stops it.
 */
#ifndef DAEMON_STORE_WRITE_HORIZON_H
#define DAEMON_STORE_WRITE_HORIZON_H

#include "daemon/store/system/bell.h"
#include "schema/status.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct store;

struct horizon {
	struct store *store; /* borrowed */
	struct bell bell;    /* `visible` has moved, or it is to stop */
	atomic_bool stop;
	pthread_t thread;
};

enum status horizon_start(struct horizon *horizon, struct store *store, struct error *err);
void horizon_stop(struct horizon *horizon);

/* `visible` has moved. */
static inline void horizon_move(struct horizon *horizon)
{
	bell_ring(&horizon->bell);
}

#endif
