/* bench.h - fetches in a closed loop: each connection asks again as soon as it was answered.
 *
 * Threads: bench_run starts one a connection and waits for them.
 */
#ifndef TOOLS_BENCH_BENCH_H
#define TOOLS_BENCH_BENCH_H

#include "tools/bench/histogram.h"
#include "tools/command/argument.h"
#include "tools/command/session.h"
#include "tools/format/buffer.h"

#include <stdbool.h>
#include <stdint.h>

enum { BENCH_PARTS_MAX = 8 };

/* A table, and the keys to draw from: those collected (u64 or byte strings), or all numbers below
 * keys_max. */
struct bench_table {
	char name[136];
	struct rep_table shape;
	struct buffer keys; /* packed */
	struct buffer at;   /* uint32_t for each byte string: where its length stands in `keys` */
	uint32_t key_count;
	uint64_t keys_max; /* 0: keys are drawn from `keys` */
};

struct bench {
	const struct session *session; /* borrowed */
	const char *release;           /* NULL: the live one; may point into `place` */
	struct place place;            /* of the table that was named last */
	const char *dtype;             /* NULL: as stored */
	struct bench_table tables[BENCH_PARTS_MAX];
	uint64_t table_count;
	uint64_t rows; /* of each part of a request */
	uint64_t connections;
	uint64_t requests; /* of all connections; 0: as many as fit into the time */
	uint64_t milliseconds;
};

struct bench_result {
	struct histogram latency_ns;
	uint64_t requests;
	uint64_t rows;
	uint64_t found;
	uint64_t row_bytes; /* of the rows received */
	double seconds;
};

/* Collects up to a million keys of each table by scanning. */
enum rep_status bench_collect_keys(struct bench *bench, rep_client *client, struct rep_error *err);
/* Runs the benchmark. Keys were collected before, for tables whose keys_max is 0. */
enum rep_status bench_run(const struct bench *bench, struct bench_result *out,
	struct rep_error *err);
void bench_fini(struct bench *bench);

#endif
