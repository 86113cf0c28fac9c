/* follower.c - looks again and again what has no image yet. */
#include "daemon/store/indexing/follower.h"

#include "daemon/store/imaging/imaging.h"
#include "daemon/store/indexing/index_figures.h"
#include "daemon/store/state/background.h"
#include "daemon/store/system/bell.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/system/thread.h"

#include <pthread.h>
#include <stdlib.h>

struct follower {
	struct imaging imaging;
	pthread_t thread;
	struct bell bell; /* rung at the end: none rings when rows are put */
	_Atomic bool stop;
};

static void *run(void *arg)
{
	struct follower *follower = arg;
	grace_register(); /* it reads rows of memtables */
	background_set_nice(follower->imaging.store, BACKGROUND_NICE);
	while (!atomic_load(&follower->stop)) {
		const uint64_t pause_ms = imaging_look(&follower->imaging);
		bell_wait(&follower->bell, (uint64_t)clock_monotonic_ms() + pause_ms);
	}
	grace_unregister();
	return NULL;
}

enum status follower_start(struct store *store, struct follower **out, struct error *err)
{
	struct follower *follower = calloc(1, sizeof *follower);
	if (follower == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "start the follower");
	}
	follower->imaging.store = store;
	follower->imaging.stop = &follower->stop;
	bell_init(&follower->bell);
	const enum status status = thread_start(&follower->thread, run, follower, "follow", err);
	if (status != STATUS_OK) {
		bell_fini(&follower->bell);
		free(follower);
		return status;
	}
	(void)pthread_setname_np(follower->thread, "follow");
	*out = follower;
	return STATUS_OK;
}

void follower_stop(struct follower *follower)
{
	if (follower == NULL) {
		return;
	}
	atomic_store(&follower->stop, true);
	bell_ring(&follower->bell);
	(void)pthread_join(follower->thread, NULL);
	bell_fini(&follower->bell);
	free(follower);
}

void follower_figures(const struct follower *follower, struct index_figures *out)
{
	if (follower != NULL) {
		out->written = atomic_load(&follower->imaging.made); /* first */
		out->written_rows = atomic_load(&follower->imaging.rows);
		out->written_ns = atomic_load(&follower->imaging.ns);
	}
}
