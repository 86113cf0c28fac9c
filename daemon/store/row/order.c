/* order.c - a radix sort of row references, least significant byte first. */
#include "daemon/store/row/order.h"

#include <assert.h>
#include <string.h>

enum { DIGIT_BITS = 8, DIGITS = 8, BUCKETS = 1 << DIGIT_BITS };

void order_by_hash(struct order_entry *entries, struct order_entry *scratch, size_t count)
{
	assert(count == 0 || entries != scratch);
	size_t counts[DIGITS][BUCKETS] = {0};
	for (size_t i = 0; i < count; i++) {
		for (unsigned digit = 0; digit < DIGITS; digit++) {
			counts[digit][entries[i].hash >> (digit * DIGIT_BITS) & (BUCKETS - 1)]++;
		}
	}
	struct order_entry *from = entries;
	struct order_entry *to = scratch;
	for (unsigned digit = 0; digit < DIGITS && count > 0; digit++) {
		const unsigned shift = digit * DIGIT_BITS;
		/* A byte that all hashes share (the prefix of a segment) needs no pass. */
		if (counts[digit][from[0].hash >> shift & (BUCKETS - 1)] == count) {
			continue;
		}
		size_t starts[BUCKETS];
		size_t at = 0;
		for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
			starts[bucket] = at;
			at += counts[digit][bucket];
		}
		assert(at == count); /* so no entry is placed beyond `to` */
		for (size_t i = 0; i < count; i++) {
			to[starts[from[i].hash >> shift & (BUCKETS - 1)]++] = from[i];
		}
		struct order_entry *swap = from;
		from = to;
		to = swap;
	}
	if (from != entries) {
		memcpy(entries, from, count * sizeof *entries);
	}
}
