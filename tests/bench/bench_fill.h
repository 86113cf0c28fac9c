/* bench_fill.h - a store with one large table, for benchmarks in process; and what they measure with.
 *
 * Threads: one at a time.
 */
#ifndef TESTS_BENCH_BENCH_FILL_H
#define TESTS_BENCH_BENCH_FILL_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct store;

/* The live release "r1" with table "ir": u64 keys [0, rows), f32; all elements of row i are i. Prints the rates. */
void bench_fill(struct store *store, uint64_t rows, uint32_t dim);

double bench_now_s(void);
uint64_t bench_next_random(uint64_t *state);
void bench_sort(double *times, size_t count);
void bench_must(enum status status, const struct error *err); /* ends the program if it is not OK */

#endif
