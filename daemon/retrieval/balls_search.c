/* balls_search.c - a search through granular balls.
 *
 *   balls_search -> loose rows
 *                -> bounds of all balls -> the most promising ones whole: the k-th best rises
 *                -> the others by their bounds: their blocks by theirs, rows by their codes
 *   at any time     settle: the best candidates are scored in full, the rest has to beat them
 *
 * Rounding. With e = 2^-24, a product of two rows that is summed in f32 is off by at most
 * (dim / 16 + 5) e |x| |y|. A bound is made of a few such (the projection on the axis, those on the
 * prefix), and so is the score that it is held against. `slack` is more than all of them together:
 * whatever is compared is first raised by slack |q| |x|.
 */
#include "daemon/retrieval/balls.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/adapter_kernels.h"
#include "daemon/retrieval/balls_image.h"
#include "daemon/retrieval/balls_kernels.h"
#include "daemon/retrieval/balls_kth.h"
#include "daemon/retrieval/balls_norm.h"
#include "daemon/retrieval/balls_search.h"

enum {
	/* Rows scored at once: enough to have their memory on its way, few enough to be in cache.
	 */
	BATCH_ROWS = 256,
	/* The threshold may rise after so many. */
	STEP_ROWS = 64,
	CHUNK_BLOCKS = 64,
	CHUNK_ROWS = CHUNK_BLOCKS * BALLS_BLOCK_ROWS,
	/* Candidates before they are settled, once there is a threshold. */
	WAITING_ROWS = 128,
	CANDIDATES_MIN = 4096,
	SEEDS_MAX = 64,
	BUCKETS = 64,
};

/* How much of the second term counts where to begin is chosen. */
static const float seed_factor = 0.25f;

struct search {
	const struct balls *balls;
	struct balls_query *query;
	const struct balls_kernels *kernels;
	const struct adapter_kernels *products;
	float norm;
	float slack;
	float factor;
	uint64_t blocks_scanned;
	/* Of each ball. */
	float *along;
	float *off;
	float *bounds;
	uint32_t *order;
	/* Of the ball at hand. */
	float *beside;        /* [dim]: the query off the axis */
	float *prefix_query;  /* [prefix] */
	float *prefix_beside; /* [prefix] */
	int8_t *codes;        /* [prefix] */
	struct balls_found found;
	size_t found_capacity;
	struct balls_kth kth;
};

/* ---- memory ---- */

void balls_space_fini(struct balls_space *space)
{
	free(space->memory);
	*space = (struct balls_space){0};
}

/* Takes `bytes` from the space, or, while there is none, only counts. */
static void *take(uint8_t *memory, size_t *at, size_t bytes)
{
	uint8_t *start = memory == NULL ? NULL : memory + *at;
	*at += (bytes + BALLS_ALIGN - 1) / BALLS_ALIGN * BALLS_ALIGN;
	return start;
}

static size_t lay_out(struct search *search, uint8_t *memory)
{
	const size_t balls = search->balls->balls;
	const size_t prefix = search->balls->prefix;
	const size_t k = search->query->top->k;
	size_t at = 0;
	search->found_capacity = (k < CANDIDATES_MIN ? CANDIDATES_MIN : 4 * k) + CHUNK_ROWS;
	search->kth.capacity = 2 * k + BALLS_KTH_SPARE;
	search->along = take(memory, &at, balls * sizeof(float));
	search->off = take(memory, &at, balls * sizeof(float));
	search->bounds = take(memory, &at, balls * sizeof(float));
	search->order = take(memory, &at, balls * sizeof(uint32_t));
	search->beside = take(memory, &at, search->balls->dim * sizeof(float));
	search->prefix_query = take(memory, &at, prefix * sizeof(float));
	search->prefix_beside = take(memory, &at, prefix * sizeof(float));
	search->codes = take(memory, &at, prefix);
	search->found.uppers = take(memory, &at, search->found_capacity * sizeof(float));
	search->found.rows = take(memory, &at, search->found_capacity * sizeof(uint32_t));
	search->kth.scores = take(memory, &at, search->kth.capacity * sizeof(float));
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
	(void)lay_out(search, space->memory);
	return STATUS_OK;
}

/* ---- full rows ---- */

static bool is_cancelled(const struct search *search)
{
	return search->query->cancel != NULL && *search->query->cancel;
}

static void score(struct search *search, const uint32_t *rows, uint32_t count)
{
	struct balls_query *query = search->query;
	float scores[BATCH_ROWS];
	query->score(query->arg, rows, count, scores);
	query->compared += count;
	for (uint32_t i = 0; i < count; i++) {
		if (scores[i] >= topk_threshold(query->top)) {
			topk_push(query->top, scores[i], query->first_id + rows[i]);
		}
	}
	balls_kth_add(&search->kth, scores, count);
}

/* The rows that `rows` lists, or all, without looking at any bound. */
static enum status score_each(struct search *search, const uint32_t *rows, uint32_t count)
{
	uint32_t some[BATCH_ROWS];
	uint32_t taken = 0;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t row = rows == NULL ? i : rows[i];
		if (row < search->balls->rows) {
			some[taken++] = row;
		}
		if (taken == BATCH_ROWS || (i + 1 == count && taken > 0)) {
			score(search, some, taken);
			taken = 0;
			if (is_cancelled(search)) {
				return STATUS_BUSY;
			}
		}
	}
	if (taken > 0) {
		score(search, some, taken);
	}
	return STATUS_OK;
}

/* Moves the candidates that reach `limit` to the front and drops those below the threshold. Returns
 * how many are in front. */
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

/* Scores the candidates, those of the highest bounds first. */
static void settle(struct search *search)
{
	struct balls_found *found = &search->found;
	while (found->count > 0) {
		const struct balls_kth *kth = &search->kth;
		size_t wanted = kth->count < kth->k ? kth->k - kth->count : STEP_ROWS;
		wanted = wanted < STEP_ROWS ? STEP_ROWS : wanted;
		float limit = -INFINITY;
		if (found->count > wanted + wanted / 4) {
			limit = balls_limit(search->kernels, found->uppers, found->count, wanted,
				wanted + wanted / 4);
		}
		const uint32_t front = part(found, limit, kth->threshold);
		for (uint32_t i = 0; i < front; i += BATCH_ROWS) {
			score(search, found->rows + i,
				front - i < BATCH_ROWS ? front - i : BATCH_ROWS);
		}
		found->count -= front;
		memmove(found->uppers, found->uppers + front, found->count * sizeof(float));
		memmove(found->rows, found->rows + front, found->count * sizeof(uint32_t));
	}
}

/* ---- balls ---- */

static float squares_of(const float *values, size_t count)
{
	float sums[16] = {0};
	size_t i = 0;
	for (; i + 16 <= count; i += 16) {
		for (size_t lane = 0; lane < 16; lane++) {
			sums[lane] += values[i + lane] * values[i + lane];
		}
	}
	float sum = 0;
	for (; i < count; i++) {
		sum += values[i] * values[i];
	}
	for (size_t lane = 0; lane < 16; lane++) {
		sum += sums[lane];
	}
	return sum;
}

/* Writes the codes of `values` and returns their scale; the length of what they miss goes to
 * `miss`. */
static float encode(const float *values, uint32_t count, int8_t *codes, float *miss)
{
	float largest = 0;
	for (uint32_t i = 0; i < count; i++) {
		const float size = fabsf(values[i]);
		largest = size > largest ? size : largest;
	}
	const float scale = largest / 127;
	const float inverse = largest > 1e-30f ? 127 / largest : 0;
	float missed = 0;
	for (uint32_t i = 0; i < count; i++) {
		float code = values[i] * inverse;
		code = code > 127 ? 127 : code >= -127 ? code : -127;
		codes[i] = (int8_t)lrintf(code);
		const float beside = values[i] - scale * (float)codes[i];
		missed += beside * beside;
	}
	*miss = sqrtf(missed);
	return scale;
}

/* What of the query its blocks are held against. */
static void look_along(struct search *search, uint32_t ball, struct balls_scan *scan)
{
	const struct balls *balls = search->balls;
	const float *axis = balls->axes + (size_t)ball * balls->dim;
	const float *prefix_axis = balls->prefix_axes + (size_t)ball * balls->prefix;
	const float along = search->along[ball];
	for (uint32_t i = 0; i < balls->dim; i++) {
		search->beside[i] = search->query->query[i] - along * axis[i];
	}
	for (uint32_t i = 0; i < balls->prefix; i++) {
		search->prefix_beside[i] = search->prefix_query[i] - along * prefix_axis[i];
	}
	const float squared = squares_of(search->beside, balls->dim);
	const float prefix_squared = squares_of(search->prefix_beside, balls->prefix);
	const float off = sqrtf(squared);
	const float rest = squared - prefix_squared + 4 * search->slack * off * search->norm;
	float miss;
	const float scale = encode(search->prefix_beside, balls->prefix, search->codes, &miss);
	int32_t sum = 0;
	for (uint32_t i = 0; i < balls->prefix; i++) {
		sum += search->codes[i];
	}
	*scan = (struct balls_scan){
		.metric = search->query->metric,
		.prefix = balls->prefix,
		.rows = balls->rows,
		.block_data = balls->block_data,
		.block_bytes = balls->block_bytes,
		.codes = search->codes,
		.code_sum = sum * BALLS_CODE_ZERO,
		.scale = scale,
		.along = along,
		.off = off,
		.norm = search->norm,
		.slack = search->slack,
		.code_weight = search->factor * sqrtf(prefix_squared),
		.rest_weight = search->factor * sqrtf(rest > 0 ? rest : 0),
		.rounding_weight = search->factor * miss,
	};
}

static void bound_blocks(const struct search *search, const struct balls_scan *scan, size_t first,
	size_t count, float *out)
{
	const struct balls_bounds bounds = {
		.metric = scan->metric,
		.ranges = &search->balls->of_blocks,
		.first = first,
		.count = count,
		.along = &scan->along,
		.off = &scan->off,
		.one_axis = true,
		.norm = search->norm,
		.slack = search->slack,
		.factor = search->factor,
		.out = out,
	};
	search->kernels->bounds(&bounds);
}

/* Looks through a ball. Candidates may wait after it. */
static void visit(struct search *search, uint32_t ball)
{
	const struct balls *balls = search->balls;
	const uint32_t end = balls->first_blocks[ball + 1];
	float bounds[CHUNK_BLOCKS];
	uint32_t blocks[CHUNK_BLOCKS];
	struct balls_scan scan;
	look_along(search, ball, &scan);
	for (uint32_t first = balls->first_blocks[ball]; first < end; first += CHUNK_BLOCKS) {
		const uint32_t count = end - first < CHUNK_BLOCKS ? end - first : CHUNK_BLOCKS;
		uint32_t some = 0;
		bound_blocks(search, &scan, first, count, bounds);
		for (uint32_t i = 0; i < count; i++) {
			blocks[some] = first + i;
			some += !(bounds[i] < search->kth.threshold);
		}
		scan.threshold = search->kth.threshold;
		search->kernels->scan(&scan, blocks, some, &search->found);
		search->blocks_scanned += some;
		if (search->found.count + CHUNK_ROWS > search->found_capacity) {
			settle(search);
		}
	}
}

static void bound_balls(struct search *search, float factor)
{
	const struct balls_bounds bounds = {
		.metric = search->query->metric,
		.ranges = &search->balls->of_balls,
		.count = search->balls->balls,
		.along = search->along,
		.off = search->off,
		.norm = search->norm,
		.slack = search->slack,
		.factor = factor,
		.out = search->bounds,
	};
	search->kernels->bounds(&bounds);
}

/* The query beside all axes. */
static void look_around(struct search *search)
{
	const struct balls *balls = search->balls;
	const struct adapter_product on_axes = {
		.x = search->query->query,
		.w = balls->axes,
		.y = search->along,
		.rows = 1,
		.outs = balls->balls,
		.in = balls->dim,
		.y_stride = balls->balls,
	};
	search->products->product(&on_axes);
	const float squared = search->norm * search->norm * (1 + 4 * search->slack);
	for (uint32_t i = 0; i < balls->balls; i++) {
		const float left = squared - search->along[i] * search->along[i];
		search->off[i] = sqrtf(left > 0 ? left : 0);
	}
	if (balls->basis == NULL) {
		memset(search->prefix_query, 0, balls->prefix * sizeof(float));
		memcpy(search->prefix_query, search->query->query, balls->dim * sizeof(float));
		return;
	}
	const struct adapter_product on_basis = {
		.x = search->query->query,
		.w = balls->basis,
		.y = search->prefix_query,
		.rows = 1,
		.outs = balls->prefix,
		.in = balls->dim,
		.y_stride = balls->prefix,
	};
	search->products->product(&on_basis);
}

/* Visits the balls that promise most, until twice as many rows as are asked for were seen. Those
 * are marked by a bound of -INFINITY in `order`, as bits. */
static void visit_seeds(struct search *search)
{
	const struct balls *balls = search->balls;
	uint64_t rows = 0;
	bound_balls(search, seed_factor < search->factor ? seed_factor : search->factor);
	memset(search->order, 0, balls->balls * sizeof *search->order);
	for (int seeds = 0; seeds < SEEDS_MAX && rows < 2 * search->query->top->k; seeds++) {
		uint32_t best = 0;
		float bound = -INFINITY;
		for (uint32_t i = 0; i < balls->balls; i++) {
			const bool better = search->bounds[i] > bound;
			bound = better ? search->bounds[i] : bound;
			best = better ? i : best;
		}
		if (bound == -INFINITY) {
			break;
		}
		search->bounds[best] = -INFINITY;
		search->order[best] = 1;
		rows += (uint64_t)BALLS_BLOCK_ROWS *
			(balls->first_blocks[best + 1] - balls->first_blocks[best]);
		visit(search, best);
	}
	settle(search);
}

static uint32_t bucket_of(float bound, float low, float scale)
{
	const float place = (bound - low) * scale;
	return place >= BUCKETS - 1 ? 0 : place > 0 ? BUCKETS - 1 - (uint32_t)place : BUCKETS - 1;
}

/* Puts the balls that are left, and may matter, in about the order of their bounds. Returns how
 * many. */
static uint32_t put_in_order(struct search *search)
{
	const uint32_t balls = search->balls->balls;
	float low = INFINITY;
	float high = -INFINITY;
	uint32_t ends[BUCKETS + 1] = {0};
	uint32_t count = 0;
	uint32_t *left = (uint32_t *)(void *)search->off; /* no longer needed */
	bound_balls(search, search->factor);
	for (uint32_t i = 0; i < balls; i++) {
		if (search->order[i] == 0 && !(search->bounds[i] < search->kth.threshold)) {
			low = search->bounds[i] < low ? search->bounds[i] : low;
			high = search->bounds[i] > high ? search->bounds[i] : high;
			left[count++] = i;
		}
	}
	const float scale = high > low ? (float)BUCKETS / (high - low) : 0;
	for (uint32_t i = 0; i < count; i++) {
		ends[bucket_of(search->bounds[left[i]], low, scale) + 1]++;
	}
	for (uint32_t i = 0; i < BUCKETS; i++) {
		ends[i + 1] += ends[i];
	}
	for (uint32_t i = 0; i < count; i++) {
		search->order[ends[bucket_of(search->bounds[left[i]], low, scale)]++] = left[i];
	}
	return count;
}

static enum status visit_others(struct search *search)
{
	const uint32_t count = put_in_order(search);
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t ball = search->order[i];
		if (is_cancelled(search)) {
			return STATUS_BUSY;
		}
		if (search->bounds[ball] < search->kth.threshold) {
			continue;
		}
		visit(search, ball);
		if (search->found.count >= WAITING_ROWS) {
			settle(search);
		}
	}
	settle(search);
	return STATUS_OK;
}

/* ---- the whole ---- */

static void begin(struct search *search)
{
	const struct topk *top = search->query->top;
	search->kth.kernels = search->kernels;
	search->kth.k = top->k;
	search->kth.threshold = topk_threshold(top);
	for (size_t i = 0; i < top->count; i++) {
		balls_kth_add(&search->kth, &top->hits[i].score, 1);
	}
}

enum status balls_search_with(const struct balls *balls, struct balls_query *query,
	struct balls_space *space, const struct balls_kernels *kernels)
{
	const double norm = balls_norm(query->query, balls->dim);
	struct search search = {
		.balls = balls,
		.query = query,
		.kernels = kernels,
		.products = adapter_kernels_at(0),
		.norm = (float)norm,
		.slack = (float)(balls->dim / 16 + 32) * 0x1p-21f,
		.factor = query->factor >= 1  ? 1
			  : query->factor > 0 ? query->factor
					      : 0,
	};
	query->compared = 0;
	query->exact = false;
	enum status status = get_space(&search, space);
	if (status != STATUS_OK) {
		return status;
	}
	begin(&search);
	if (!balls_norm_is_usable(norm)) {
		status = score_each(&search, NULL, balls->rows);
		query->exact = status == STATUS_OK;
		return status;
	}
	status = score_each(&search, balls->loose_rows, balls->loose);
	if (status == STATUS_OK) {
		look_around(&search);
		visit_seeds(&search);
		status = visit_others(&search);
	}
	const uint64_t scanned = search.blocks_scanned * BALLS_BLOCK_ROWS;
	query->compared += scanned;
	query->exact = status == STATUS_OK && search.factor >= 1;
	return status;
}

enum status balls_search(const struct balls *balls, struct balls_query *query,
	struct balls_space *space)
{
	return balls_search_with(balls, query, space, balls_kernels_at(0));
}
