/* seeded_random.c - SplitMix64, and what is drawn from it. */
#include "tools/evaluation/seeded_random.h"

static uint64_t next(struct seeded_random *random)
{
	random->state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = random->state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint32_t seeded_random_below(struct seeded_random *random, uint32_t bound)
{
	/* The largest draws, which do not make a whole round of `bound`, are drawn again. */
	const uint32_t surplus = (uint32_t)((UINT64_C(1) << 32) % bound);
	uint32_t draw = 0;
	do {
		draw = (uint32_t)(next(random) >> 32);
	} while (draw > UINT32_MAX - surplus);
	return draw % bound;
}

void seeded_random_shuffle(struct seeded_random *random, uint32_t *elements, size_t count)
{
	for (size_t left = count; left > 1; left--) {
		const size_t at = seeded_random_below(random, (uint32_t)left);
		const uint32_t drawn = elements[at];
		elements[at] = elements[left - 1];
		elements[left - 1] = drawn;
	}
}
