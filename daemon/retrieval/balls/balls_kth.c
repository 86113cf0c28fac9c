/* balls_kth.c - selects the k-th best score by counting. */
#include "daemon/retrieval/balls/balls_kth.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { EVEN_ROUNDS = 12 };

/* An integer for each float, in the same order. */
static int32_t key_of(float value)
{
	int32_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits < 0 ? bits ^ INT32_MAX : bits;
}

static float value_of(int32_t key)
{
	const int32_t bits = key < 0 ? key ^ INT32_MAX : key;
	float value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

float balls_limit(const struct balls_kernels *kernels, const float *values, size_t count,
	size_t wanted, size_t enough)
{
	float low;
	float high;
	assert(wanted > 0 && wanted <= count && wanted <= enough);
	kernels->extent(values, count, &low, &high);
	/* At least `wanted` values reach `from`; fewer reach `to`. */
	int64_t from = key_of(low);
	int64_t to = (int64_t)key_of(high) + 1;
	for (int round = 0; to - from > 1; round++) {
		int64_t middle = from + (to - from) / 2;
		if (round < EVEN_ROUNDS) {
			/* If the values lie evenly, this is nearer to the limit than the middle of
			 * the integers. */
			const float even = low + (high - low) / 2;
			const int64_t key = key_of(even);
			middle = key > from && key < to ? key : middle;
		}
		const float limit = value_of((int32_t)middle);
		const size_t some = kernels->count(values, count, limit);
		if (some < wanted) {
			to = middle;
			high = limit;
		} else {
			from = middle;
			low = limit;
			if (some <= enough) {
				break;
			}
		}
	}
	return value_of((int32_t)from);
}

/* Drops all scores but the best k. */
static void cut(struct balls_kth *kth)
{
	const float limit = balls_limit(kth->kernels, kth->scores, kth->count, kth->k, kth->k);
	size_t kept = 0;
	size_t equal = 0;
	for (size_t i = 0; i < kth->count; i++) {
		const float score = kth->scores[i];
		equal += score == limit;
		kth->scores[kept] = score;
		kept += score > limit;
	}
	for (; kept < kth->k && equal > 0; equal--) {
		kth->scores[kept++] = limit;
	}
	assert(kept == kth->k);
	/* A limit that no score equals lies between scores: then exactly k scores are greater. */
	kth->count = kept;
	kth->settled = kept;
	kth->threshold = limit > kth->threshold ? limit : kth->threshold;
}

void balls_kth_add(struct balls_kth *kth, const float *scores, size_t count)
{
	assert(count <= BALLS_KTH_SPARE);
	if (kth->count + count > kth->capacity) {
		cut(kth);
	}
	assert(kth->count + count <= kth->capacity);
	for (size_t i = 0; i < count; i++) {
		kth->scores[kth->count] = scores[i];
		kth->count += scores[i] >= kth->threshold;
	}
	if (kth->count >= kth->k &&
		(kth->settled < kth->k || kth->count - kth->settled > kth->k / 8)) {
		cut(kth);
	}
}
