/* nearest.h - the nearest vectors of each query, by comparing it with all of them in f64.
 *
 * Products of two f32 are exact in f64, so only the order of the sums rounds.
 */
#ifndef TESTS_BENCH_DRIVER_NEAREST_H
#define TESTS_BENCH_DRIVER_NEAREST_H

#include "tests/bench/driver/vectors.h"

/* Writes nearest.u32 of a folder that vectors_write has filled: the nearest first, of two that are
 * as near the lower number. */
void nearest_write(const char *folder, uint32_t threads);

#endif
