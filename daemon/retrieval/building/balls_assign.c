/* balls_assign.c - finds the nearest axis of each row, among all axes or among those of some
 * groups.
 */
#include "daemon/retrieval/building/balls_assign.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/building/balls_nearest.h"
#include "daemon/retrieval/building/balls_train.h"
#include "daemon/retrieval/layers/adapter_kernels.h"

static uint32_t groups_of(const struct balls_axes *axes)
{
	uint32_t groups = 1;
	while (axes->near_count > 0 && groups * groups < axes->k) {
		groups++;
	}
	return groups;
}

/* How many rows are gathered at a time, for the groups that they are near to; one, since malloc(0) may be NULL. */
static size_t grouped_rows(const struct balls_axes *axes)
{
	return groups_of(axes) > 1 ? BALLS_ASSIGN_ROWS : 1;
}

/* Counts the axes of each group and lists them group by group. */
static void list_axes(struct balls_assigner *assigner, const uint32_t *group_of, uint32_t k)
{
	uint32_t *firsts = assigner->firsts;
	for (uint32_t i = 0; i < k; i++) {
		firsts[group_of[i] + 1]++;
	}
	for (uint32_t i = 0; i < assigner->groups; i++) {
		firsts[i + 1] += firsts[i];
	}
	for (uint32_t i = 0; i < k; i++) {
		assigner->order[firsts[group_of[i]]++] = i;
	}
	/* Each entry now says where the next group begins. */
	assert(firsts[assigner->groups - 1] == k);
	memmove(firsts + 1, firsts, assigner->groups * sizeof *firsts);
	firsts[0] = 0;
}

/* Copies the axes, group by group, into panels. */
static enum status pack(struct balls_assigner *assigner, const float *axes, float *copy)
{
	const uint32_t dim = assigner->dim;
	enum status status = STATUS_OK;
	for (uint32_t g = 0; g < assigner->groups && status == STATUS_OK; g++) {
		const uint32_t first = assigner->firsts[g];
		const uint32_t count = assigner->firsts[g + 1] - first;
		for (uint32_t i = 0; i < count; i++) {
			memcpy(copy + (size_t)i * dim,
				axes + (size_t)assigner->order[first + i] * dim,
				dim * sizeof *copy);
		}
		status = balls_panels_init(&assigner->panels[g], copy, count, dim);
	}
	return status;
}

static enum status group(struct balls_assigner *assigner, const float *axes, uint32_t k,
	const _Atomic bool *stop)
{
	const size_t bytes = (size_t)k * assigner->dim * sizeof(float);
	float *copy = malloc(bytes);
	uint32_t *group_of = calloc(k, sizeof *group_of);
	enum status status = STATUS_NO_MEMORY;
	if (copy != NULL && group_of != NULL) {
		memcpy(copy, axes, bytes);
		const struct balls_sample sample = {.rows = copy,
			.count = k,
			.dim = assigner->dim,
			.axis = group_of};
		const struct balls_training training = {.k = assigner->groups,
			.stop = stop,
			.axes = assigner->group_axes};
		status = assigner->groups > 1 ? balls_train(&sample, &training) : STATUS_OK;
	}
	if (status == STATUS_OK) {
		list_axes(assigner, group_of, k);
		status = pack(assigner, axes, copy);
	}
	free(copy);
	free(group_of);
	return status;
}

enum status balls_assigner_init(struct balls_assigner *assigner, const struct balls_axes *axes,
	const _Atomic bool *stop)
{
	assert(axes->k > 0 && axes->dim > 0 && axes->near_count <= BALLS_NEARBY_MAX);
	const size_t groups = groups_of(axes);
	const size_t dim = axes->dim;
	const size_t rows = grouped_rows(axes);
	*assigner = (struct balls_assigner){
		.dim = axes->dim,
		.near_count = axes->near_count,
		.groups = (uint32_t)groups,
		.panels = calloc(groups, sizeof *assigner->panels),
		.firsts = calloc(groups + 1, sizeof(uint32_t)),
		.order = malloc(axes->k * sizeof(uint32_t)),
		.group_axes = malloc(groups * dim * sizeof(float)),
		.places = malloc(BALLS_ASSIGN_ROWS * sizeof(uint32_t)),
		.products = malloc(rows * groups * sizeof(float)),
		.nearby = malloc(rows * (axes->near_count + 1) * sizeof(uint32_t)),
		.members = malloc(rows * sizeof(uint32_t)),
		.rows = malloc(rows * dim * sizeof(float)),
		.best = malloc(rows * sizeof(float)),
		.place = malloc(rows * sizeof(uint32_t)),
	};
	if (assigner->panels == NULL || assigner->firsts == NULL || assigner->order == NULL ||
		assigner->group_axes == NULL || assigner->products == NULL ||
		assigner->nearby == NULL || assigner->members == NULL || assigner->rows == NULL ||
		assigner->best == NULL || assigner->place == NULL || assigner->places == NULL) {
		return STATUS_NO_MEMORY;
	}
	return group(assigner, axes->values, axes->k, stop);
}

uint64_t balls_assigner_bytes(const struct balls_axes *axes)
{
	const uint64_t k = axes->k;
	const uint64_t groups = groups_of(axes);
	const uint64_t row_bytes = (uint64_t)axes->dim * sizeof(float);
	const uint64_t each = sizeof(struct balls_panels) + sizeof(uint32_t) + row_bytes;
	const uint64_t a_row = (groups + axes->near_count + 4) * sizeof(float) + row_bytes;
	/* Of each group, a panel that is not full, and one that stands behind. */
	const uint64_t panels = (k + groups * 2 * BALLS_PANEL) * row_bytes;
	/* The copy of the axes, their groups, and, while groups are found, how near axes are to them and some counts;
	 * whatever else that takes is less than the panels, which come later. */
	const uint64_t making = k * (row_bytes + 2 * sizeof(float)) + groups * 4 * sizeof(uint32_t);
	return (groups + 1) * each + k * sizeof(uint32_t) + BALLS_ASSIGN_ROWS * sizeof(uint32_t) +
	       grouped_rows(axes) * a_row + panels + making;
}

void balls_assigner_fini(struct balls_assigner *assigner)
{
	for (uint32_t g = 0; assigner->panels != NULL && g < assigner->groups; g++) {
		balls_panels_fini(&assigner->panels[g]);
	}
	free(assigner->panels);
	free(assigner->firsts);
	free(assigner->order);
	free(assigner->group_axes);
	free(assigner->products);
	free(assigner->nearby);
	free(assigner->members);
	free(assigner->rows);
	free(assigner->best);
	free(assigner->place);
	free(assigner->places);
	*assigner = (struct balls_assigner){0};
}

/* Chooses the groups of the largest products. */
static void choose_groups(const float *products, uint32_t groups, uint32_t near_count,
	uint32_t *nearby)
{
	float best[BALLS_NEARBY_MAX];
	assert(near_count <= BALLS_NEARBY_MAX);
	if (near_count == 0) {
		return;
	}
	for (uint32_t i = 0; i < near_count; i++) {
		best[i] = -INFINITY;
		nearby[i] = UINT32_MAX;
	}
	for (uint32_t g = 0; g < groups; g++) {
		if (!(products[g] > best[near_count - 1])) {
			continue;
		}
		uint32_t place = near_count - 1;
		for (; place > 0 && products[g] > best[place - 1]; place--) {
			best[place] = best[place - 1];
			nearby[place] = nearby[place - 1];
		}
		best[place] = products[g];
		nearby[place] = g;
	}
}

static void find_nearby(struct balls_assigner *assigner, const float *rows, uint32_t count)
{
	const uint32_t groups = assigner->groups;
	const struct adapter_product product = {
		.x = rows,
		.w = assigner->group_axes,
		.y = assigner->products,
		.rows = count,
		.outs = groups,
		.in = assigner->dim,
		.y_stride = groups,
	};
	adapter_kernels_at(0)->product(&product);
	for (uint32_t i = 0; i < count; i++) {
		choose_groups(assigner->products + (size_t)i * groups, groups, assigner->near_count,
			assigner->nearby + (size_t)i * assigner->near_count);
	}
}

/* Compares the rows that are near a group with its axes. */
static void improve_by(struct balls_assigner *assigner, uint32_t g, const float *rows,
	uint32_t count, float *best)
{
	const uint32_t dim = assigner->dim;
	const size_t near_count = assigner->near_count;
	uint32_t some = 0;
	for (uint32_t i = 0; i < count; i++) {
		bool is_near = false;
		for (uint32_t j = 0; j < near_count; j++) {
			is_near = is_near || assigner->nearby[i * near_count + j] == g;
		}
		assigner->members[some] = i;
		some += is_near;
	}
	assert(some <= count);
	for (uint32_t i = 0; i < some; i++) {
		const uint32_t member = assigner->members[i];
		memcpy(assigner->rows + (size_t)i * dim, rows + (size_t)member * dim,
			dim * sizeof *rows);
		assigner->best[i] = best[member];
		assigner->place[i] = assigner->places[member];
	}
	balls_panels_improve(&assigner->panels[g], assigner->firsts[g], assigner->rows, some,
		assigner->best, assigner->place);
	for (uint32_t i = 0; i < some; i++) {
		best[assigner->members[i]] = assigner->best[i];
		assigner->places[assigner->members[i]] = assigner->place[i];
	}
}

void balls_assign(struct balls_assigner *assigner, const float *rows, uint32_t count, float *best,
	uint32_t *axis)
{
	assert(count <= BALLS_ASSIGN_ROWS);
	for (uint32_t i = 0; i < count; i++) {
		best[i] = -INFINITY;
		assigner->places[i] = 0;
	}
	if (assigner->groups == 1) {
		balls_panels_improve(&assigner->panels[0], 0, rows, count, best, assigner->places);
	} else {
		find_nearby(assigner, rows, count);
		for (uint32_t g = 0; g < assigner->groups; g++) {
			improve_by(assigner, g, rows, count, best);
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		axis[i] = assigner->order[assigner->places[i]];
	}
}
