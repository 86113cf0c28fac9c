/* bench_hedge.c - fetches at a fixed rate by the client for event loops, with a second daemon to hedge or none.
 *
 *   bench_hedge ADDRESS HEDGE|- TABLE ROWS KEYS PERIOD_US SECONDS
 *
 * Each PERIOD_US a fetch of KEYS random keys below ROWS begins, whatever became of those before it: what a
 * stalled daemon does to each of them counts. Prints `fetch_p50` and so on, from when a fetch was due, and
 * `hedges` and `hedges_won`.
 */
#include "client/include/repstore.h"
#include "client/include/repstore_async.h"
#include "tests/bench/driver/measure.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { REQUESTS = 4096, KEYS_MAX = 4096, SLOTS = 1 << 16, NUMBER = 10 };

/* A fetch that is under way, by the lowest bits of its ticket, which are of one fetch at a time. */
static uint64_t due_ns[SLOTS];

struct run {
	rep_async *async;
	struct rep_part part; /* what every fetch asks, but for its keys */
	struct samples samples;
	uint64_t under_way;
};

static unsigned number_of(const char *text)
{
	return (unsigned)strtoul(text, NULL, NUMBER);
}

static void begin(struct run *run, const uint64_t *keys, uint64_t at_ns)
{
	struct rep_error err = {0};
	uint64_t ticket = 0;
	run->part.keys = rep_keys_u64(keys, run->part.keys.count);
	if (rep_async_fetch(run->async, NULL, &run->part, 1, &ticket, &err) != REP_OK) {
		die("fetch: %s", err.text);
	}
	due_ns[ticket % SLOTS] = at_ns;
	run->under_way++;
}

static void take(struct run *run)
{
	struct rep_error err = {0};
	uint64_t ticket = 0;
	rep_async_step(run->async);
	while (rep_async_next(run->async, &ticket)) {
		if (rep_async_fetched(run->async, ticket, &run->part, 1, NULL, &err) != REP_OK) {
			die("fetch: %s", err.text);
		}
		samples_add(&run->samples, now_ns() - due_ns[ticket % SLOTS]);
		run->under_way--;
	}
}

/* One fetch each period, until the time is over; then what is under way. */
static void go(struct run *run, const struct questions *questions, uint64_t period_ns,
	uint64_t for_ns)
{
	const uint64_t began_ns = now_ns();
	const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	const struct timespec period = {.tv_sec = (time_t)(period_ns / 1000000000U),
		.tv_nsec = (long)(period_ns % 1000000000U)};
	const struct itimerspec each = {.it_interval = period, .it_value = period};
	size_t begun = 0;
	if (timer < 0 || timerfd_settime(timer, 0, &each, NULL) != 0) {
		die("no timer");
	}
	while (now_ns() - began_ns < for_ns || run->under_way > 0) {
		struct pollfd polled[2] = {{rep_async_fd(run->async), POLLIN, 0},
			{timer, POLLIN, 0}};
		uint64_t ticks = 0;
		(void)poll(polled, 2, -1);
		if (polled[1].revents != 0 &&
			read(timer, &ticks, sizeof ticks) == (ssize_t)sizeof ticks &&
			now_ns() - began_ns < for_ns) {
			for (uint64_t i = 0; i < ticks; i++, begun++) {
				begin(run, questions_at(questions, begun),
					began_ns + (begun + 1) * period_ns);
			}
		}
		if (polled[0].revents != 0) {
			take(run);
		}
	}
	close(timer);
}

int main(int argc, char **argv)
{
	if (argc != 8) {
		die("usage: bench_hedge ADDRESS HEDGE|- TABLE ROWS KEYS PERIOD_US SECONDS");
	}
	const uint32_t count = number_of(argv[5]);
	if (count == 0 || count > KEYS_MAX) {
		die("KEYS: 1 to %d", KEYS_MAX);
	}
	const struct rep_options options = {.address = argv[1]};
	const struct rep_async_options more = {.hedge = strcmp(argv[2], "-") == 0 ? NULL : argv[2]};
	struct rep_error err = {0};
	struct questions questions;
	struct run run = {.part = {.table = argv[3],
				  .keys = {.count = count},
				  .rows = allocate((size_t)count * MEASURE_ROW_BYTES),
				  .rows_bytes = (size_t)count * MEASURE_ROW_BYTES}};
	struct rep_async_counters counters;
	if (rep_async_open(&options, &more, &run.async, &err) != REP_OK) {
		die("%s", err.text);
	}
	questions_init(&questions, REQUESTS, count, number_of(argv[4]));
	go(&run, &questions, (uint64_t)number_of(argv[6]) * 1000,
		(uint64_t)number_of(argv[7]) * 1000000000U);
	rep_async_count(run.async, &counters);
	samples_print(&run.samples, "fetch");
	printf("fetches %zu fetches\nhedges %llu hedges\nhedges_won %llu hedges\n",
		run.samples.count, (unsigned long long)counters.hedges,
		(unsigned long long)counters.hedges_won);
	samples_fini(&run.samples);
	questions_fini(&questions);
	free(run.part.rows);
	rep_async_close(run.async);
	return 0;
}
