/* bench_vectors.c - makes the vectors, queries and nearest vectors that tests/bench/retrieval asks
 * for.
 *
 *   bench_vectors FOLDER ROWS DIM KIND [NAME=VALUE]...
 *
 * KIND is norms (inner product, lognormal lengths), unit (inner product, length 1) or plain (L2).
 * NAME=VALUE is one of queries= (1000), k= (100), centres= (1000), noise= (0.5), decay= (0.5),
 * sigma= (0.2), seed= (1). vectors.h says what is written. Prints how long that took, and how fast
 * the vectors can be read from memory, by one thread and by two: no search that looks at all of
 * them is faster.
 */
#include "tests/bench/driver/measure.h"
#include "tests/bench/driver/nearest.h"
#include "tests/bench/driver/vectors.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ARGS = 5, /* before the names */
	READERS_MAX = 2,
	ROUNDS = 5,
};

static uint64_t number_in(const char *what, const char *text, uint64_t max)
{
	char *end = NULL;
	const unsigned long long value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || value == 0 || value > max) {
		die("%s: '%s': 1 to %llu is allowed", what, text, (unsigned long long)max);
	}
	return value;
}

static double real_in(const char *what, const char *text)
{
	char *end = NULL;
	const double value = strtod(text, &end);
	if (end == text || *end != '\0' || !(value >= 0 && value < 1000)) {
		die("%s: '%s': 0 to 1000 is allowed", what, text);
	}
	return value;
}

static enum vectors_kind kind_of(const char *name)
{
	static const char *const names[] =
		{[VECTORS_NORMS] = "norms", [VECTORS_UNIT] = "unit", [VECTORS_PLAIN] = "plain"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(name, names[i]) == 0) {
			return (enum vectors_kind)i;
		}
	}
	die("'%s': norms, unit and plain are allowed", name);
}

static void read_option(struct vectors_plan *plan, const char *text)
{
	static const struct {
		const char *name;
		size_t at;
		uint64_t max;
	} counts[] = {
		{"queries=", offsetof(struct vectors_plan, queries), VECTORS_QUERIES_MAX},
		{"k=", offsetof(struct vectors_plan, k), VECTORS_K_MAX},
		{"centres=", offsetof(struct vectors_plan, centres), VECTORS_CENTRES_MAX},
	};
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		const size_t len = strlen(counts[i].name);
		if (strncmp(text, counts[i].name, len) == 0) {
			const uint32_t value = (uint32_t)number_in(text, text + len, counts[i].max);
			memcpy((char *)plan + counts[i].at, &value, sizeof value);
			return;
		}
	}
	if (strncmp(text, "noise=", 6) == 0) {
		plan->noise = real_in(text, text + 6);
	} else if (strncmp(text, "decay=", 6) == 0) {
		plan->decay = real_in(text, text + 6);
	} else if (strncmp(text, "sigma=", 6) == 0) {
		plan->sigma = real_in(text, text + 6);
	} else if (strncmp(text, "seed=", 5) == 0) {
		plan->seed = number_in(text, text + 5, UINT32_MAX);
	} else {
		die("'%s': not an option", text);
	}
}

/* ---- how fast memory is ---- */

static volatile uint64_t read_sum; /* so that the reads are not left out */

struct reader {
	pthread_t thread;
	const uint64_t *words;
	size_t count;
	uint64_t sum;
};

static void *read_words(void *arg)
{
	struct reader *reader = arg;
	uint64_t sums[16] = {0};
	for (size_t i = 0; i + 16 <= reader->count; i += 16) {
		for (size_t j = 0; j < 16; j++) {
			sums[j] ^= reader->words[i + j];
		}
	}
	for (size_t j = 0; j < 16; j++) {
		reader->sum ^= sums[j];
	}
	return NULL;
}

/* The best of some rounds. */
static void print_bandwidth(const struct vectors *vectors, size_t readers_count)
{
	const size_t words = vectors->rows * vectors->dim * sizeof(float) / sizeof(uint64_t);
	uint64_t best_ns = UINT64_MAX;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct reader readers[READERS_MAX] = {0};
		const uint64_t start = now_ns();
		for (size_t i = 0; i < readers_count; i++) {
			readers[i].words = (const uint64_t *)(const void *)vectors->row +
					   words / readers_count * i;
			readers[i].count = words / readers_count;
			if (pthread_create(&readers[i].thread, NULL, read_words, &readers[i]) !=
				0) {
				die("cannot start a thread");
			}
		}
		for (size_t i = 0; i < readers_count; i++) {
			(void)pthread_join(readers[i].thread, NULL);
			read_sum ^= readers[i].sum;
		}
		const uint64_t took = now_ns() - start;
		best_ns = took < best_ns ? took : best_ns;
	}
	printf("read_by_%zu %.1f GB/s\n", readers_count,
		(double)(words * sizeof(uint64_t)) / (double)best_ns);
}

int main(int argc, char **argv)
{
	cpu_set_t cpus;
	if (argc < ARGS) {
		die("FOLDER ROWS DIM KIND [NAME=VALUE]... is asked for");
	}
	struct vectors_plan plan = {
		.rows = number_in("rows", argv[2], UINT32_MAX),
		.dim = (uint32_t)number_in("dim", argv[3], VECTORS_DIM_MAX),
		.kind = kind_of(argv[4]),
		.queries = 1000,
		.k = 100,
		.centres = 1000,
		.noise = 0.5,
		.decay = 0.5,
		.sigma = 0.2,
		.seed = 1,
		.threads = 1,
	};
	for (int i = ARGS; i < argc; i++) {
		read_option(&plan, argv[i]);
	}
	if (plan.k > plan.rows) {
		die("k: %u of %llu rows", plan.k, (unsigned long long)plan.rows);
	}
	if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) {
		const int count = CPU_COUNT(&cpus);
		plan.threads =
			(uint32_t)(count < VECTORS_THREADS_MAX ? count : VECTORS_THREADS_MAX);
	}
	const uint64_t start = now_ns();
	vectors_write(argv[1], &plan);
	const uint64_t made = now_ns();
	nearest_write(argv[1], plan.threads);
	printf("vectors_made %.2f s\n", (double)(made - start) / 1e9);
	printf("nearest_made %.2f s\n", (double)(now_ns() - made) / 1e9);
	struct vectors vectors;
	vectors_open(argv[1], &vectors);
	print_bandwidth(&vectors, 1);
	print_bandwidth(&vectors, 2);
	vectors_close(&vectors);
	return 0;
}
