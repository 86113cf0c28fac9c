/* balls_loops.h - the kernels of balls_kernels.h, for the instruction set of the file that includes
 * it.
 *
 * That file has defined TARGET, the attribute of its functions, and
 *
 *   lanes larger(lanes a, lanes b)             in each lane a if a > b, else b
 *   lanes root(lanes a)                        roots of values that are not negative
 *   uint32_t not_below(lanes a, float limit)   a bit for each lane; NaN is not below
 *   lanes_int add_dots(lanes_int sums, const uint8_t *codes, const int8_t *query, uint32_t dims)
 *                                              adds to each lane a product of that many dims
 */
#include <math.h>

#include "daemon/retrieval/balls/balls_image.h"
#include "daemon/retrieval/balls/balls_kernels.h"
#include "daemon/retrieval/balls/balls_lanes.h"

/* The memory of a block is asked for so many blocks before it is scanned. */
enum { AHEAD = 3 };

TARGET INLINE lanes load(const float *at)
{
	return *(const lanes_at *)at;
}

TARGET INLINE void store(float *at, lanes value)
{
	*(lanes_at *)at = value;
}

/* Loads less than 16 values, with zeros behind them. */
TARGET INLINE lanes load_some(const float *at, uint32_t count)
{
	float some[LANES] = {0};
	for (uint32_t i = 0; i < count; i++) {
		some[i] = at[i];
	}
	return load(some);
}

/* Loads up to 16 of `count` values, from number `from` on, with zeros behind them. */
TARGET INLINE lanes load_at(const float *values, uint32_t from, uint32_t count)
{
	return from + LANES <= count ? load(values + from)
	       : from < count        ? load_some(values + from, count - from)
				     : (lanes){0};
}

TARGET INLINE lanes all(float value)
{
	return value - (lanes){0};
}

TARGET INLINE lanes smaller(lanes a, lanes b)
{
	return -larger(-a, -b);
}

/* Adds the lanes in the order of adapter_kernels.h. */
TARGET INLINE float sum_of(lanes value)
{
	lanes_8 eight[2];
	lanes_4 four[2];
	memcpy(eight, &value, sizeof value);
	const lanes_8 halves = eight[0] + eight[1];
	memcpy(four, &halves, sizeof halves);
	const lanes_4 quarters = four[0] + four[1];
	return (quarters[0] + quarters[2]) + (quarters[1] + quarters[3]);
}

TARGET INLINE float largest_of(lanes value)
{
	float values[LANES];
	store(values, value);
	float largest = values[0];
	for (size_t i = 1; i < LANES; i++) {
		largest = values[i] > largest ? values[i] : largest;
	}
	return largest;
}

/* ---- the query ---- */

/* 1.5 * 2^23: a value that is added to it is rounded to an
 * integer, which stands in the last bits. */
static const float rounding = 12582912.0f;
static const int32_t rounding_bits = 0x4b400000;

TARGET static void encode(const float *values, uint32_t count, struct balls_coded *coded)
{
	lanes size = {0};
	for (uint32_t d = 0; d < count; d += LANES) {
		const lanes some = load_at(values, d, count);
		size = larger(larger(some, -some), size);
	}
	const float largest = largest_of(size);
	const float scale = largest / 127;
	const float inverse = largest > 1e-30f ? 127 / largest : 0;
	lanes missed = {0};
	lanes_int sums = {0};
	for (uint32_t d = 0; d < coded->dims; d += LANES) {
		const lanes some = load_at(values, d, count);
		/* NaN becomes -127. */
		const lanes code = smaller(larger(some * inverse, all(-127)), all(127));
		const lanes_int near = (lanes_int)(code + rounding) - rounding_bits;
		const lanes beside = some - scale * __builtin_convertvector(near, lanes);
		const lanes_byte bytes = __builtin_convertvector(near, lanes_byte);
		memcpy(coded->codes + d, &bytes, sizeof bytes);
		missed += beside * beside;
		sums += near;
	}
	int32_t sum = 0;
	for (size_t i = 0; i < LANES; i++) {
		sum += sums[i];
	}
	coded->sum = sum * BALLS_CODE_ZERO;
	coded->scale = scale;
	coded->miss = sqrtf(sum_of(missed));
}

TARGET INLINE float product_of(const float *x, const float *y, uint32_t count)
{
	lanes sums = {0};
	const uint32_t whole = count / LANES * LANES;
	for (uint32_t d = 0; d < whole; d += LANES) {
		sums += load(x + d) * load(y + d);
	}
	if (whole < count) {
		sums += load_some(x + whole, count - whole) * load_some(y + whole, count - whole);
	}
	return sum_of(sums);
}

TARGET static void look_beside(struct balls_beside *beside)
{
	const struct balls *balls = beside->balls;
	const uint32_t dim = balls->dim;
	const float *axis = balls->axes + (size_t)beside->ball * dim;
	const float *prefix_axis =
		balls->prefix_axes + (size_t)beside->ball * balls_whole_lanes(balls->prefix);
	const float along = product_of(beside->query, axis, dim);
	lanes squares = {0};
	for (uint32_t d = 0; d < dim; d += LANES) {
		const lanes off = load_at(beside->query, d, dim) - along * load_at(axis, d, dim);
		squares += off * off;
	}
	float *out = beside->prefix_beside;
	for (uint32_t d = 0; d < balls->prefix; d += LANES) {
		store(out + d, load(beside->prefix_query + d) - along * load(prefix_axis + d));
	}
	beside->along = along;
	beside->off_squared = sum_of(squares);
	beside->prefix_squared = product_of(out, out, balls->prefix);
	beside->first_squared = product_of(out, out, balls->first);
	encode(out, balls->prefix, beside->coded);
}

/* ---- balls and blocks ---- */

/* The place of the query by an axis: its projection, up to an
 * error, and the range of its distance. */
struct place {
	lanes along;
	float error;
	lanes off_min;
	lanes off_max;
};

TARGET INLINE lanes bound_product(const struct balls_terms *terms, float factor,
	const struct balls_ranges *ranges, size_t i, const struct place *place)
{
	const lanes low = load(ranges->along_min + i);
	const lanes high = load(ranges->along_max + i);
	const lanes off = load(ranges->off_max + i);
	const lanes size = larger(-low, high);
	return larger(place->along * low, place->along * high) + place->error * size +
	       factor * place->off_max * off + terms->slack * terms->norm * (size + off);
}

/* The bound is a c + |s| sqrt(1 - c^2), which is concave over the cosines c of rows with their
 * axis. So its largest value is at the peak, or at the end of the range that is nearest to the
 * peak. */
TARGET INLINE lanes bound_cosine(const struct balls_terms *terms, float factor,
	const struct balls_ranges *ranges, size_t i, const struct place *place)
{
	const lanes second = factor * place->off_max;
	const lanes length = root(place->along * place->along + second * second) + 1e-30f;
	const lanes c = smaller(larger(place->along / length, load(ranges->cosine_min + i)),
		load(ranges->cosine_max + i));
	const lanes sine = root(larger((1 - c) * (1 + c), all(0)));
	return (place->along * c + second * sine + place->error) / terms->norm + 4 * terms->slack;
}

/* The distance in the plane of (p, |r|). With a factor, <s,r> is taken to be smaller by that
 * factor. */
TARGET INLINE lanes bound_l2(const struct balls_terms *terms, float factor,
	const struct balls_ranges *ranges, size_t i, const struct place *place)
{
	const lanes low = load(ranges->along_min + i);
	const lanes high = load(ranges->along_max + i);
	const lanes off_low = load(ranges->off_min + i);
	const lanes off_high = load(ranges->off_max + i);
	const lanes miss =
		larger(larger(low - place->along, place->along - high) - place->error, all(0));
	const lanes off_miss = larger(larger(off_low - factor * place->off_max,
					      factor * place->off_min - off_high),
		all(0));
	const lanes beside = (1 - factor) * (1 + factor) * place->off_min * place->off_min;
	const lanes norm = terms->norm + larger(-low, high) + off_high;
	const lanes distance = root(miss * miss + off_miss * off_miss + beside);
	const lanes surely = larger(distance - terms->slack * norm, all(0));
	return -surely * surely * (1 - terms->slack);
}

TARGET INLINE lanes bound(const struct balls_terms *terms, float factor,
	const struct balls_ranges *ranges, size_t i, const struct place *place)
{
	return terms->metric == BALLS_INNER_PRODUCT ? bound_product(terms, factor, ranges, i, place)
	       : terms->metric == BALLS_COSINE      ? bound_cosine(terms, factor, ranges, i, place)
						    : bound_l2(terms, factor, ranges, i, place);
}

/* This may read a few values behind those that were asked for: the blocks of rows follow the
 * ranges. */
TARGET static void bound_blocks(const struct balls_bounds *bounds)
{
	const struct balls_terms terms = bounds->terms;
	const struct balls_ranges ranges = *bounds->ranges;
	const struct place place = {.along = all(bounds->along),
		.off_min = all(bounds->off),
		.off_max = all(bounds->off)};
	for (size_t i = 0; i < bounds->count; i += LANES) {
		store(bounds->out + i,
			bound(&terms, terms.factor, &ranges, bounds->first + i, &place));
	}
}

TARGET static void look_along(const struct balls_along *along)
{
	const struct balls *balls = along->balls;
	const struct balls_coded *coded = along->coded;
	const float norm = along->terms.norm;
	const size_t stride = (size_t)coded->dims * LANES;
	for (uint32_t i = 0; i < balls->balls; i += LANES) {
		const float *head = balls->axis_heads + (size_t)(i / LANES) * 2;
		const lanes_int dots = add_dots((lanes_int){0},
			balls->axis_codes + i / LANES * stride, coded->codes, coded->dims);
		store(along->lie.along + i,
			coded->scale * head[0] * __builtin_convertvector(dots - coded->sum, lanes));
		along->lie.errors[i / LANES] =
			norm * head[1] + coded->miss * (1 + head[1]) + along->terms.slack * norm;
	}
}

/* A value, or -INFINITY in the lanes of balls that have no block. */
TARGET INLINE lanes where_blocks_are(lanes value, const uint32_t *first_blocks)
{
	const lanes_int from = *(const lanes_int_at *)(const void *)first_blocks;
	const lanes_int behind = *(const lanes_int_at *)(const void *)(first_blocks + 1);
	const lanes_int is_empty = from == behind;
	return (lanes)(((lanes_int)value & ~is_empty) | ((lanes_int)all(-INFINITY) & is_empty));
}

/* This may read a few values behind `first_blocks`: other columns follow. */
TARGET static void look_around(const struct balls_around *around)
{
	const struct balls *balls = around->balls;
	const struct balls_terms terms = around->terms;
	const struct balls_ranges ranges = balls->of_balls;
	const float squared = terms.norm * terms.norm;
	const float slack = 4 * terms.slack * squared;
	for (uint32_t i = 0; i < balls->balls; i += LANES) {
		const lanes along = load(around->lie.along + i);
		const float error = around->lie.errors[i / LANES];
		const lanes size = larger(along, -along);
		const lanes low = larger(size - error, all(0));
		const lanes high = size + error;
		const struct place place = {.along = along,
			.error = error,
			.off_min = root(larger(squared - high * high - slack, all(0))),
			.off_max = root(larger(squared - low * low + slack, all(0)))};
		const lanes own =
			where_blocks_are(bound(&terms, around->factor, &ranges, i, &place),
				balls->first_blocks + i);
		float *out = around->bounds + i;
		store(out, around->is_more ? larger(own, load(out)) : own);
	}
}

/* ---- rows ---- */

/* Turns the products of codes, and what codes leave out, into bounds of scores. */
TARGET INLINE lanes bound_rows(const struct balls_scan *scan, const uint8_t *block, lanes_int dots,
	float error)
{
	const struct balls_terms *terms = &scan->terms;
	const float *head = balls_block_head(block);
	const lanes along = load(balls_block_along(block));
	const float scale = scan->coded->scale * head[BALLS_HEAD_SCALE];
	const float norm = head[BALLS_HEAD_NORM];
	const lanes beside = scale * __builtin_convertvector(dots, lanes) + error;
	if (terms->metric == BALLS_INNER_PRODUCT) {
		return scan->along * along + beside + terms->slack * terms->norm * norm;
	}
	const lanes off = load(balls_block_off(block, scan->balls->prefix));
	if (terms->metric == BALLS_COSINE) {
		const lanes length = root(along * along + off * off);
		return (scan->along * along + beside) / (length * terms->norm) + 4 * terms->slack;
	}
	const lanes miss = along - scan->along;
	const lanes sum = miss * miss + (scan->off * scan->off + off * off);
	const lanes squared = sum - 2 * beside - terms->slack * sum;
	const lanes distance = root(larger(squared, all(0))) - terms->slack * (terms->norm + norm);
	const lanes surely = larger(distance, all(0));
	return -surely * surely * (1 - terms->slack);
}

TARGET INLINE void append(const struct balls_scan *scan, const uint8_t *block, lanes uppers,
	struct balls_found *found)
{
	const uint32_t *rows = balls_block_rows(block, scan->balls->prefix);
	uint32_t some = not_below(uppers, scan->threshold);
	for (; some != 0; some &= some - 1) {
		const uint32_t i = (uint32_t)__builtin_ctz(some);
		const float upper = uppers[i];
		if (rows[i] < scan->balls->rows) {
			/* A NaN bounds nothing. */
			found->uppers[found->count] = upper <= INFINITY ? upper : INFINITY;
			found->rows[found->count++] = scan->first + rows[i];
		}
	}
}

TARGET static void scan_blocks(const struct balls_scan *scan, const uint32_t *blocks,
	uint32_t count, struct balls_found *found)
{
	const struct balls *balls = scan->balls;
	const int8_t *query = scan->coded->codes;
	const uint32_t first = balls->first;
	int32_t sum = 0;
	for (uint32_t d = 0; d < first; d++) {
		sum += query[d] * BALLS_CODE_ZERO;
	}
	for (uint32_t n = 0; n < count; n++) {
		if (n + AHEAD < count) {
			const uint8_t *next =
				balls->block_data + blocks[n + AHEAD] * balls->block_bytes;
			for (size_t i = 0; i < 128 + (size_t)first * LANES; i += 64) {
				__builtin_prefetch(next + i);
			}
		}
		const uint8_t *block = balls->block_data + blocks[n] * balls->block_bytes;
		const uint8_t *codes = balls_block_codes(block);
		const float *head = balls_block_head(block);
		const float code_error = head[BALLS_HEAD_CODE_ERROR];
		const float error = scan->code_weight * code_error +
				    scan->miss_weight * (head[BALLS_HEAD_OFF] + code_error);
		lanes_int dots = add_dots((lanes_int){0} - sum, codes, query, first);
		if (first < balls->prefix) {
			const lanes uppers = bound_rows(scan, block, dots,
				error + scan->first_weight * head[BALLS_HEAD_FIRST_REST]);
			if (not_below(uppers, scan->threshold) == 0) {
				continue;
			}
			dots = add_dots(dots - (scan->coded->sum - sum),
				codes + (size_t)first * LANES, query + first,
				balls->prefix - first);
		}
		append(scan, block,
			bound_rows(scan, block, dots,
				error + scan->rest_weight * head[BALLS_HEAD_REST]),
			found);
	}
}

/* ---- many values ---- */

/* A bit for each of the first `count` lanes. */
TARGET INLINE uint32_t those_of(size_t count)
{
	return count < LANES ? (1u << count) - 1 : 0xffff;
}

TARGET static size_t count_values(const float *values, size_t count, float limit)
{
	size_t some = 0;
	for (size_t i = 0; i < count; i += LANES) {
		some += (size_t)__builtin_popcount(
			not_below(load(values + i), limit) & those_of(count - i));
	}
	return some;
}

TARGET static void find_extent(const float *values, size_t count, float *low, float *high)
{
	lanes lows = all(INFINITY);
	lanes highs = all(-INFINITY);
	const size_t whole = count / LANES * LANES;
	for (size_t i = 0; i < whole; i += LANES) {
		lows = smaller(load(values + i), lows);
		highs = larger(load(values + i), highs);
	}
	*low = -largest_of(-lows);
	*high = largest_of(highs);
	for (size_t i = whole; i < count; i++) {
		*low = values[i] < *low ? values[i] : *low;
		*high = values[i] > *high ? values[i] : *high;
	}
}

TARGET static uint32_t pick(const float *values, uint32_t count, float limit, uint32_t *places)
{
	uint32_t picked = 0;
	for (uint32_t at = 0; at < count; at += LANES) {
		uint32_t some = not_below(load(values + at), limit) & those_of(count - at);
		for (; some != 0; some &= some - 1) {
			const uint32_t place = at + (uint32_t)__builtin_ctz(some);
			places[picked] = place;
			picked += values[place] != -INFINITY;
		}
	}
	return picked;
}

#define BALLS_KERNELS(NAME)                                                                        \
	{                                                                                          \
		.name = (NAME), .encode = encode, .along = look_along, .around = look_around,      \
		.beside = look_beside, .bounds = bound_blocks, .scan = scan_blocks,                \
		.count = count_values, .extent = find_extent, .pick = pick                         \
	}
