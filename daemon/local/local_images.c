/* local_images.c - the thread that makes images of rows that wait for a merge, for the searches of a reader, as a daemon's
 * follower does: of those tables alone that are searched through this reader.
 */
#include "daemon/local/local_state.h"

#include "daemon/store/state/background.h"
#include "daemon/store/system/clock.h"

static void *make_images(void *arg)
{
	struct local_state *state = arg;
	struct store *store = state->store;
	background_set_nice(store, BACKGROUND_NICE);
	(void)grace_lend(&state->imager_reader);
	while (!atomic_load(&store->stop)) {
		const uint64_t pause_ms = imaging_look(&state->imaging);
		bell_wait(&state->imager_bell, (uint64_t)clock_monotonic_ms() + pause_ms);
	}
	(void)grace_lend(NULL);
	return NULL;
}

enum status local_images_start(struct local_state *state, struct error *err)
{
	state->imaging.store = state->store;
	state->imaging.stop = &state->store->stop;
	state->imaging.of = IMAGING_OF_SEARCHED;
	state->imaging.memory_max = state->options.memory_max;
	const enum status status = local_thread_start(&state->imager, make_images, state, err);
	state->has_imager = status == STATUS_OK;
	return status;
}

void local_images_stop(struct local_state *state)
{
	if (state->has_imager) {
		atomic_store(&state->store->stop, true);
		bell_ring(&state->imager_bell);
		(void)pthread_join(state->imager, NULL);
	}
}
