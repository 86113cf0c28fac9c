/* local_inspect.c - the thread that checks the files of a reader in the background, as a daemon's janitor does: a
 * look-up in pages that were checked costs no more than the rows. */
#include "daemon/local/local_state.h"

#include "daemon/store/inspection/inspection.h"
#include "daemon/store/state/background.h"
#include "daemon/store/system/clock.h"

/* Waits; false: the thread is to stop. `wakes`: a new snapshot ends the wait. */
static bool wait_for(struct local_state *state, uint64_t ms, bool wakes)
{
	const uint64_t until_ms = (uint64_t)clock_monotonic_ms() + ms;
	lock_take(&state->lock);
	while (!state->stop && (uint64_t)clock_monotonic_ms() < until_ms) {
		if (condition_wait_until(&state->wake_inspector, &state->lock, until_ms) && wakes) {
			break;
		}
	}
	const bool go_on = !state->stop;
	lock_release(&state->lock);
	return go_on;
}

/* Between segments: indexes come first, or searches go through all rows. */
static bool go_on(void *arg)
{
	struct local_state *state = arg;
	if (atomic_exchange(&state->is_new, false)) {
		local_index_open_all(state);
	}
	return wait_for(state, 0, false);
}

static void pause_for(void *arg, uint64_t ms)
{
	(void)wait_for(arg, ms, false);
}

static void *inspect(void *arg)
{
	struct local_state *state = arg;
	struct inspection inspection = {
		.store = state->store,
		.go_on = go_on,
		.pause = pause_for,
		.arg = state,
	};
	background_set_nice(state->store, BACKGROUND_NICE);
	(void)grace_lend(&state->inspector_reader);
	while (go_on(state) && inspection_run(&inspection, false) &&
		wait_for(state, state->store->options.sizes.look_ms, true)) {
	}
	(void)grace_lend(NULL);
	return NULL;
}

enum status local_inspect_start(struct local_state *state, struct error *err)
{
	const enum status status = local_thread_start(&state->inspector, inspect, state, err);
	state->has_inspector = status == STATUS_OK;
	return status;
}

void local_inspect_stop(struct local_state *state)
{
	if (state->has_inspector) {
		atomic_store(&state->store->stop, true);
		lock_take(&state->lock);
		state->stop = true;
		condition_broadcast(&state->wake_inspector);
		lock_release(&state->lock);
		(void)pthread_join(state->inspector, NULL);
	}
}
