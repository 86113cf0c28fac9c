/* horizon.c - the thread that moves the horizon behind `visible`. */
#include "daemon/store/write/horizon.h"

#include "daemon/store/state/state.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/system/thread.h"

#include <assert.h>
#include <time.h>

/* It moves no more often. So much is superseded meanwhile at most as is written in that time. */
enum { PAUSE_NS = 2 * 1000 * 1000 };

static void *horizon_main(void *arg)
{
	struct horizon *horizon = arg;
	struct store *store = horizon->store;
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	while (!atomic_load(&horizon->stop)) {
		const uint64_t visible = atomic_load(&store->visible);
		grace_wait();
		assert(visible >= atomic_load(&store->usage.horizon)); /* it only moves forward */
		atomic_store_explicit(&store->usage.horizon, visible, memory_order_release);
		(void)nanosleep(&pause, NULL);
		bell_wait(&horizon->bell, CONDITION_NEVER);
	}
	return NULL;
}

enum status horizon_start(struct horizon *horizon, struct store *store, struct error *err)
{
	horizon->store = store;
	atomic_init(&horizon->stop, false);
	bell_init(&horizon->bell);
	const enum status status =
		thread_start(&horizon->thread, horizon_main, horizon, "horizon", err);
	if (status != STATUS_OK) {
		bell_fini(&horizon->bell);
	}
	return status;
}

void horizon_stop(struct horizon *horizon)
{
	atomic_store(&horizon->stop, true);
	bell_ring(&horizon->bell);
	(void)pthread_join(horizon->thread, NULL);
	bell_fini(&horizon->bell);
}
