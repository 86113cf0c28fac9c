/* balls_candidates.c - scores rows that may be among the best in full, a batch at a time. */
#include "daemon/retrieval/balls/balls_candidates.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
	/* Rows that are scored at once: so many that their memory can be asked for ahead, so few
	 * that they stay in the cache. */
	BATCH_ROWS = 256,
	/* So many are scored before the threshold is looked at again. */
	STEP_ROWS = 64,
};

void balls_candidates_begin(struct balls_candidates *candidates)
{
	const struct topk *top = candidates->query->top;
	struct balls_kth *kth = &candidates->kth;
	kth->kernels = candidates->kernels;
	kth->k = top->k;
	kth->threshold = topk_threshold(top);
	assert(kth->count == 0 && kth->capacity >= kth->k + BALLS_KTH_SPARE);
	for (size_t i = 0; i < top->count;) {
		float scores[BATCH_ROWS];
		size_t count = 0;
		for (; count < BATCH_ROWS && i < top->count; i++) {
			scores[count++] = top->hits[i].score;
		}
		balls_kth_add(kth, scores, count);
	}
}

static void score(struct balls_candidates *candidates, const uint32_t *rows, uint32_t count)
{
	struct balls_query *query = candidates->query;
	float scores[BATCH_ROWS];
	assert(count > 0 && count <= BATCH_ROWS);
	query->bar = candidates->kth.threshold;
	query->score(query->arg, rows, count, scores);
	query->compared += count;
	for (uint32_t i = 0; i < count; i++) {
		if (scores[i] >= query->bar) {
			topk_push(query->top, scores[i],
				query->id == NULL ? rows[i] : query->id(query->arg, rows[i]));
		}
	}
	balls_kth_add(&candidates->kth, scores, count);
}

enum status balls_candidates_score(struct balls_candidates *candidates,
	const struct balls_listed *listed)
{
	uint32_t some[BATCH_ROWS];
	for (uint32_t i = 0; i < listed->count;) {
		uint32_t taken = 0;
		for (; taken < BATCH_ROWS && i < listed->count; i++) {
			const uint32_t row = listed->rows == NULL ? i : listed->rows[i];
			some[taken] = listed->first + row;
			taken += row < listed->most;
		}
		if (balls_is_cancelled(candidates->query)) {
			return STATUS_BUSY;
		}
		if (taken > 0) {
			score(candidates, some, taken);
		}
	}
	return STATUS_OK;
}

/* Moves the candidates that reach `limit` to the front, and drops those below the threshold.
 * Returns the number of those in front. */
static uint32_t part(struct balls_found *found, float limit, float threshold)
{
	uint32_t front = 0;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < found->count; i++) {
		const float upper = found->uppers[i];
		const uint32_t row = found->rows[i];
		if (upper < threshold) {
			continue;
		}
		uint32_t place = kept++;
		if (upper >= limit) {
			found->uppers[place] = found->uppers[front];
			found->rows[place] = found->rows[front];
			place = front++;
		}
		found->uppers[place] = upper;
		found->rows[place] = row;
	}
	found->count = kept;
	return front;
}

void balls_candidates_settle(struct balls_candidates *candidates)
{
	struct balls_found *found = &candidates->found;
	const struct balls_kth *kth = &candidates->kth;
	assert(found->count <= candidates->capacity);
	while (found->count > 0) {
		size_t wanted = kth->count < kth->k ? kth->k - kth->count : STEP_ROWS;
		wanted = wanted < STEP_ROWS ? STEP_ROWS : wanted;
		const size_t enough = wanted + wanted / 4;
		const float limit = found->count <= enough
					    ? -INFINITY
					    : balls_limit(candidates->kernels, found->uppers,
						      found->count, wanted, enough);
		const uint32_t front = part(found, limit, kth->threshold);
		assert(front <= found->count);
		for (uint32_t i = 0; i < front; i += BATCH_ROWS) {
			score(candidates, found->rows + i,
				front - i < BATCH_ROWS ? front - i : BATCH_ROWS);
		}
		found->count -= front;
		memmove(found->uppers, found->uppers + front, found->count * sizeof(float));
		memmove(found->rows, found->rows + front, found->count * sizeof(uint32_t));
	}
}
