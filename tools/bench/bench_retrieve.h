/* bench_retrieve.h - retrievals in a closed loop, and what share of the best they find.
 *
 * Threads: bench_retrieve_run starts one a connection and waits for them.
 */
#ifndef TOOLS_BENCH_BENCH_RETRIEVE_H
#define TOOLS_BENCH_BENCH_RETRIEVE_H

#include "tools/bench/bench.h"

struct bench_retrieve {
	struct bench
		bench; /* one table, whose rows are the queries; connections and milliseconds */
	const char *in;
	const char *metric; /* NULL: inner product */
	uint64_t k;
	double approximate; /* 0: exact */
};

struct bench_retrieved {
	struct histogram latency_ns;
	uint64_t requests;
	uint64_t compared; /* of all requests */
	uint64_t exact;    /* requests whose answer was */
	double seconds;
};

/* The keys are collected already; likewise below. */
enum rep_status bench_retrieve_run(const struct bench_retrieve *bench, struct bench_retrieved *out,
	struct rep_error *err);

/* What share of the exact answers to some queries their answers have. */
enum rep_status bench_retrieve_recall(const struct bench_retrieve *bench, double *out,
	struct rep_error *err);

#endif
