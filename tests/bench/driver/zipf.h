/* zipf.h - numbers drawn by Zipf's law: k with a probability by (k + 1) to the power of -exponent.
 *
 * Threads: any number draw; each has its own `random`.
 */
#ifndef TESTS_BENCH_DRIVER_ZIPF_H
#define TESTS_BENCH_DRIVER_ZIPF_H

#include <stdint.h>

struct zipf {
	uint64_t count;
	double *sums; /* owned: of the weights of all numbers up to each */
};

/* Numbers 0 to count - 1; exponent 0: all alike. */
void zipf_init(struct zipf *zipf, uint64_t count, double exponent);
void zipf_fini(struct zipf *zipf);
uint64_t zipf_draw(const struct zipf *zipf, uint64_t *random);

#endif
