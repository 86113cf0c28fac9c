/* balls_search.c - a search through granular balls.
 *
 *   balls_search -> score the loose rows
 *                -> bound all balls -> visit the most promising ones: the k-th best score rises
 *                -> visit the others whose bound reaches it: bound their blocks, then the rows of
 *                   these by their codes
 *   in between      settle: score the best candidates in full; the others must then beat these
 *
 * Rounding. With e = 2^-24, a product of two rows that is summed in f32 is off by at most
 * (dim / 16 + 5) e |x| |y|. A bound is made of a few such products (the projection on the axis,
 * those on the prefix), and so is the score that it is compared with. `slack` is more than the
 * errors of all of them together: each bound is raised by slack |q| |x| before it is compared.
 */
#include "daemon/retrieval/balls/balls_search.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/balls/balls_image.h"
#include "daemon/retrieval/balls/balls_norm.h"
#include "daemon/retrieval/balls/balls_visit.h"
#include "daemon/retrieval/layers/adapter_kernels.h"

enum {
	/* So many candidates wait before they are settled. */
	WAITING_ROWS = 128,
	CANDIDATES_MIN = 4096,
	SEEDS_MAX = 64,
	BUCKETS = 64,
	/* The memory of a ball is asked for so many balls before its visit. */
	AHEAD = 4,
};

/* The factor of the term |s| |r| when the first balls are chosen; a smaller one of the query
 * counts. */
static const float begin_factor_max = 0.25f;

struct search {
	uint64_t rows; /* of all parts */
	struct balls_lie lie;
	/* [balls] each. */
	float *promises; /* the score that the best row of a ball is likely to have */
	float *bounds;
	uint32_t *some; /* balls to visit */
	uint32_t *order;
	struct balls_coded coded; /* the query */
	struct balls_visits visits;
};

/* ---- memory ---- */

void balls_space_fini(struct balls_space *space)
{
	free(space->memory);
	*space = (struct balls_space){0};
}

/* Takes `bytes` of the memory. With NULL it only counts them. */
static void *take(uint8_t *memory, size_t *at, size_t bytes)
{
	uint8_t *start = memory == NULL ? NULL : memory + *at;
	*at += (bytes + BALLS_ALIGN - 1) / BALLS_ALIGN * BALLS_ALIGN;
	return start;
}

static size_t lay_out(struct search *search, uint8_t *memory)
{
	struct balls_candidates *candidates = &search->visits.candidates;
	const struct balls *of = balls_of_axes(&search->visits);
	const size_t balls = of->balls;
	const size_t prefix = balls_whole_lanes(of->prefix);
	const size_t k = candidates->query->top->k;
	size_t at = 0;
	search->coded.dims = (of->dim + 3) / 4 * 4;
	for (size_t i = 0; i < BALLS_VISITS; i++) {
		search->visits.sides[i].coded.dims = of->prefix;
		search->visits.sides[i].coded.codes = take(memory, &at, prefix);
	}
	candidates->capacity = (k < CANDIDATES_MIN / 4 ? CANDIDATES_MIN : 4 * k) + BALLS_CHUNK_ROWS;
	candidates->kth.capacity = 2 * k + BALLS_KTH_SPARE;
	search->lie.along = take(memory, &at, balls * sizeof(float));
	search->lie.errors = take(memory, &at, (balls / BALLS_BLOCK_ROWS + 1) * sizeof(float));
	search->promises = take(memory, &at, balls * sizeof(float));
	search->bounds = take(memory, &at, balls * sizeof(float));
	search->some = take(memory, &at, (balls + 1) * sizeof(uint32_t));
	search->order = take(memory, &at, balls * sizeof(uint32_t));
	search->coded.codes = take(memory, &at, balls_whole_lanes(search->coded.dims));
	search->visits.prefix_query = take(memory, &at, prefix * sizeof(float));
	search->visits.prefix_beside = take(memory, &at, prefix * sizeof(float));
	candidates->found.uppers = take(memory, &at, candidates->capacity * sizeof(float));
	candidates->found.rows = take(memory, &at, candidates->capacity * sizeof(uint32_t));
	candidates->kth.scores = take(memory, &at, candidates->kth.capacity * sizeof(float));
	return at;
}

static enum status get_space(struct search *search, struct balls_space *space)
{
	const size_t bytes = lay_out(search, NULL);
	if (space->bytes < bytes) {
		balls_space_fini(space);
		if (posix_memalign(&space->memory, BALLS_ALIGN, bytes) != 0) {
			space->memory = NULL;
			return STATUS_NO_MEMORY;
		}
		space->bytes = bytes;
	}
	const size_t used = lay_out(search, space->memory);
	assert(used == bytes && used <= space->bytes);
	return STATUS_OK;
}

/* ---- all balls ---- */

/* Finds how the query lies by the axes, and projects it on the prefix. */
static void look_along(struct search *search)
{
	const struct balls *balls = balls_of_axes(&search->visits);
	const float *query = search->visits.candidates.query->query;
	const struct balls_along along = {
		.terms = search->visits.terms,
		.balls = balls,
		.coded = &search->coded,
		.lie = search->lie,
	};
	search->visits.kernels->encode(query, balls->dim, &search->coded);
	search->visits.kernels->along(&along);
	memset(search->visits.prefix_query, 0, balls_whole_lanes(balls->prefix) * sizeof(float));
	if (balls->basis == NULL) {
		memcpy(search->visits.prefix_query, query, balls->dim * sizeof(float));
		return;
	}
	const struct adapter_product product = {
		.x = query,
		.w = balls->basis,
		.y = search->visits.prefix_query,
		.rows = 1,
		.outs = balls->prefix,
		.in = balls->dim,
		.y_stride = balls->prefix,
	};
	adapter_kernels_at(0)->product(&product);
}

/* Bounds each ball: the best of what its parts may have. */
static void look_around(const struct search *search, float factor, float *bounds)
{
	for (size_t i = 0; i < search->visits.part_count; i++) {
		const struct balls_around around = {
			.terms = search->visits.terms,
			.balls = search->visits.parts[i].balls,
			.lie = search->lie,
			.factor = factor,
			.is_more = i > 0,
			.bounds = bounds,
		};
		search->visits.kernels->around(&around);
	}
}

/* Chooses the most promising balls, best first, so many that they hold about 2 k rows. */
static uint32_t choose_seeds(struct search *search, uint32_t *seeds)
{
	const struct balls *balls = balls_of_axes(&search->visits);
	const uint64_t rows = 2 * (uint64_t)search->visits.candidates.kth.k;
	uint64_t wanted = 3 + rows * balls->balls / (search->rows + 1);
	wanted = wanted < SEEDS_MAX ? wanted : SEEDS_MAX;
	wanted = wanted < balls->balls ? wanted : balls->balls;
	const float limit =
		balls_limit(search->visits.kernels, search->promises, balls->balls, wanted, wanted);
	uint32_t *some = search->some;
	uint32_t count = search->visits.kernels->pick(search->promises, balls->balls, limit, some);
	count = count < SEEDS_MAX ? count : SEEDS_MAX;
	assert(wanted > 0);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t place = i;
		const float promise = search->promises[some[i]];
		for (; place > 0 && search->promises[seeds[place - 1]] < promise; place--) {
			seeds[place] = seeds[place - 1];
		}
		seeds[place] = some[i];
	}
	return count;
}

/* About how many rows a ball has. */
static uint64_t count_rows(const struct search *search, uint32_t ball)
{
	uint64_t blocks = 0;
	for (size_t i = 0; i < search->visits.part_count; i++) {
		blocks += balls_count_blocks(search->visits.parts[i].balls, ball);
	}
	return blocks * BALLS_BLOCK_ROWS;
}

static void visit_seeds(struct search *search)
{
	uint32_t seeds[SEEDS_MAX];
	const float factor = search->visits.terms.factor;
	look_around(search, factor < begin_factor_max ? factor : begin_factor_max,
		search->promises);
	const uint32_t count = choose_seeds(search, seeds);
	uint64_t rows = 0;
	for (uint32_t i = 0; i < count && rows < 2 * search->visits.candidates.kth.k; i++) {
		const uint32_t ball = seeds[i];
		search->bounds[ball] = -INFINITY; /* visited */
		rows += count_rows(search, ball);
		balls_visit_ball(&search->visits, ball);
	}
	balls_end_visits(&search->visits);
}

static uint32_t bucket_of(float bound, float low, float scale)
{
	const float place = (bound - low) * scale;
	return place >= BUCKETS - 1 ? 0 : place > 0 ? BUCKETS - 1 - (uint32_t)place : BUCKETS - 1;
}

/* Sorts the balls that are left and whose bounds reach the threshold: about in the order of their
 * bounds. Returns their number. */
static uint32_t put_in_order(struct search *search)
{
	uint32_t ends[BUCKETS + 1] = {0};
	const uint32_t *some = search->some;
	const float *bounds = search->bounds;
	const uint32_t balls = balls_of_axes(&search->visits)->balls;
	float low = INFINITY;
	float high = -INFINITY;
	const uint32_t count = search->visits.kernels->pick(bounds, balls,
		search->visits.candidates.kth.threshold, search->some);
	for (uint32_t i = 0; i < count; i++) {
		low = bounds[some[i]] < low ? bounds[some[i]] : low;
		high = bounds[some[i]] > high ? bounds[some[i]] : high;
	}
	const float scale = high > low ? (float)BUCKETS / (high - low) : 0;
	for (uint32_t i = 0; i < count; i++) {
		ends[bucket_of(bounds[some[i]], low, scale) + 1]++;
	}
	for (uint32_t i = 0; i < BUCKETS; i++) {
		ends[i + 1] += ends[i];
	}
	for (uint32_t i = 0; i < count; i++) {
		search->order[ends[bucket_of(bounds[some[i]], low, scale)]++] = some[i];
	}
	assert(ends[BUCKETS - 1] == count && count <= balls);
	return count;
}

static enum status visit_others(struct search *search)
{
	struct balls_candidates *candidates = &search->visits.candidates;
	const uint32_t count = put_in_order(search);
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t ball = search->order[i];
		if (balls_is_cancelled(candidates->query)) {
			return STATUS_BUSY;
		}
		if (i + AHEAD < count) {
			balls_prefetch(&search->visits, search->order[i + AHEAD]);
		}
		if (search->bounds[ball] < candidates->kth.threshold) {
			continue;
		}
		balls_visit_ball(&search->visits, ball);
		if (candidates->found.count >= WAITING_ROWS) {
			balls_candidates_settle(candidates);
		}
	}
	balls_end_visits(&search->visits);
	return STATUS_OK;
}

/* ---- the whole ---- */

static void list_parts(struct search *search, const struct balls *balls,
	const struct balls_query *query)
{
	assert(query->beside_count <= BALLS_BESIDE_MAX);
	assert(query->cut_count <= query->beside_count);
	for (size_t i = 0; i <= query->beside_count; i++) {
		const struct balls *of = i == 0 ? balls : query->beside[i - 1];
		assert(balls_are_alike(balls, of));
		search->visits.parts[i] =
			(struct balls_part){.balls = of, .first = (uint32_t)search->rows};
		search->rows += of->rows;
	}
	search->visits.part_count = 1 + query->beside_count;
	search->visits.cut_count = 1 + query->cut_count;
	assert(search->rows <= UINT32_MAX);
}

/* Scores the loose rows of each part, or all rows. */
static enum status score_listed(struct search *search, bool all)
{
	enum status status = STATUS_OK;
	for (size_t i = 0; i < search->visits.part_count && status == STATUS_OK; i++) {
		const struct balls *balls = search->visits.parts[i].balls;
		const struct balls_listed listed = {
			.rows = all ? NULL : balls->loose_rows,
			.count = all ? balls->rows : balls->loose,
			.most = balls->rows,
			.first = search->visits.parts[i].first,
		};
		status = balls_candidates_score(&search->visits.candidates, &listed);
	}
	return status;
}

enum status balls_search_with(const struct balls *balls, struct balls_query *query,
	struct balls_space *space, const struct balls_kernels *kernels)
{
	const double norm = balls_norm(query->query, balls->dim);
	struct search search = {
		.visits =
			{
				.kernels = kernels,
				.terms = {.metric = query->metric,
					.norm = (float)norm,
					.slack = ((float)balls->dim / 16 + 32) * 0x1p-21f,
					.factor = query->factor >= 1  ? 1
						  : query->factor > 0 ? query->factor
								      : 0},
				.candidates = {.kernels = kernels, .query = query},
			},
	};
	assert(query->top->k > 0 && query->metric < BALLS_METRICS);
	list_parts(&search, balls, query);
	query->compared = 0;
	query->exact = false;
	enum status status = get_space(&search, space);
	if (status != STATUS_OK) {
		return status;
	}
	balls_candidates_begin(&search.visits.candidates);
	if (!balls_norm_is_usable(norm)) {
		status = score_listed(&search, true);
		query->exact = status == STATUS_OK;
		return status;
	}
	status = score_listed(&search, false);
	if (status == STATUS_OK) {
		look_along(&search);
		look_around(&search, search.visits.terms.factor, search.bounds);
		visit_seeds(&search);
		status = visit_others(&search);
	}
	query->compared += search.visits.blocks_scanned * BALLS_BLOCK_ROWS;
	query->exact = status == STATUS_OK && search.visits.terms.factor >= 1;
	return status;
}

enum status balls_search(const struct balls *balls, struct balls_query *query,
	struct balls_space *space)
{
	return balls_search_with(balls, query, space, balls_kernels_at(0));
}
