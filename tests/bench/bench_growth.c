/* bench_growth.c - many connections that ask one table of a repstored for random keys; what
 * tests/bench/growth repeats over sizes.
 *
 *   bench_growth ADDRESS ROWS KEYS CONNECTIONS SECONDS
 *
 * Table "ir" holds the keys 0 to ROWS - 1 and rows of 64 f32 (bench_peers load). A connection is a
 * thread with a client of its own, which asks again when it has its answer. Prints the requests a
 * second of all together, and how long one took.
 */
#include "tests/bench/driver/measure.h"
#include "tests/bench/peer/peer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYS_KEPT = 1 << 20, CONNECTIONS_MAX = 1024, WARM_NS = 100 * 1000 * 1000 };

struct asker {
	const char *address;               /* borrowed */
	const struct questions *questions; /* borrowed */
	pthread_barrier_t *start;          /* borrowed */
	size_t first;
	uint64_t for_ns;
	struct samples samples;
	pthread_t thread;
};

static void *ask(void *arg)
{
	struct asker *asker = arg;
	uint8_t *out = allocate((size_t)asker->questions->keys_each * MEASURE_ROW_BYTES);
	struct peer *peer = peer_repstored.open(asker->address, asker->questions, NULL);
	size_t request = asker->first;
	const uint64_t warm_end = now_ns() + WARM_NS;
	do {
		peer_repstored.fetch(peer, request++, out);
	} while (now_ns() < warm_end);
	(void)pthread_barrier_wait(asker->start);
	uint64_t before = now_ns();
	const uint64_t end = before + asker->for_ns;
	while (before < end) {
		peer_repstored.fetch(peer, request++, out);
		const uint64_t after = now_ns();
		samples_add(&asker->samples, after - before);
		before = after;
	}
	peer_repstored.close(peer);
	free(out);
	return NULL;
}

static void run(struct asker *askers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (pthread_create(&askers[i].thread, NULL, ask, &askers[i]) != 0) {
			die("no thread for connection %zu", i);
		}
	}
	struct samples all = {0};
	size_t requests = 0;
	for (size_t i = 0; i < count; i++) {
		(void)pthread_join(askers[i].thread, NULL);
		const struct samples *samples = &askers[i].samples;
		for (size_t j = 0; j < samples->count; j++) {
			samples_add(&all, samples->ns[j]);
		}
		requests += samples->count;
		samples_fini(&askers[i].samples);
	}
	printf("together %.0f /s\n", (double)requests * 1e9 / (double)askers[0].for_ns);
	samples_print(&all, "fetch");
	samples_fini(&all);
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		(void)fputs("usage: bench_growth ADDRESS ROWS KEYS CONNECTIONS SECONDS\n", stderr);
		return 2;
	}
	const uint64_t rows = strtoull(argv[2], NULL, 10);
	const uint32_t keys = (uint32_t)strtoul(argv[3], NULL, 10);
	const unsigned connections = (unsigned)strtoul(argv[4], NULL, 10);
	const double seconds = strtod(argv[5], NULL);
	if (rows == 0 || keys == 0 || keys > KEYS_KEPT || connections == 0 ||
		connections > CONNECTIONS_MAX || !(seconds > 0)) {
		die("a number is out of range");
	}
	struct questions questions;
	questions_init(&questions, KEYS_KEPT / keys, keys, rows);
	pthread_barrier_t start;
	(void)pthread_barrier_init(&start, NULL, connections);
	struct asker *askers = allocate(connections * sizeof *askers);
	for (size_t i = 0; i < connections; i++) {
		askers[i] = (struct asker){.address = argv[1],
			.questions = &questions,
			.start = &start,
			.first = i * questions.requests / connections,
			.for_ns = (uint64_t)(seconds * 1e9)};
	}
	run(askers, connections);
	(void)pthread_barrier_destroy(&start);
	free(askers);
	questions_fini(&questions);
	return 0;
}
