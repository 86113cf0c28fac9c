/* balls_plan.c - decides which ball each row is in, and the order of the rows of a ball. */
#include "daemon/retrieval/building/balls_plan.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/balls/balls_norm.h"
#include "daemon/retrieval/building/balls_assign.h"

enum {
	/* So many values are read at once. */
	CHUNK_VALUES = 1 << 18,
	CHUNK_ROWS_MAX = BALLS_ASSIGN_ROWS,
	/* Up to so many axes, a row is compared with all of them, which takes about 9 us for 64
	 * dims. A row that is not with its nearest axis makes a ball wide: when rows were compared
	 * with the 6 nearest of 45 groups, exact searches took twice as long. */
	COMPARED_MAX = 8192,
};

static const uint32_t is_loose = UINT32_MAX;

/* The balls that rows were assigned to, and memory for the rows that are read at once. */
struct assignment {
	struct balls_assigner assigner;
	uint32_t rows_max;
	float *rows;
	float *best;
	uint32_t *axis;
	uint32_t *ball_of; /* [source->rows] */
	float *along;      /* [source->rows] */
};

/* Assigns rows [first, first + count), which are in some->rows. */
static void assign_some(struct balls_plan *plan, struct assignment *some, uint32_t first,
	uint32_t count)
{
	const uint32_t *known = plan->options->known;
	const uint32_t dim = plan->source->dim;
	bool all_known = known != NULL;
	for (uint32_t i = 0; i < count; i++) {
		all_known = all_known && known[first + i] < plan->shape.balls;
	}
	if (!all_known) {
		balls_assign(&some->assigner, some->rows, count, some->best, some->axis);
	}
	for (uint32_t i = 0; i < count; i++) {
		const float *row = some->rows + (size_t)i * dim;
		const double norm = balls_norm(row, dim);
		if (norm != 0 && !balls_norm_is_usable(norm)) {
			some->ball_of[first + i] = is_loose;
			plan->shape.loose++;
			continue;
		}
		const bool is_known = known != NULL && known[first + i] < plan->shape.balls;
		const uint32_t ball = is_known ? known[first + i] : some->axis[i];
		some->ball_of[first + i] = ball;
		some->along[first + i] =
			(float)balls_dot(row, plan->axes + (size_t)ball * dim, dim);
		plan->first_members[ball + 1]++;
	}
}

static int compare_members(const void *a, const void *b)
{
	const struct balls_member *left = a;
	const struct balls_member *right = b;
	if (left->along != right->along) {
		return left->along > right->along ? -1 : 1;
	}
	return (left->row > right->row) - (left->row < right->row);
}

/* Puts the rows of each ball side by side, in order. */
static void gather(struct balls_plan *plan, const struct assignment *all)
{
	const uint32_t balls = plan->shape.balls;
	uint32_t loose = 0;
	for (uint32_t i = 0; i < balls; i++) {
		plan->first_members[i + 1] += plan->first_members[i];
	}
	for (uint32_t row = 0; row < plan->source->rows; row++) {
		const uint32_t ball = all->ball_of[row];
		if (ball == is_loose) {
			plan->loose[loose++] = row;
		} else {
			plan->members[plan->first_members[ball]++] =
				(struct balls_member){.along = all->along[row], .row = row};
		}
	}
	/* Each entry now says where the next ball begins. */
	assert(loose == plan->shape.loose);
	assert(plan->first_members[balls - 1] + loose == plan->source->rows);
	memmove(plan->first_members + 1, plan->first_members, balls * sizeof(uint32_t));
	plan->first_members[0] = 0;
	for (uint32_t i = 0; i < balls; i++) {
		const uint32_t first = plan->first_members[i];
		const uint32_t count = plan->first_members[i + 1] - first;
		qsort(plan->members + first, count, sizeof *plan->members, compare_members);
		plan->shape.blocks += (count + BALLS_BLOCK_ROWS - 1) / BALLS_BLOCK_ROWS;
	}
	assert(plan->shape.blocks <= plan->shape.rows);
}

static enum status assign(struct balls_plan *plan, struct assignment *all)
{
	const struct balls_source *source = plan->source;
	for (uint32_t first = 0; first < source->rows; first += all->rows_max) {
		const uint32_t left = source->rows - first;
		const uint32_t count = left < all->rows_max ? left : all->rows_max;
		if (balls_plan_is_stopped(plan)) {
			return STATUS_BUSY;
		}
		source->read(source->arg, first, count, all->rows);
		assign_some(plan, all, first, count);
	}
	plan->loose = malloc(((size_t)plan->shape.loose + 1) * sizeof *plan->loose);
	plan->members = malloc(((size_t)source->rows + 1) * sizeof *plan->members);
	if (plan->loose == NULL || plan->members == NULL) {
		return STATUS_NO_MEMORY;
	}
	gather(plan, all);
	return STATUS_OK;
}

static uint32_t rows_at_once(uint32_t dim)
{
	const uint32_t rows = CHUNK_VALUES / dim;
	return rows < CHUNK_ROWS_MAX ? rows : CHUNK_ROWS_MAX;
}

static struct balls_axes axes_of(const float *values, uint32_t balls, uint32_t dim)
{
	return (struct balls_axes){.values = values,
		.k = balls,
		.dim = dim,
		.near_count = balls > COMPARED_MAX ? BALLS_NEARBY_MAX : 0};
}

static enum status assign_all(struct balls_plan *plan)
{
	const size_t rows = plan->source->rows;
	const uint32_t dim = plan->source->dim;
	const uint32_t rows_max = rows_at_once(dim);
	assert(rows_max > 0 && plan->shape.balls > 0);
	const struct balls_axes axes = axes_of(plan->axes, plan->shape.balls, dim);
	struct assignment all = {
		.rows_max = rows_max,
		.rows = malloc((size_t)rows_max * dim * sizeof(float)),
		.best = malloc(rows_max * sizeof(float)),
		.axis = malloc(rows_max * sizeof(uint32_t)),
		.ball_of = malloc((rows + 1) * sizeof(uint32_t)),
		.along = malloc((rows + 1) * sizeof(float)),
	};
	plan->first_members = calloc((size_t)plan->shape.balls + 1, sizeof(uint32_t));
	enum status status = STATUS_NO_MEMORY;
	if (all.rows != NULL && all.best != NULL && all.axis != NULL && all.ball_of != NULL &&
		all.along != NULL && plan->first_members != NULL) {
		status = balls_assigner_init(&all.assigner, &axes, plan->options->stop);
	}
	if (status == STATUS_OK) {
		status = assign(plan, &all);
	}
	balls_assigner_fini(&all.assigner);
	free(all.rows);
	free(all.best);
	free(all.axis);
	free(all.ball_of);
	free(all.along);
	return status;
}

enum status balls_plan(const struct balls_source *source, const struct balls_options *options,
	struct balls_plan **out)
{
	assert(source->rows <= BALLS_ROWS_MAX && source->dim > 0);
	assert(options->previous == NULL || options->previous->dim == source->dim);
	assert(options->known == NULL || options->previous != NULL);
	struct balls_plan *plan = calloc(1, sizeof *plan);
	if (plan == NULL) {
		return STATUS_NO_MEMORY;
	}
	plan->source = source;
	plan->options = options;
	plan->shape.rows = source->rows;
	plan->shape.dim = source->dim;
	enum status status = balls_plan_axes(plan);
	if (status == STATUS_OK) {
		status = assign_all(plan);
	}
	if (status != STATUS_OK) {
		balls_plan_close(plan);
		return status;
	}
	*out = plan;
	return STATUS_OK;
}

uint64_t balls_build_bytes(const struct balls *previous, uint32_t rows)
{
	const uint64_t dim = previous->dim;
	const uint64_t row_bytes = dim * sizeof(float);
	const uint64_t count = (uint64_t)rows + 1;
	const struct balls_axes axes = axes_of(NULL, previous->balls, previous->dim);
	/* Axes, basis, and of each ball its first member. */
	const uint64_t kept = sizeof(struct balls_plan) +
			      ((uint64_t)previous->balls + previous->prefix) * row_bytes +
			      ((uint64_t)previous->balls + 1) * sizeof(uint32_t);
	/* Members and loose ones, and half as much again while qsort sorts those of a ball. */
	const uint64_t listed = count * (sizeof(struct balls_member) * 2 + sizeof(uint32_t));
	const uint64_t assigning = rows_at_once(previous->dim) * (row_bytes + 2 * sizeof(float)) +
				   count * 2 * sizeof(float) + balls_assigner_bytes(&axes);
	const uint64_t writing = (dim + 3 + previous->prefix) * BALLS_BLOCK_ROWS * sizeof(float);
	return kept + listed + (assigning > writing ? assigning : writing);
}

size_t balls_plan_bytes(const struct balls_plan *plan)
{
	struct balls_layout layout;
	balls_layout(&plan->shape, &layout);
	return layout.bytes;
}

void balls_plan_close(struct balls_plan *plan)
{
	if (plan == NULL) {
		return;
	}
	free(plan->axes);
	free(plan->basis);
	free(plan->members);
	free(plan->first_members);
	free(plan->loose);
	free(plan);
}
