/* topk.c - keeps candidates in a buffer and cuts it to the best k by selection. */
#include "daemon/retrieval/score/topk.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The buffer has room for 2 k candidates and so many more. */
enum { TOPK_SPARE = 64 };

enum status topk_init(struct topk *topk, size_t k, float min_score,
	int (*compare)(void *arg, uint64_t a, uint64_t b), void *arg)
{
	assert(k > 0 && compare != NULL);
	*topk = (struct topk){
		.k = k,
		.threshold = min_score,
		.compare = compare,
		.arg = arg,
		.capacity = 2 * k + TOPK_SPARE,
	};
	topk->hits = malloc(topk->capacity * sizeof *topk->hits);
	topk->chance = (uintptr_t)topk->hits; /* no peer knows it */
	return topk->hits == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

enum status topk_copy(const struct topk *from, struct topk *to)
{
	*to = *from;
	to->hits = malloc(from->capacity * sizeof *to->hits);
	if (to->hits == NULL) {
		return STATUS_NO_MEMORY;
	}
	memcpy(to->hits, from->hits, from->count * sizeof *to->hits);
	return STATUS_OK;
}

void topk_fini(struct topk *topk)
{
	free(topk->hits);
	*topk = (struct topk){0};
}

static bool is_better(const struct topk *topk, const struct topk_hit *a, const struct topk_hit *b)
{
	if (a->score != b->score) {
		return a->score > b->score;
	}
	return topk->compare(topk->arg, a->id, b->id) < 0;
}

static void swap(struct topk_hit *a, struct topk_hit *b)
{
	const struct topk_hit kept = *a;
	*a = *b;
	*b = kept;
}

/* One of hits [first, last], by chance. */
static struct topk_hit *any_of(struct topk *topk, size_t first, size_t last)
{
	const size_t count = last - first + 1;
	assert(count > 0);
	topk->chance = topk->chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return &topk->hits[first + (topk->chance >> 33) % count];
}

/* The median of three. Were they at fixed places, a peer could choose an order of candidates for which
 * each step drops a few hits only. */
static struct topk_hit *pivot_of(struct topk *topk, size_t first, size_t last)
{
	struct topk_hit *a = any_of(topk, first, last);
	struct topk_hit *b = any_of(topk, first, last);
	struct topk_hit *c = any_of(topk, first, last);
	if (is_better(topk, b, a)) {
		struct topk_hit *kept = a;
		a = b;
		b = kept;
	}
	if (!is_better(topk, c, b)) {
		return b;
	}
	return is_better(topk, c, a) ? a : c;
}

/* Moves one of hits [first, last] to its place, the better ones before it and the others behind it.
 * Returns that place. */
static size_t part(struct topk *topk, size_t first, size_t last)
{
	struct topk_hit *hits = topk->hits;
	swap(pivot_of(topk, first, last), &hits[last]);
	size_t place = first;
	for (size_t i = first; i < last; i++) {
		if (is_better(topk, &hits[i], &hits[last])) {
			swap(&hits[i], &hits[place++]);
		}
	}
	swap(&hits[place], &hits[last]);
	return place;
}

/* Drops all but the best k, and puts the worst of these last. There are more than k.
 * Source: Hoare, Find, 1961. */
static void cut(struct topk *topk)
{
	size_t first = 0;
	size_t last = topk->count - 1;
	assert(topk->count > topk->k);
	while (first < last) {
		const size_t place = part(topk, first, last);
		if (place == topk->k - 1) {
			break;
		}
		if (place < topk->k) {
			first = place + 1;
		} else {
			last = place - 1;
		}
	}
	topk->count = topk->k;
	assert(topk->hits[topk->k - 1].score >= topk->threshold); /* it only rises */
	topk->threshold = topk->hits[topk->k - 1].score;
}

void topk_push(struct topk *topk, float score, uint64_t id)
{
	if (!(score >= topk->threshold)) {
		return;
	}
	assert(topk->count < topk->capacity);
	topk->hits[topk->count++] = (struct topk_hit){.score = score, .id = id};
	if (topk->count == topk->capacity) {
		cut(topk);
	}
}

float topk_kth(struct topk *topk)
{
	if (topk->count > topk->k) {
		cut(topk);
	}
	if (topk->count < topk->k) {
		return topk->threshold;
	}
	float least = topk->hits[0].score;
	for (size_t i = 1; i < topk->count; i++) {
		least = topk->hits[i].score < least ? topk->hits[i].score : least;
	}
	return least;
}

static int compare_hits(const void *a, const void *b, void *topk)
{
	if (a == b) {
		return 0;
	}
	return is_better(topk, a, b) ? -1 : 1;
}

void topk_finish(struct topk *topk)
{
	if (topk->count > topk->k) {
		cut(topk);
	}
	assert(topk->count <= topk->k);
	qsort_r(topk->hits, topk->count, sizeof *topk->hits, compare_hits, topk);
}
