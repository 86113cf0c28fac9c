/* balls_random.h - numbers that follow from a seed.
 *
 * Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014 (SplitMix64).
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_RANDOM_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_RANDOM_H

#include <stdint.h>

static inline uint64_t balls_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* 0 up to but not 1. */
static inline double balls_random_unit(uint64_t *state)
{
	return (double)(balls_random(state) >> 11) * 0x1p-53;
}

#endif
