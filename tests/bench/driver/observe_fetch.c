/* observe_fetch.c - how long fetches take beside a stream of samples.
 *
 * One connection asks for a user and some items, all of them drawn alike, and again when it has its
 * answer, in phases: alone; beside so many samples a second, one connection, on a fixed schedule (a
 * batch that is late is made up for); beside as many as several connections bring. Phases take
 * turns; merges come as they come.
 */
#include "client/include/repstore.h"
#include "tests/bench/driver/daemon.h"
#include "tests/bench/driver/lanes.h"
#include "tests/bench/driver/observe.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { PHASES_MAX = NUMBERS_MAX + 2 };
static const uint64_t second_ns = 1000000000u;
static const uint64_t warm_ns = 100000000u;

struct phase {
	char name[32];
	unsigned rate; /* samples a second */
	enum { ALONE, PACED, FULL } stream;
	struct samples fetches;
	struct samples batches;
	uint64_t observed;
	uint64_t took_ns;
	uint64_t client_ns;
	uint64_t merges;
};

struct fetching {
	struct entrant *entrant;
	const struct stream_plan *stream;
	const struct fetch_plan *plan;
	struct daemon *daemon;
	rep_client *client;
	uint64_t random;
	uint64_t *items;
	float *rows; /* of the items, then of the user */
	uint8_t *found;
	struct lanes *paced;
	struct lanes *full;
	struct phase *phase; /* that runs */
	uint64_t end_ns;
};

static void fetch(struct fetching *fetching)
{
	const uint32_t items = fetching->plan->items;
	const struct crowd *crowd = fetching->entrant->crowd;
	const uint64_t user = next_random(&fetching->random) % crowd->counts[CROWD_USERS];
	for (uint32_t i = 0; i < items; i++) {
		fetching->items[i] = next_random(&fetching->random) % crowd->counts[CROWD_ITEMS];
	}
	uint8_t user_found = 0;
	struct rep_part parts[] = {{.table = "cr_item",
					   .keys = rep_keys_u64(fetching->items, items),
					   .dtype = REP_F32,
					   .rows = fetching->rows,
					   .rows_bytes = (size_t)items * MEASURE_ROW_BYTES,
					   .found = fetching->found},
		{.table = "cr_user",
			.keys = rep_keys_u64(&user, 1),
			.dtype = REP_F32,
			.rows = fetching->rows + (size_t)items * MEASURE_DIM,
			.rows_bytes = MEASURE_ROW_BYTES,
			.found = &user_found}};
	struct rep_error err;
	if (rep_fetch(fetching->client, NULL, parts, 2, NULL, &err) != REP_OK) {
		die("fetch: %s", err.text);
	}
	if (parts[0].found_count != items || parts[1].found_count != 1) {
		die("fetch: %u of %u items, %u of 1 user", parts[0].found_count, items,
			parts[1].found_count);
	}
}

static void *observe(void *arg)
{
	struct fetching *fetching = arg;
	struct phase *phase = fetching->phase;
	if (phase->stream == FULL) {
		const uint64_t now = now_ns();
		const uint64_t left = now < fetching->end_ns ? fetching->end_ns - now : 0;
		(void)lanes_run(fetching->full, left, &phase->batches);
		return NULL;
	}
	const uint64_t start = now_ns();
	for (uint64_t i = 0; now_ns() < fetching->end_ns; i++) {
		wait_until(start + i * fetching->stream->each * second_ns / phase->rate);
		(void)lanes_run(fetching->paced, 0, &phase->batches);
	}
	return NULL;
}

static uint64_t merges_of(struct fetching *fetching)
{
	struct write_stats stats;
	daemon_stats(fetching->daemon, &stats);
	return stats.merges;
}

static void take_turn(struct fetching *fetching, struct phase *phase)
{
	pthread_t thread = {0};
	for (const uint64_t warm_end = now_ns() + warm_ns; now_ns() < warm_end;) {
		fetch(fetching);
	}
	const uint64_t merges = merges_of(fetching);
	const uint64_t observed = atomic_load(&fetching->entrant->observed);
	const uint64_t client_start = client_cpu_ns();
	const uint64_t start = now_ns();
	fetching->phase = phase;
	fetching->end_ns = start + fetching->plan->turn_ns;
	if (phase->stream != ALONE && pthread_create(&thread, NULL, observe, fetching) != 0) {
		die("no thread");
	}
	for (uint64_t before = start; before < fetching->end_ns;) {
		fetch(fetching);
		const uint64_t after = now_ns();
		samples_add(&phase->fetches, after - before);
		before = after;
	}
	if (phase->stream != ALONE) {
		(void)pthread_join(thread, NULL);
	}
	phase->took_ns += now_ns() - start;
	phase->client_ns += client_cpu_ns() - client_start;
	phase->observed += atomic_load(&fetching->entrant->observed) - observed;
	phase->merges += merges_of(fetching) - merges;
	/* What the stream left behind is none of the next turn's. */
	struct merge_result rest;
	daemon_merge(fetching->daemon, &rest);
}

static void print_phase(struct phase *phase)
{
	char name[64];
	const double seconds = (double)phase->took_ns / 1e9;
	samples_print(&phase->fetches, phase->name);
	printf("%s_client %.2f processors\n", phase->name,
		(double)phase->client_ns / 1e9 / seconds);
	if (phase->stream != ALONE) {
		printf("%s_observed %.0f samples/s\n", phase->name,
			(double)phase->observed / seconds);
		printf("%s_merges %" PRIu64 " merges\n", phase->name, phase->merges);
		(void)snprintf(name, sizeof name, "%.31s_batch", phase->name);
		samples_print(&phase->batches, name);
	}
	samples_fini(&phase->fetches);
	samples_fini(&phase->batches);
}

static size_t list_phases(const struct numbers *rates, struct phase phases[static PHASES_MAX])
{
	size_t count = 0;
	phases[count++] = (struct phase){.name = "fetch_alone"};
	for (size_t i = 0; i < rates->count; i++) {
		struct phase *phase = &phases[count++];
		*phase = (struct phase){.rate = rates->values[i], .stream = PACED};
		(void)snprintf(phase->name, sizeof phase->name, "fetch_%u", phase->rate);
	}
	phases[count++] = (struct phase){.name = "fetch_full", .stream = FULL};
	return count;
}

void observe_fetches(struct entrant *entrant, const struct stream_plan *stream,
	const struct fetch_plan *plan)
{
	struct phase phases[PHASES_MAX];
	const size_t count = list_phases(&plan->rates, phases);
	struct fetching fetching = {.entrant = entrant,
		.stream = stream,
		.plan = plan,
		.daemon = daemon_connect(entrant->path),
		.client = observer_repstored.open(entrant->path),
		.items = allocate(plan->items * sizeof(uint64_t)),
		.rows = allocate(((size_t)plan->items + 1) * MEASURE_ROW_BYTES),
		.found = allocate((plan->items + 7) / 8),
		.paced = entrant_lanes(entrant, 1, stream->each),
		.full = entrant_lanes(entrant, stream->connections, stream->each)};
	for (uint64_t turn = 0; turn < plan->turns; turn++) {
		for (size_t i = 0; i < count; i++) {
			take_turn(&fetching, &phases[i]);
		}
	}
	for (size_t i = 0; i < count; i++) {
		print_phase(&phases[i]);
	}
	lanes_close(fetching.full);
	lanes_close(fetching.paced);
	free(fetching.found);
	free(fetching.rows);
	free(fetching.items);
	rep_close(fetching.client);
	daemon_close(fetching.daemon);
	entrant_check(entrant);
}
