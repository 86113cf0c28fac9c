/* bench_retrieve.h - retrievals in a closed loop, and their recall: the share of the best items
 * that they find.
 *
 * Threads: bench_retrieve_run starts one a connection and waits for them.
 */
#ifndef TOOLS_BENCH_BENCH_RETRIEVE_H
#define TOOLS_BENCH_BENCH_RETRIEVE_H

#include "tools/bench/bench.h"

struct bench_retrieve {
	/* Of it: one table, whose rows are the queries; connections; milliseconds. */
	struct bench bench;
	const char *in;
	const char *metric; /* NULL: inner product */
	uint64_t k;
	double approximate; /* 0: exact */
	const char *any;    /* the option: 64 bits; NULL: not given */
	/* Which items may be found, as in rep_retrieval. */
	uint64_t tags_any;
	uint64_t tags_all;
	uint64_t tags_none;
};

struct bench_retrieved {
	struct histogram latency_ns;
	uint64_t requests;
	uint64_t compared; /* rows that all requests looked at */
	uint64_t exact;    /* requests whose answer was exact */
	double seconds;
};

/* Both functions draw from keys that bench_collect_keys has collected. */
enum rep_status bench_retrieve_run(const struct bench_retrieve *bench, struct bench_retrieved *out,
	struct rep_error *err);

/* Asks some queries twice, as `bench` says and exactly. out: the share of the exact answers that
 * the first ones have too. */
enum rep_status bench_retrieve_recall(const struct bench_retrieve *bench, double *out,
	struct rep_error *err);

#endif
