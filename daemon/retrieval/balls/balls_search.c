/* balls_search.c - a search through granular balls.
 *
 *   balls_search -> score the loose rows
 *                -> bound all balls -> visit the most promising ones: the k-th best score rises, unless it
 *                   comes from balls that were searched before
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

#include "daemon/retrieval/balls/balls_candidates.h"
#include "daemon/retrieval/balls/balls_image.h"
#include "daemon/retrieval/balls/balls_norm.h"
#include "daemon/retrieval/layers/adapter_kernels.h"

enum {
	CHUNK_BLOCKS = 64,
	CHUNK_ROWS = CHUNK_BLOCKS * BALLS_BLOCK_ROWS,
	/* So many candidates wait before they are settled. */
	WAITING_ROWS = 128,
	CANDIDATES_MIN = 4096,
	SEEDS_MAX = 64,
	BUCKETS = 64,
	/* The memory of a ball is asked for so many balls before its visit. */
	AHEAD = 4,
	/* So many visits are begun before the first of them is ended: meanwhile its blocks come
	 * from memory. */
	VISITS = 4,
	PREFETCH_BLOCKS = 4,
	PREFETCH_BYTES = 256, /* of one column of a ball */
};

/* The factor of the term |s| |r| when the first balls are chosen; a smaller one of the query
 * counts. */
static const float begin_factor_max = 0.25f;

/* A visit of a ball. */
struct visit {
	struct balls_scan scan;
	struct balls_coded coded;
	uint32_t next; /* blocks [next, end) are not bounded yet */
	uint32_t end;
	uint32_t count;                /* of the next */
	uint32_t blocks[CHUNK_BLOCKS]; /* to scan */
};

struct search {
	const struct balls *balls;
	const struct balls *
		axes_of; /* whose axes are read: those that were searched before are in the cache */
	const struct balls_kernels *kernels;
	struct balls_terms terms;
	uint64_t blocks_scanned;
	struct balls_lie lie;
	/* [balls] each. */
	float *promises; /* the score that the best row of a ball is likely to have */
	float *bounds;
	uint32_t *some; /* balls to visit */
	uint32_t *order;
	/* The query, and the part of it that is off the axis of the ball that is visited. */
	struct balls_coded coded;
	float *prefix_query;         /* [prefix] */
	float *prefix_beside;        /* [prefix] */
	struct visit visits[VISITS]; /* that are begun */
	struct balls_candidates candidates;
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
	struct balls_candidates *candidates = &search->candidates;
	const size_t balls = search->balls->balls;
	const size_t prefix = balls_whole_lanes(search->balls->prefix);
	const size_t k = candidates->query->top->k;
	size_t at = 0;
	search->coded.dims = (search->balls->dim + 3) / 4 * 4;
	for (size_t i = 0; i < VISITS; i++) {
		search->visits[i].coded.dims = search->balls->prefix;
		search->visits[i].coded.codes = take(memory, &at, prefix);
	}
	candidates->capacity = (k < CANDIDATES_MIN / 4 ? CANDIDATES_MIN : 4 * k) + CHUNK_ROWS;
	candidates->kth.capacity = 2 * k + BALLS_KTH_SPARE;
	search->lie.along = take(memory, &at, balls * sizeof(float));
	search->lie.errors = take(memory, &at, (balls / BALLS_BLOCK_ROWS + 1) * sizeof(float));
	search->promises = take(memory, &at, balls * sizeof(float));
	search->bounds = take(memory, &at, balls * sizeof(float));
	search->some = take(memory, &at, (balls + 1) * sizeof(uint32_t));
	search->order = take(memory, &at, balls * sizeof(uint32_t));
	search->coded.codes = take(memory, &at, balls_whole_lanes(search->coded.dims));
	search->prefix_query = take(memory, &at, prefix * sizeof(float));
	search->prefix_beside = take(memory, &at, prefix * sizeof(float));
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

/* ---- one ball ---- */

static float root(float squared)
{
	return sqrtf(squared > 0 ? squared : 0);
}

/* Splits the query into what is along the axis of a ball and what is off it. */
static void look_beside(struct search *search, uint32_t ball, struct visit *visit)
{
	const struct balls_terms *terms = &search->terms;
	struct balls_beside beside = {
		.balls = search->axes_of,
		.ball = ball,
		.query = search->candidates.query->query,
		.prefix_query = search->prefix_query,
		.prefix_beside = search->prefix_beside,
		.coded = &visit->coded,
	};
	search->kernels->beside(&beside);
	const float off = root(beside.off_squared);
	const float squared = beside.off_squared + 4 * terms->slack * off * terms->norm;
	visit->scan = (struct balls_scan){
		.terms = *terms,
		.balls = search->balls,
		.coded = &visit->coded,
		.along = beside.along,
		.off = off,
		.code_weight = terms->factor * root(beside.prefix_squared),
		.rest_weight = terms->factor * root(squared - beside.prefix_squared),
		.first_weight = terms->factor * root(squared - beside.first_squared),
		.miss_weight = terms->factor * visit->coded.miss,
	};
}

static void prefetch(const void *start, size_t bytes)
{
	const uint8_t *at = start;
	for (size_t i = 0; i < bytes; i += BALLS_ALIGN) {
		__builtin_prefetch(at + i);
	}
}

/* Bounds the next blocks of a visit and chooses those to scan. */
static void choose_blocks(struct search *search, struct visit *visit)
{
	const struct balls *balls = search->balls;
	float uppers[CHUNK_BLOCKS];
	const uint32_t left = visit->end - visit->next;
	const struct balls_bounds bounds = {
		.terms = search->terms,
		.ranges = &balls->of_blocks,
		.first = visit->next,
		.count = left < CHUNK_BLOCKS ? left : CHUNK_BLOCKS,
		.along = visit->scan.along,
		.off = visit->scan.off,
		.out = uppers,
	};
	search->kernels->bounds(&bounds);
	visit->count = search->kernels->pick(uppers, (uint32_t)bounds.count,
		search->candidates.kth.threshold, visit->blocks);
	for (uint32_t i = 0; i < visit->count; i++) {
		visit->blocks[i] += visit->next;
	}
	visit->next += (uint32_t)bounds.count;
	assert(visit->count <= bounds.count && visit->next <= visit->end);
}

static void begin_visit(struct search *search, struct visit *visit, uint32_t ball)
{
	const struct balls *balls = search->balls;
	look_beside(search, ball, visit);
	visit->next = balls->first_blocks[ball];
	visit->end = balls->first_blocks[ball + 1];
	choose_blocks(search, visit);
	for (uint32_t i = 0; i < visit->count && i < PREFETCH_BLOCKS; i++) {
		prefetch(balls->block_data + visit->blocks[i] * balls->block_bytes,
			(size_t)2 * BALLS_ALIGN + (size_t)balls->first * BALLS_BLOCK_ROWS);
	}
}

/* Scans the blocks that were chosen, then chooses and scans the rest. Candidates may wait
 * afterwards. */
static void end_visit(struct search *search, struct visit *visit)
{
	struct balls_candidates *candidates = &search->candidates;
	for (;;) {
		visit->scan.threshold = candidates->kth.threshold;
		search->kernels->scan(&visit->scan, visit->blocks, visit->count,
			&candidates->found);
		search->blocks_scanned += visit->count;
		assert(candidates->found.count <= candidates->capacity);
		if (candidates->found.count + CHUNK_ROWS > candidates->capacity) {
			balls_candidates_settle(candidates);
		}
		if (visit->next == visit->end) {
			return;
		}
		choose_blocks(search, visit);
	}
}

/* ---- all balls ---- */

/* Finds how the query lies by the axes, and projects it on the prefix. */
static void look_along(struct search *search)
{
	const struct balls *balls = search->balls;
	const float *query = search->candidates.query->query;
	const struct balls_along along = {
		.terms = search->terms,
		.balls = balls,
		.coded = &search->coded,
		.lie = search->lie,
	};
	search->kernels->encode(query, balls->dim, &search->coded);
	search->kernels->along(&along);
	memset(search->prefix_query, 0, balls_whole_lanes(balls->prefix) * sizeof(float));
	if (balls->basis == NULL) {
		memcpy(search->prefix_query, query, balls->dim * sizeof(float));
		return;
	}
	const struct adapter_product product = {
		.x = query,
		.w = balls->basis,
		.y = search->prefix_query,
		.rows = 1,
		.outs = balls->prefix,
		.in = balls->dim,
		.y_stride = balls->prefix,
	};
	adapter_kernels_at(0)->product(&product);
}

static void look_around(const struct search *search, float factor, float *bounds)
{
	const struct balls_around around = {
		.terms = search->terms,
		.balls = search->balls,
		.lie = search->lie,
		.factor = factor,
		.bounds = bounds,
	};
	search->kernels->around(&around);
}

/* Chooses the most promising balls, best first, so many that they hold about 2 k rows. */
static uint32_t choose_seeds(struct search *search, uint32_t *seeds)
{
	const struct balls *balls = search->balls;
	const uint64_t rows = 2 * (uint64_t)search->candidates.kth.k;
	uint64_t wanted = 3 + rows * balls->balls / (balls->rows + 1);
	wanted = wanted < SEEDS_MAX ? wanted : SEEDS_MAX;
	wanted = wanted < balls->balls ? wanted : balls->balls;
	const float limit =
		balls_limit(search->kernels, search->promises, balls->balls, wanted, wanted);
	uint32_t *some = search->some;
	uint32_t count = search->kernels->pick(search->promises, balls->balls, limit, some);
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

static void visit_seeds(struct search *search)
{
	const struct balls *balls = search->balls;
	uint32_t seeds[SEEDS_MAX];
	const float factor = search->terms.factor;
	look_around(search, factor < begin_factor_max ? factor : begin_factor_max,
		search->promises);
	const uint32_t count = choose_seeds(search, seeds);
	uint64_t rows = 0;
	for (uint32_t i = 0; i < count && rows < 2 * search->candidates.kth.k; i++) {
		const uint32_t ball = seeds[i];
		search->bounds[ball] = -INFINITY; /* visited */
		rows += (uint64_t)BALLS_BLOCK_ROWS *
			(balls->first_blocks[ball + 1] - balls->first_blocks[ball]);
		begin_visit(search, &search->visits[0], ball);
		end_visit(search, &search->visits[0]);
	}
	balls_candidates_settle(&search->candidates);
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
	float low = INFINITY;
	float high = -INFINITY;
	const uint32_t count = search->kernels->pick(bounds, search->balls->balls,
		search->candidates.kth.threshold, search->some);
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
	assert(ends[BUCKETS - 1] == count && count <= search->balls->balls);
	return count;
}

/* Asks for the memory that a visit reads first. */
static void prefetch_ball(const struct search *search, uint32_t ball)
{
	const struct balls *balls = search->balls;
	const uint32_t prefix = balls_whole_lanes(balls->prefix);
	const uint32_t first = balls->first_blocks[ball];
	const size_t bytes = (balls->first_blocks[ball + 1] - first) * sizeof(float);
	const size_t some = bytes < PREFETCH_BYTES ? bytes : PREFETCH_BYTES;
	const size_t axis_bytes = balls->dim * sizeof(float);
	prefetch(search->axes_of->axes + (size_t)ball * balls->dim,
		axis_bytes < PREFETCH_BYTES ? axis_bytes : PREFETCH_BYTES);
	prefetch(search->axes_of->prefix_axes + (size_t)ball * prefix, prefix * sizeof(float));
	prefetch(balls->of_blocks.along_max + first, some);
	prefetch(balls->of_blocks.along_min + first, some);
	prefetch(balls->of_blocks.off_max + first, some);
	if (search->terms.metric == BALLS_COSINE) {
		prefetch(balls->of_blocks.cosine_min + first, some);
		prefetch(balls->of_blocks.cosine_max + first, some);
	} else if (search->terms.metric == BALLS_L2) {
		prefetch(balls->of_blocks.off_min + first, some);
	}
}

static enum status visit_others(struct search *search)
{
	struct balls_candidates *candidates = &search->candidates;
	const uint32_t count = put_in_order(search);
	uint32_t begun = 0;
	uint32_t ended = 0;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t ball = search->order[i];
		if (balls_is_cancelled(candidates->query)) {
			return STATUS_BUSY;
		}
		if (i + AHEAD < count) {
			prefetch_ball(search, search->order[i + AHEAD]);
		}
		if (search->bounds[ball] < candidates->kth.threshold) {
			continue;
		}
		begin_visit(search, &search->visits[begun++ % VISITS], ball);
		if (begun - ended == VISITS) {
			end_visit(search, &search->visits[ended++ % VISITS]);
		}
		if (candidates->found.count >= WAITING_ROWS) {
			balls_candidates_settle(candidates);
		}
	}
	assert(begun - ended < VISITS);
	for (; ended < begun; ended++) {
		end_visit(search, &search->visits[ended % VISITS]);
	}
	balls_candidates_settle(candidates);
	assert(candidates->found.count == 0);
	return STATUS_OK;
}

/* ---- the whole ---- */

enum status balls_search_with(const struct balls *balls, struct balls_query *query,
	struct balls_space *space, const struct balls_kernels *kernels)
{
	const double norm = balls_norm(query->query, balls->dim);
	const struct balls *before = query->before;
	struct search search = {
		.balls = balls,
		.axes_of = before == NULL ? balls : before,
		.kernels = kernels,
		.terms = {.metric = query->metric,
			.norm = (float)norm,
			.slack = ((float)balls->dim / 16 + 32) * 0x1p-21f,
			.factor = query->factor >= 1  ? 1
				  : query->factor > 0 ? query->factor
						      : 0},
		.candidates = {.kernels = kernels, .query = query, .rows = balls->rows},
	};
	assert(query->top->k > 0 && query->metric < BALLS_METRICS);
	assert(before == NULL || balls_are_alike(before, balls));
	query->compared = 0;
	query->exact = false;
	enum status status = get_space(&search, space);
	if (status != STATUS_OK) {
		return status;
	}
	balls_candidates_begin(&search.candidates);
	if (!balls_norm_is_usable(norm)) {
		status = balls_candidates_score(&search.candidates, NULL, balls->rows);
		query->exact = status == STATUS_OK;
		return status;
	}
	status = balls_candidates_score(&search.candidates, balls->loose_rows, balls->loose);
	if (status == STATUS_OK && before == NULL) {
		look_along(&search);
	}
	if (status == STATUS_OK) {
		look_around(&search, search.terms.factor, search.bounds);
		if (before == NULL || search.candidates.kth.count < search.candidates.kth.k) {
			visit_seeds(&search);
		}
		status = visit_others(&search);
	}
	query->compared += search.blocks_scanned * BALLS_BLOCK_ROWS;
	query->exact = status == STATUS_OK && search.terms.factor >= 1;
	return status;
}

enum status balls_search(const struct balls *balls, struct balls_query *query,
	struct balls_space *space)
{
	return balls_search_with(balls, query, space, balls_kernels_at(0));
}
