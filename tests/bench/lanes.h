/* lanes.h - many connections to one system, each of which puts again when it has its answer.
 *
 * One thread serves all: the cores of a small machine are left to the system that is measured.
 */
#ifndef TESTS_BENCH_LANES_H
#define TESTS_BENCH_LANES_H

#include "tests/bench/ledger.h"
#include "tests/bench/put.h"

struct lanes;

/* `count` connections with requests of `rows_each` rows. The ledger is borrowed. */
struct lanes *lanes_open(const struct put_kind *kind, const char *path, unsigned count,
	uint32_t rows_each, struct ledger *ledger);
void lanes_close(struct lanes *lanes);

/* Puts rows under random keys: no request is begun after `for_ns`, one at least by each
 * connection, and all are waited for. Returns how many; adds the time of each to `samples`. */
size_t lanes_run(struct lanes *lanes, uint64_t *random, uint64_t for_ns, struct samples *samples);

#endif
