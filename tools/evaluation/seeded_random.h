/* seeded_random.h - random numbers that are the same for a seed on every machine.
 *
 * Threads: one a generator.
 * Source: SplitMix64, Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014.
 */
#ifndef TOOLS_EVALUATION_SEEDED_RANDOM_H
#define TOOLS_EVALUATION_SEEDED_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Set `state` to the seed; all draws follow from it. */
struct seeded_random {
	uint64_t state;
};

/* Draws a number below `bound` (>= 1). Each is as likely as any other. */
uint32_t seeded_random_below(struct seeded_random *random, uint32_t bound);

/* Shuffles `count` elements, count < 2^32. Each order is as likely as any other. */
void seeded_random_shuffle(struct seeded_random *random, uint32_t *elements, size_t count);

#endif
