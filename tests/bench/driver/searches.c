/* searches.c - the recall of an index, and how fast it answers one thread and two. */
#include "tests/bench/driver/searches.h"

#include "tests/bench/driver/measure.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const double second_ns = 1e9;

/* One of the threads that ask at the same time. */
struct asker {
	pthread_t thread;
	const struct vectors *vectors;   /* borrowed */
	const struct searcher *searcher; /* borrowed */
	unsigned number;
	uint64_t end_ns;
	size_t asked;
};

static const float *query_at(const struct vectors *vectors, size_t number)
{
	return vectors->query + number % vectors->queries * vectors->dim;
}

static double recall_of(const struct vectors *vectors, const struct searcher *searcher)
{
	uint32_t *found = allocate(vectors->k * sizeof *found);
	double sum = 0;
	for (uint32_t i = 0; i < vectors->queries; i++) {
		const size_t count = searcher->search(searcher->index, 0, query_at(vectors, i),
			vectors->k, found);
		sum += vectors_recall(vectors, i, found, count);
	}
	free(found);
	return sum / vectors->queries;
}

static void ask_alone(const struct vectors *vectors, const struct searcher *searcher,
	double seconds, const char *name)
{
	uint32_t *found = allocate(vectors->k * sizeof *found);
	struct samples samples = {0};
	const uint64_t cpu_start = client_cpu_ns();
	const uint64_t start = now_ns();
	const uint64_t end = start + (uint64_t)(seconds * second_ns);
	uint64_t last = start;
	for (size_t i = 0; last < end; i++) {
		(void)searcher->search(searcher->index, 0, query_at(vectors, i), vectors->k, found);
		const uint64_t now = now_ns();
		samples_add(&samples, now - last);
		last = now;
	}
	printf("%s_processors %.2f processors\n", name,
		(double)(client_cpu_ns() - cpu_start) / (double)(last - start));
	samples_print(&samples, name);
	samples_fini(&samples);
	free(found);
}

static void *ask(void *arg)
{
	struct asker *asker = arg;
	const struct vectors *vectors = asker->vectors;
	const struct searcher *searcher = asker->searcher;
	uint32_t *found = allocate(vectors->k * sizeof *found);
	if (searcher->alone != NULL) {
		searcher->alone();
	}
	size_t at = (size_t)asker->number * vectors->queries / SEARCHES_THREADS;
	while (now_ns() < asker->end_ns) {
		(void)searcher->search(searcher->index, asker->number, query_at(vectors, at++),
			vectors->k, found);
		asker->asked++;
	}
	free(found);
	return NULL;
}

/* Queries a second. */
static double ask_by_two(const struct vectors *vectors, const struct searcher *searcher,
	double seconds)
{
	struct asker askers[SEARCHES_THREADS];
	const uint64_t start = now_ns();
	for (unsigned i = 0; i < SEARCHES_THREADS; i++) {
		askers[i] = (struct asker){.vectors = vectors,
			.searcher = searcher,
			.number = i,
			.end_ns = start + (uint64_t)(seconds * second_ns)};
		if (pthread_create(&askers[i].thread, NULL, ask, &askers[i]) != 0) {
			die("cannot start a thread");
		}
	}
	size_t asked = 0;
	for (unsigned i = 0; i < SEARCHES_THREADS; i++) {
		(void)pthread_join(askers[i].thread, NULL);
		asked += askers[i].asked;
	}
	return (double)asked * second_ns / (double)(now_ns() - start);
}

void searches_measure(const struct vectors *vectors, const struct searcher *searcher,
	double seconds, const char *name)
{
	if (vectors->nearest == NULL) {
		die("no nearest.u32");
	}
	if (searcher->alone != NULL) {
		searcher->alone();
	}
	const double recall = recall_of(vectors, searcher);
	printf("%s_recall %.5f share\n", name, recall);
	if (recall >= SEARCHES_RECALL_MIN) {
		ask_alone(vectors, searcher, seconds, name);
		printf("%s_by_two %.1f /s\n", name, ask_by_two(vectors, searcher, seconds));
	}
	(void)fflush(stdout);
}
