/* search_rank.c - samples rows before a search, and counts scores after it. */
#include "daemon/search/search_rank.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "daemon/search/search_rules.h"
#include "daemon/store/base/segment.h"
#include "daemon/store/snapshot/level.h"

enum {
	SAMPLE_ROWS = 512,
	SCORES_MIN = 1024,
};

bool search_may_drop(const struct search *search)
{
	const struct filter *filter = search->options.filter;
	return filter->has_tags || search_spec(search)->ttl_ms != 0 ||
	       !key_set_is_empty(&filter->denied) || rows_are_followed(&search->rows);
}

/* The lower end of what a sample says of a share: Wilson's interval, 1.64 standard errors. */
static double least_share(uint64_t passed, uint64_t count)
{
	const double z = 1.64;
	const double n = (double)count;
	const double share = (double)passed / n;
	const double error = z * sqrt((share * (1 - share) + z * z / (4 * n)) / n);
	return (share + z * z / (2 * n) - error) / (1 + z * z / n);
}

uint64_t search_hits_among(const struct search *search)
{
	const struct table *items = search->options.place->items;
	const uint64_t rows = items->level_count == 0 ? 0 : items->levels[0]->rows;
	const uint64_t k = search->options.k;
	if (!search->options.filter->has_tags || rows == 0) {
		return k; /* what else may drop rows is counted by the search */
	}
	const uint64_t step = (rows + SAMPLE_ROWS - 1) / SAMPLE_ROWS;
	uint64_t count = 0;
	uint64_t passed = 0;
	for (uint64_t row = step / 2; row < rows; row += step) {
		const struct row_place place = rows_place(&search->rows, row);
		passed += search_passes(search, place.view->times + place.row,
			place.view->tags == NULL ? NULL : place.view->tags + place.row);
		count++;
	}
	assert(count > 0);
	const double share =
		step == 1 ? (double)passed / (double)count : least_share(passed, count);
	const double hits = ceil((double)k / share);
	return share > 0 && hits < (double)UINT32_MAX ? (uint64_t)hits : UINT64_MAX;
}

/* ---- ranks ---- */

void search_rank_fini(struct search_rank *rank)
{
	free(rank->scores);
	*rank = (struct search_rank){0};
}

enum status search_rank_add(struct search_rank *rank, float score)
{
	if (rank->count == rank->capacity) {
		const size_t capacity = rank->capacity == 0 ? SCORES_MIN : 2 * rank->capacity;
		float *scores = realloc(rank->scores, capacity * sizeof *scores);
		if (scores == NULL) {
			return STATUS_NO_MEMORY;
		}
		rank->scores = scores;
		rank->capacity = capacity;
	}
	rank->scores[rank->count++] = score;
	return STATUS_OK;
}

uint64_t search_rank_of(const struct search_rank *rank, struct topk *top)
{
	const float kth = topk_kth(top);
	uint64_t count = top->count < top->k ? top->count : top->k;
	for (size_t i = 0; i < rank->count; i++) {
		count += rank->scores[i] >= kth;
	}
	return count;
}
