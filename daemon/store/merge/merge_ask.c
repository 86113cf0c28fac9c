/* merge_ask.c - the list of those who wait for a merge. */
#include "daemon/store/merge/merge_ask.h"

#include "daemon/store/state/state.h"
#include "daemon/store/system/stop.h"

#include <assert.h>
#include <stdlib.h>

void merge_asks_init(struct merge_asks *asks)
{
	*asks = (struct merge_asks){0};
	condition_init(&asks->changed);
	lock_init(&asks->lock);
}

/* Gives up one holder's part. */
static void drop(struct merge_ask *ask)
{
	assert(ask->holders > 0);
	if (--ask->holders == 0) {
		repair_report_fini(&ask->report);
		free(ask);
	}
}

void merge_asks_fini(struct merge_asks *asks)
{
	while (asks->first != NULL) {
		struct merge_ask *ask = asks->first;
		asks->first = ask->next;
		drop(ask);
	}
	condition_fini(&asks->changed);
	lock_fini(&asks->lock);
}

void merge_asks_stop(struct merge_asks *asks)
{
	lock_take(&asks->lock);
	asks->stop = true;
	condition_broadcast(&asks->changed);
	lock_release(&asks->lock);
}

bool merge_asks_stopped(struct merge_asks *asks)
{
	lock_take(&asks->lock);
	const bool stop = asks->stop;
	lock_release(&asks->lock);
	return stop;
}

bool merge_asks_wait_for(struct merge_asks *asks)
{
	lock_take(&asks->lock);
	const bool waits = asks->first != NULL;
	lock_release(&asks->lock);
	return waits;
}

static void add(struct merge_asks *asks, struct merge_ask *ask)
{
	struct merge_ask **at = &asks->first;
	lock_assert_held(&asks->lock);
	while (*at != NULL) {
		at = &(*at)->next;
	}
	*at = ask;
}

static bool is_for_all(const struct merge_ask *ask)
{
	return ask->scope.release == 0;
}

/* Who leaves takes along what was asked for some tables alone, if nobody has begun it: it would wait behind others
 * for nobody. */
static void leave(struct merge_asks *asks, struct merge_ask *ask)
{
	struct merge_ask **at = &asks->first;
	lock_assert_held(&asks->lock);
	while (*at != NULL && *at != ask) {
		at = &(*at)->next;
	}
	if (*at == ask && !is_for_all(ask)) {
		*at = ask->next;
		drop(ask);
	}
}

enum status merge_asks_wait(struct merge_asks *asks, struct store *store, struct merge_ask *wanted,
	const struct stop *stop, struct error *err)
{
	enum status status = STATUS_OK;
	struct merge_ask *ask = malloc(sizeof *ask);
	if (ask == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "merge: no memory");
	}
	*ask = *wanted;
	ask->holders = 2;
	lock_take(&asks->lock);
	add(asks, ask);
	bell_ring(&store->merge_bell);
	while (!ask->done && !asks->stop && status == STATUS_OK) {
		(void)condition_wait_until(&asks->changed, &asks->lock, stop_look_ms(stop));
		status = stop_check(stop, err);
	}
	if (ask->done) {
		wanted->result = ask->result;
		wanted->report = ask->report;
		ask->report = (struct repair_report){0};
		status = ask->outcome.status;
		if (status != STATUS_OK && err != NULL) {
			*err = ask->outcome;
		}
	} else if (status == STATUS_OK) {
		status = error_set(err, STATUS_BUSY, "merge: the daemon is stopping");
	} else {
		leave(asks, ask);
	}
	drop(ask);
	lock_release(&asks->lock);
	return status;
}

struct merge_ask *merge_asks_take(struct merge_asks *asks)
{
	struct merge_ask *taken = NULL;
	struct merge_ask **end = &taken;
	lock_take(&asks->lock);
	const bool all = asks->first != NULL && is_for_all(asks->first);
	struct merge_ask **at = &asks->first;
	while (*at != NULL && (all || taken == NULL)) {
		struct merge_ask *ask = *at;
		if (is_for_all(ask) != all) {
			at = &ask->next;
			continue;
		}
		*at = ask->next;
		ask->next = NULL;
		*end = ask;
		end = &ask->next;
	}
	lock_release(&asks->lock);
	return taken;
}

void merge_asks_done(struct merge_asks *asks, struct merge_ask *taken,
	const struct merge_result *result, const struct error *outcome)
{
	lock_take(&asks->lock);
	while (taken != NULL) {
		struct merge_ask *next = taken->next;
		assert(!taken->done);
		taken->done = true;
		taken->result = *result;
		taken->outcome = *outcome;
		drop(taken);
		taken = next;
	}
	condition_broadcast(&asks->changed);
	lock_release(&asks->lock);
}
