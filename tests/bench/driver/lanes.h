/* lanes.h - many connections to one system, each of which puts again when it has its answer.
 *
 * One thread serves all: the cores of a small machine are left to the system that is measured.
 */
#ifndef TESTS_BENCH_DRIVER_LANES_H
#define TESTS_BENCH_DRIVER_LANES_H

#include "tests/bench/driver/put.h"

struct lanes;

/* Where requests come from, and who is told that they were acknowledged. */
struct lanes_source {
	const uint8_t *rows; /* borrowed: of put_request_init */
	/* Makes a request the next one: its number, its keys, what else changes. */
	void (*next)(void *arg, struct put_request *request);
	void (*acknowledged)(void *arg, const struct put_request *request);
	void *arg;
};

/* `count` connections with requests of `rows_each` rows. */
struct lanes *lanes_open(const struct put_kind *kind, const char *path, unsigned count,
	uint32_t rows_each, const struct lanes_source *source);
void lanes_close(struct lanes *lanes);

/* Puts: no request is begun after `for_ns`, one at least by each connection, and all are waited
 * for; one that is answered with BUSY is sent again. Returns how many; adds the time of each to
 * `samples`. */
size_t lanes_run(struct lanes *lanes, uint64_t for_ns, struct samples *samples);
/* How often the answer was BUSY. */
uint64_t lanes_busy(const struct lanes *lanes);

#endif
