/* zipf.c - numbers drawn by Zipf's law, through the sums of their weights. */
#include "tests/bench/driver/zipf.h"

#include "tests/bench/driver/measure.h"

#include <math.h>
#include <stdlib.h>

void zipf_init(struct zipf *zipf, uint64_t count, double exponent)
{
	*zipf = (struct zipf){.count = count, .sums = allocate(count * sizeof *zipf->sums)};
	double sum = 0;
	for (uint64_t i = 0; i < count; i++) {
		sum += pow((double)(i + 1), -exponent);
		zipf->sums[i] = sum;
	}
}

void zipf_fini(struct zipf *zipf)
{
	free(zipf->sums);
	zipf->sums = NULL;
}

uint64_t zipf_draw(const struct zipf *zipf, uint64_t *random)
{
	const uint64_t last = zipf->count - 1;
	const double point = (double)(next_random(random) >> 11) * 0x1p-53 * zipf->sums[last];
	uint64_t low = 0;
	uint64_t high = last;
	while (low < high) {
		const uint64_t at = low + (high - low) / 2;
		if (zipf->sums[at] <= point) {
			low = at + 1;
		} else {
			high = at;
		}
	}
	return low;
}
