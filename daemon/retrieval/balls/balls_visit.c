/* balls_visit.c - bounds blocks of balls, then their rows by codes; several visits are under way. */
#include "daemon/retrieval/balls/balls_visit.h"

#include <assert.h>
#include <math.h>

enum {
	PREFETCH_BLOCKS = 4,
	PREFETCH_BYTES = 256, /* of one column of a ball */
};

static float root(float squared)
{
	return sqrtf(squared > 0 ? squared : 0);
}

/* Splits the query into what is along the axis of a ball and what is off it. */
static void look_beside(struct balls_visits *visits, uint32_t ball, struct balls_side *side)
{
	const struct balls_terms *terms = &visits->terms;
	struct balls_beside beside = {
		.balls = balls_of_axes(visits),
		.ball = ball,
		.query = visits->candidates.query->query,
		.prefix_query = visits->prefix_query,
		.prefix_beside = visits->prefix_beside,
		.coded = &side->coded,
	};
	visits->kernels->beside(&beside);
	const float off = root(beside.off_squared);
	const float squared = beside.off_squared + 4 * terms->slack * off * terms->norm;
	side->scan = (struct balls_scan){
		.terms = *terms,
		.coded = &side->coded,
		.along = beside.along,
		.off = off,
		.code_weight = terms->factor * root(beside.prefix_squared),
		.rest_weight = terms->factor * root(squared - beside.prefix_squared),
		.first_weight = terms->factor * root(squared - beside.first_squared),
		.miss_weight = terms->factor * side->coded.miss,
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
static void choose_blocks(struct balls_visits *visits, struct balls_visit *visit)
{
	float uppers[BALLS_CHUNK_BLOCKS];
	const uint32_t left = visit->end - visit->next;
	struct balls_bounds bounds = {
		.terms = visits->terms,
		.ranges = &visit->scan.balls->of_blocks,
		.first = visit->next,
		.count = left < BALLS_CHUNK_BLOCKS ? left : BALLS_CHUNK_BLOCKS,
		.along = visit->scan.along,
		.off = visit->scan.off,
		.out = uppers,
	};
	bounds.terms.factor = visit->factor;
	visits->kernels->bounds(&bounds);
	visit->count = visits->kernels->pick(uppers, (uint32_t)bounds.count,
		visits->candidates.kth.threshold, visit->blocks);
	for (uint32_t i = 0; i < visit->count; i++) {
		visit->blocks[i] += visit->next;
	}
	visit->next += (uint32_t)bounds.count;
	assert(visit->count <= bounds.count && visit->next <= visit->end);
}

static void begin_visit(struct balls_visits *visits, const struct balls_side *side,
	const struct balls_part *part, uint32_t ball)
{
	const struct balls *balls = part->balls;
	struct balls_visit *visit = &visits->visits[visits->begun++ % BALLS_VISITS];
	visit->scan = side->scan;
	visit->scan.balls = balls;
	visit->scan.first = part->first;
	visit->factor = part < visits->parts + visits->cut_count ? visits->terms.factor : 1;
	visit->next = balls->first_blocks[ball];
	visit->end = balls->first_blocks[ball + 1];
	choose_blocks(visits, visit);
	for (uint32_t i = 0; i < visit->count && i < PREFETCH_BLOCKS; i++) {
		prefetch(balls->block_data + visit->blocks[i] * balls->block_bytes,
			(size_t)2 * BALLS_ALIGN + (size_t)balls->first * BALLS_BLOCK_ROWS);
	}
}

/* Of the visit that was begun first, scans the blocks that were chosen, then chooses and scans the rest. Candidates may
 * wait afterwards. */
static void end_visit(struct balls_visits *visits)
{
	struct balls_candidates *candidates = &visits->candidates;
	struct balls_visit *visit = &visits->visits[visits->ended++ % BALLS_VISITS];
	assert(visits->ended <= visits->begun);
	for (;;) {
		visit->scan.threshold = candidates->kth.threshold;
		visits->kernels->scan(&visit->scan, visit->blocks, visit->count,
			&candidates->found);
		visits->blocks_scanned += visit->count;
		assert(candidates->found.count <= candidates->capacity);
		if (candidates->found.count + BALLS_CHUNK_ROWS > candidates->capacity) {
			balls_candidates_settle(candidates);
		}
		if (visit->next == visit->end) {
			return;
		}
		choose_blocks(visits, visit);
	}
}

void balls_visit_ball(struct balls_visits *visits, uint32_t ball)
{
	const struct balls_side *side = NULL;
	for (size_t i = 0; i < visits->part_count; i++) {
		if (balls_count_blocks(visits->parts[i].balls, ball) == 0) {
			continue;
		}
		if (side == NULL) {
			struct balls_side *own =
				&visits->sides[visits->sides_begun++ % BALLS_VISITS];
			look_beside(visits, ball, own);
			side = own;
		}
		begin_visit(visits, side, &visits->parts[i], ball);
		if (visits->begun - visits->ended == BALLS_VISITS) {
			end_visit(visits);
		}
	}
}

void balls_end_visits(struct balls_visits *visits)
{
	while (visits->ended < visits->begun) {
		end_visit(visits);
	}
	balls_candidates_settle(&visits->candidates);
	assert(visits->candidates.found.count == 0);
}

/* Asks for the memory that a visit of one part reads first. */
static void prefetch_part(const struct balls_visits *visits, const struct balls *balls,
	uint32_t ball)
{
	const uint32_t first = balls->first_blocks[ball];
	const size_t bytes = balls_count_blocks(balls, ball) * sizeof(float);
	const size_t some = bytes < PREFETCH_BYTES ? bytes : PREFETCH_BYTES;
	prefetch(balls->of_blocks.along_max + first, some);
	prefetch(balls->of_blocks.along_min + first, some);
	prefetch(balls->of_blocks.off_max + first, some);
	if (visits->terms.metric == BALLS_COSINE) {
		prefetch(balls->of_blocks.cosine_min + first, some);
		prefetch(balls->of_blocks.cosine_max + first, some);
	} else if (visits->terms.metric == BALLS_L2) {
		prefetch(balls->of_blocks.off_min + first, some);
	}
}

void balls_prefetch(const struct balls_visits *visits, uint32_t ball)
{
	const struct balls *balls = balls_of_axes(visits);
	const uint32_t prefix = balls_whole_lanes(balls->prefix);
	const size_t axis_bytes = balls->dim * sizeof(float);
	prefetch(balls->axes + (size_t)ball * balls->dim,
		axis_bytes < PREFETCH_BYTES ? axis_bytes : PREFETCH_BYTES);
	prefetch(balls->prefix_axes + (size_t)ball * prefix, prefix * sizeof(float));
	for (size_t i = 0; i < visits->part_count; i++) {
		prefetch_part(visits, visits->parts[i].balls, ball);
	}
}
