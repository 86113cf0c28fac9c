/* topk.h - the best k of many candidates.
 *
 *   topk_init -> [score >= topk_threshold: topk_push] ... -> topk_finish -> hits -> topk_fini
 *
 * The larger score is better; of equal scores, the one that `compare` puts first. Candidates go
 * into a flat buffer. When it is full, selection cuts it to the best k; from then on only a score
 * that reaches the k-th best is worth a push.
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
	uint64_t id; /* chosen by the caller */
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
	uint64_t chance;       /* where selection splits; it selects the same wherever that is */
};

/* Begins with no candidates. k is at least 1. Lower scores than `min_score` are left out
 * (-INFINITY: none is). Errors: NO_MEMORY. */
enum status topk_init(struct topk *topk, size_t k, float min_score,
	int (*compare)(void *arg, uint64_t a, uint64_t b), void *arg);
void topk_fini(struct topk *topk);
/* Makes a second one of the same candidates; it needs topk_fini of its own, also after a failure.
 * Errors: NO_MEMORY. */
enum status topk_copy(const struct topk *from, struct topk *to);

/* No lower score can be among the best any more; an equal one still can. */
static inline float topk_threshold(const struct topk *topk)
{
	return topk->threshold;
}

/* Adds a candidate. Each id comes once. A NaN is left out. */
void topk_push(struct topk *topk, float score, uint64_t id);

/* The k-th best score; the least that is worth a push while there are fewer. */
float topk_kth(struct topk *topk);

/* Sorts the best, at most k of them, into `hits`, the best first. */
void topk_finish(struct topk *topk);

#endif
