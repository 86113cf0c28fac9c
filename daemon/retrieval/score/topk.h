/* topk.h - the best k of many candidates.
 *
 *   topk_init -> [score >= topk_threshold: topk_push] ... -> topk_finish -> hits -> topk_fini
 *
 * Better is the larger score; of equal scores, what `compare` puts first. Candidates go into a flat
 * buffer, which is cut to the best k by selection when it is full; after that only what reaches
 * the k-th best score is worth a push.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_RETRIEVAL_SCORE_TOPK_H
#define DAEMON_RETRIEVAL_SCORE_TOPK_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct topk_hit {
	float score;
	uint64_t id; /* the caller's */
};

struct topk {
	size_t k;
	float threshold; /* see topk_threshold */
	/* Less than 0: the row of id `a` comes before that of `b` when their scores are equal. */
	int (*compare)(void *arg, uint64_t a, uint64_t b);
	void *arg;
	size_t count;
	size_t capacity;
	struct topk_hit *hits; /* owned */
};

/* For the best `k`, at least 1, of the scores that are at least `min_score` (-INFINITY: all).
 * Errors: NO_MEMORY. */
enum status topk_init(struct topk *topk, size_t k, float min_score,
	int (*compare)(void *arg, uint64_t a, uint64_t b), void *arg);
void topk_fini(struct topk *topk);

/* No lower score can be among the best any more; an equal one still may. */
static inline float topk_threshold(const struct topk *topk)
{
	return topk->threshold;
}

/* Adds a candidate; each id comes once. NaN is no score: it is left out. */
void topk_push(struct topk *topk, float score, uint64_t id);

/* Leaves the best, at most k, best first, in `hits`. */
void topk_finish(struct topk *topk);

#endif
