/* balls_kernels.c - bounds of balls, blocks and rows, compiled once for each instruction set. */
#include "daemon/retrieval/balls_kernels.h"

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "daemon/retrieval/balls_bounds.h"
#include "daemon/retrieval/balls_image.h"

enum { LANES = BALLS_BLOCK_ROWS };

/* ---- sums of squares, codes ---- */

/* Sixteen partial sums, added up in the order of adapter_kernels.h. */
INLINE float sum_of(float *sums)
{
	for (size_t width = LANES / 2; width > 0; width /= 2) {
		for (size_t i = 0; i < width; i++) {
			sums[i] += sums[i + width];
		}
	}
	return sums[0];
}

/* 1.5 * 2^23: what is added to it is rounded to the nearest integer, which its last bits show. */
static const float rounding = 12582912.0f;

INLINE int32_t rounded(float value)
{
	const float shifted = value + rounding;
	int32_t bits;
	int32_t zero;
	memcpy(&bits, &shifted, sizeof bits);
	memcpy(&zero, &rounding, sizeof zero);
	return bits - zero;
}

INLINE void encode(const float *values, struct balls_coded *coded)
{
	float sums[LANES] = {0};
	float largest[LANES] = {0};
	int32_t code_sums[LANES] = {0};
	int8_t *codes = coded->codes;
	const uint32_t whole = coded->dims / LANES * LANES;
	for (uint32_t d = 0; d < whole; d += LANES) {
		for (uint32_t i = 0; i < LANES; i++) {
			largest[i] = most(fabsf(values[d + i]), largest[i]);
		}
	}
	for (uint32_t d = whole; d < coded->dims; d++) {
		largest[0] = most(fabsf(values[d]), largest[0]);
	}
	for (uint32_t i = 1; i < LANES; i++) {
		largest[0] = most(largest[i], largest[0]);
	}
	const float scale = largest[0] / 127;
	const float inverse = largest[0] > 1e-30f ? 127 / largest[0] : 0;
	for (uint32_t d = 0; d < coded->dims; d += LANES) {
		const uint32_t count = coded->dims - d < LANES ? coded->dims - d : LANES;
		for (uint32_t i = 0; i < count; i++) {
			/* What is not a number becomes -127. */
			const float code = least(most(values[d + i] * inverse, -127.0f), 127.0f);
			const int32_t near = rounded(code);
			const float beside = values[d + i] - scale * (float)near;
			codes[d + i] = (int8_t)near;
			code_sums[i] += near;
			sums[i] += beside * beside;
		}
	}
	for (uint32_t i = 1; i < LANES; i++) {
		code_sums[0] += code_sums[i];
	}
	coded->sum = code_sums[0] * BALLS_CODE_ZERO;
	coded->scale = scale;
	coded->miss = sqrtf(sum_of(sums));
}

INLINE float dot(const float *x, const float *y, uint32_t count)
{
	float sums[LANES] = {0};
	for (uint32_t d = 0; d < count; d += LANES) {
		const uint32_t some = count - d < LANES ? count - d : LANES;
		if (some == LANES) {
			for (uint32_t i = 0; i < LANES; i++) {
				sums[i] += x[d + i] * y[d + i];
			}
		} else {
			for (uint32_t i = 0; i < some; i++) {
				sums[i] += x[d + i] * y[d + i];
			}
		}
	}
	return sum_of(sums);
}

/* The squares of x - much * y. */
INLINE float squares_beside(const float *x, const float *y, float much, uint32_t count)
{
	float sums[LANES] = {0};
	const uint32_t whole = count / LANES * LANES;
	for (uint32_t d = 0; d < whole; d += LANES) {
		for (uint32_t i = 0; i < LANES; i++) {
			const float beside = x[d + i] - much * y[d + i];
			sums[i] += beside * beside;
		}
	}
	for (uint32_t d = whole; d < count; d++) {
		const float beside = x[d] - much * y[d];
		sums[d - whole] += beside * beside;
	}
	return sum_of(sums);
}

INLINE void look_beside(struct balls_beside *beside)
{
	const struct balls *balls = beside->balls;
	const float *axis = balls->axes + (size_t)beside->ball * balls->dim;
	const float *prefix_axis = balls->prefix_axes + (size_t)beside->ball * balls->prefix;
	const float along = dot(beside->query, axis, balls->dim);
	float *out = beside->prefix_beside;
	beside->along = along;
	beside->off_squared = squares_beside(beside->query, axis, along, balls->dim);
	for (uint32_t d = 0; d < balls->prefix; d++) {
		out[d] = beside->prefix_query[d] - along * prefix_axis[d];
	}
	beside->first_squared = dot(out, out, balls->first);
	beside->prefix_squared =
		balls->first < balls->prefix ? dot(out, out, balls->prefix) : beside->first_squared;
	encode(out, beside->coded);
}

/* ---- bounds of balls and blocks ---- */

INLINE void bound_blocks_by(const struct balls_bounds *bounds, const enum balls_metric metric)
{
	const struct balls_terms terms = bounds->terms;
	const struct balls_ranges ranges = *bounds->ranges;
	const struct balls_place place = {.along = bounds->along,
		.off_min = bounds->off,
		.off_max = bounds->off};
	float *restrict out = bounds->out;
	for (size_t i = 0; i < bounds->count; i++) {
		out[i] = bound_of(metric, &terms, terms.factor,
			range_at(&ranges, bounds->first + i), place);
	}
}

INLINE void bound_blocks(const struct balls_bounds *bounds)
{
	switch (bounds->terms.metric) {
	case BALLS_INNER_PRODUCT:
		bound_blocks_by(bounds, BALLS_INNER_PRODUCT);
		break;
	case BALLS_COSINE:
		bound_blocks_by(bounds, BALLS_COSINE);
		break;
	case BALLS_L2:
	case BALLS_METRICS:
		bound_blocks_by(bounds, BALLS_L2);
		break;
	}
}

/* Sixteen balls: their products with the query's codes become bounds. */
INLINE void bound_balls_by(const struct balls_around *around, uint32_t group, const int32_t *dots,
	const enum balls_metric metric)
{
	const struct balls_terms terms = around->terms;
	const struct balls_ranges ranges = around->balls->of_balls;
	const struct balls_coded *coded = around->coded;
	const float *head = around->balls->axis_heads + (size_t)group * 2;
	const float scale = coded->scale * head[0];
	const float error =
		terms.norm * head[1] + coded->miss * (1 + head[1]) + terms.slack * terms.norm;
	const float squared = terms.norm * terms.norm;
	const float slack = 4 * terms.slack * squared;
	float *restrict promises = around->promises + (size_t)group * LANES;
	float *restrict bounds = around->bounds + (size_t)group * LANES;
	for (size_t i = 0; i < LANES; i++) {
		struct balls_place place = {.along = scale * (float)(dots[i] - coded->sum),
			.error = error};
		const float size = fabsf(place.along);
		const float low = most(size - error, 0);
		const float high = size + error;
		place.off_max = sqrtf(most(squared - low * low + slack, 0));
		place.off_min = sqrtf(most(squared - high * high - slack, 0));
		const struct balls_range range = range_at(&ranges, group * LANES + i);
		bounds[i] = bound_of(metric, &terms, terms.factor, range, place);
		promises[i] = bound_of(metric, &terms, around->begin_factor, range, place);
	}
}

INLINE void bound_balls(const struct balls_around *around, uint32_t group, const int32_t *dots)
{
	switch (around->terms.metric) {
	case BALLS_INNER_PRODUCT:
		bound_balls_by(around, group, dots, BALLS_INNER_PRODUCT);
		break;
	case BALLS_COSINE:
		bound_balls_by(around, group, dots, BALLS_COSINE);
		break;
	case BALLS_L2:
	case BALLS_METRICS:
		bound_balls_by(around, group, dots, BALLS_L2);
		break;
	}
}

/* ---- rows ---- */

/* Where a scan is. */
struct at_block {
	const struct balls_scan *scan;
	const int8_t *query;
	int32_t sum; /* of the query's codes of the first dims, times 128; of the others */
	int32_t other_sum;
	uint32_t first;
	uint32_t prefix;
	const uint8_t *block;
	const uint8_t *codes;
	float known; /* what may be missed in any case */
	int32_t dots[LANES];
};

INLINE struct at_block begin_scan(const struct balls_scan *scan)
{
	struct at_block at = {
		.scan = scan,
		.query = scan->coded->codes,
		.first = scan->balls->first,
		.prefix = scan->balls->prefix,
	};
	for (uint32_t d = 0; d < at.first; d++) {
		at.sum += at.query[d] * BALLS_CODE_ZERO;
	}
	at.other_sum = scan->coded->sum - at.sum;
	return at;
}

INLINE void go_to(struct at_block *at, uint32_t number)
{
	const struct balls_scan *scan = at->scan;
	at->block = scan->balls->block_data + number * scan->balls->block_bytes;
	at->codes = balls_block_codes(at->block);
	const float *head = balls_block_head(at->block);
	const float error = head[BALLS_HEAD_CODE_ERROR];
	at->known = scan->code_weight * error + scan->miss_weight * (head[BALLS_HEAD_OFF] + error);
	for (size_t i = 0; i < LANES; i++) {
		at->dots[i] = -at->sum;
	}
}

/* Turns the products of codes, and what they may miss, into bounds of scores. */
INLINE void bound_rows(const struct at_block *at, float error, float *restrict uppers)
{
	const struct balls_scan *scan = at->scan;
	const struct balls_terms terms = scan->terms;
	const float *head = balls_block_head(at->block);
	const float *along = balls_block_along(at->block);
	const float *off = balls_block_off(at->block, at->prefix);
	const float scale = scan->coded->scale * head[BALLS_HEAD_SCALE];
	const float query_along = scan->along;
	const float off_squared = scan->off * scan->off;
	const float lost = terms.slack * terms.norm * head[BALLS_HEAD_NORM];
	const float loss = terms.slack * (terms.norm + head[BALLS_HEAD_NORM]);
	float beside[LANES];
	for (size_t i = 0; i < LANES; i++) {
		beside[i] = scale * (float)at->dots[i] + error;
	}
	if (terms.metric == BALLS_INNER_PRODUCT) {
		for (size_t i = 0; i < LANES; i++) {
			uppers[i] = query_along * along[i] + beside[i] + lost;
		}
	} else if (terms.metric == BALLS_COSINE) {
		for (size_t i = 0; i < LANES; i++) {
			const float norm = sqrtf(along[i] * along[i] + off[i] * off[i]);
			uppers[i] = (query_along * along[i] + beside[i]) / (norm * terms.norm) +
				    4 * terms.slack;
		}
	} else {
		for (size_t i = 0; i < LANES; i++) {
			const float miss = along[i] - query_along;
			const float sum = miss * miss + (off_squared + off[i] * off[i]);
			const float squared = sum - 2 * beside[i] - terms.slack * sum;
			const float distance = most(sqrtf(most(squared, 0)) - loss, 0);
			uppers[i] = -distance * distance * (1 - terms.slack);
		}
	}
}

/* One bit for each row whose bound is not below the threshold. NaN is not: nothing is known of it.
 */
INLINE uint32_t that_reach(const float *uppers, float threshold)
{
	uint32_t some = 0;
	for (size_t i = 0; i < LANES; i++) {
		some |= (uint32_t) !(uppers[i] < threshold) << i;
	}
	return some;
}

/* By the first dims alone; makes ready for the others. */
INLINE bool any_reaches(struct at_block *at)
{
	if (at->first == at->prefix) {
		return true;
	}
	const struct balls_scan *scan = at->scan;
	const float rest = balls_block_head(at->block)[BALLS_HEAD_FIRST_REST];
	float uppers[LANES];
	bound_rows(at, at->known + scan->first_weight * rest, uppers);
	for (size_t i = 0; i < LANES; i++) {
		at->dots[i] -= at->other_sum;
	}
	return that_reach(uppers, scan->threshold) != 0;
}

INLINE void append(const struct at_block *at, struct balls_found *found)
{
	const struct balls_scan *scan = at->scan;
	const uint32_t *rows = balls_block_rows(at->block, at->prefix);
	const float rest = balls_block_head(at->block)[BALLS_HEAD_REST];
	float uppers[LANES];
	bound_rows(at, at->known + scan->rest_weight * rest, uppers);
	uint32_t some = that_reach(uppers, scan->threshold);
	for (; some != 0; some &= some - 1) {
		const uint32_t i = (uint32_t)__builtin_ctz(some);
		if (rows[i] < scan->balls->rows) {
			found->uppers[found->count] = uppers[i] <= INFINITY ? uppers[i] : INFINITY;
			found->rows[found->count++] = rows[i];
		}
	}
}

/* Adds to sixteen products those of dims `from` to `to`. */
INLINE void plain_dots(const uint8_t *codes, const int8_t *query, uint32_t from, uint32_t to,
	int32_t *restrict dots)
{
	for (size_t d = from; d < to; d += 4) {
		for (size_t i = 0; i < LANES; i++) {
			for (size_t j = 0; j < 4; j++) {
				dots[i] += codes[d * LANES + i * 4 + j] * query[d + j];
			}
		}
	}
}

/* ---- counting ---- */

INLINE size_t count_of(const float *values, size_t count, float limit)
{
	uint32_t some = 0;
	for (size_t i = 0; i < count; i++) {
		some += values[i] >= limit;
	}
	return some;
}

INLINE void extent(const float *values, size_t count, float *low, float *high)
{
	float lows[LANES];
	float highs[LANES];
	for (size_t i = 0; i < LANES; i++) {
		lows[i] = INFINITY;
		highs[i] = -INFINITY;
	}
	const size_t whole = count / LANES * LANES;
	for (size_t at = 0; at < whole; at += LANES) {
		for (size_t i = 0; i < LANES; i++) {
			lows[i] = least(values[at + i], lows[i]);
			highs[i] = most(values[at + i], highs[i]);
		}
	}
	for (size_t at = whole; at < count; at++) {
		lows[0] = least(values[at], lows[0]);
		highs[0] = most(values[at], highs[0]);
	}
	for (size_t i = 1; i < LANES; i++) {
		lows[0] = least(lows[i], lows[0]);
		highs[0] = most(highs[i], highs[0]);
	}
	*low = lows[0];
	*high = highs[0];
}

INLINE uint32_t pick(const float *values, uint32_t count, float limit, uint32_t *places)
{
	uint32_t picked = 0;
	const uint32_t whole = count / LANES * LANES;
	for (uint32_t at = 0; at < whole; at += LANES) {
		uint32_t some = that_reach(values + at, limit);
		for (; some != 0; some &= some - 1) {
			const uint32_t place = at + (uint32_t)__builtin_ctz(some);
			places[picked] = place;
			picked += values[place] != -INFINITY;
		}
	}
	for (uint32_t at = whole; at < count; at++) {
		places[picked] = at;
		picked += !(values[at] < limit) && values[at] != -INFINITY;
	}
	return picked;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): an attribute stands without them. */
#define KERNELS(SET, TARGET)                                                                       \
	TARGET static void SET##_encode(const float *values, struct balls_coded *coded)            \
	{                                                                                          \
		encode(values, coded);                                                             \
	}                                                                                          \
	TARGET static void SET##_around(const struct balls_around *around)                         \
	{                                                                                          \
		const struct balls *balls = around->balls;                                         \
		const uint32_t dims = around->coded->dims;                                         \
		for (uint32_t group = 0; group * LANES < balls->balls; group++) {                  \
			int32_t dots[LANES] = {0};                                                 \
			SET##_dots(balls->axis_codes + (size_t)group * dims * LANES,               \
				around->coded->codes, 0, dims, dots);                              \
			bound_balls(around, group, dots);                                          \
		}                                                                                  \
	}                                                                                          \
	TARGET static void SET##_beside(struct balls_beside *beside)                               \
	{                                                                                          \
		look_beside(beside);                                                               \
	}                                                                                          \
	TARGET static void SET##_bounds(const struct balls_bounds *bounds)                         \
	{                                                                                          \
		bound_blocks(bounds);                                                              \
	}                                                                                          \
	TARGET static void SET##_scan(const struct balls_scan *scan, const uint32_t *blocks,       \
		uint32_t count, struct balls_found *found)                                         \
	{                                                                                          \
		struct at_block at = begin_scan(scan);                                             \
		for (uint32_t i = 0; i < count; i++) {                                             \
			go_to(&at, blocks[i]);                                                     \
			SET##_dots(at.codes, at.query, 0, at.first, at.dots);                      \
			if (any_reaches(&at)) {                                                    \
				SET##_dots(at.codes, at.query, at.first, at.prefix, at.dots);      \
				append(&at, found);                                                \
			}                                                                          \
		}                                                                                  \
	}                                                                                          \
	TARGET static size_t SET##_count(const float *values, size_t count, float limit)           \
	{                                                                                          \
		return count_of(values, count, limit);                                             \
	}                                                                                          \
	TARGET static void SET##_extent(const float *values, size_t count, float *low,             \
		float *high)                                                                       \
	{                                                                                          \
		extent(values, count, low, high);                                                  \
	}                                                                                          \
	TARGET static uint32_t SET##_pick(const float *values, uint32_t count, float limit,        \
		uint32_t *places)                                                                  \
	{                                                                                          \
		return pick(values, count, limit, places);                                         \
	}                                                                                          \
	static const struct balls_kernels SET##_kernels = {                                        \
		.name = #SET,                                                                      \
		.encode = SET##_encode,                                                            \
		.around = SET##_around,                                                            \
		.beside = SET##_beside,                                                            \
		.bounds = SET##_bounds,                                                            \
		.scan = SET##_scan,                                                                \
		.count = SET##_count,                                                              \
		.extent = SET##_extent,                                                            \
		.pick = SET##_pick,                                                                \
	};

/* NOLINTEND(bugprone-macro-parentheses) */

KERNELS(plain, )

#if defined(__x86_64__)
#define AVX2   __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2")))

/* As 16 bits a code; sums of two dims a lane, so two lanes a row. */
AVX2 INLINE void avx2_dots(const uint8_t *codes, const int8_t *query, uint32_t from, uint32_t to,
	int32_t *dots)
{
	__m256i sums[4];
	for (size_t i = 0; i < 4; i++) {
		sums[i] = _mm256_setzero_si256();
	}
	for (size_t d = from; d < to; d += 4) {
		int32_t word;
		memcpy(&word, query + d, sizeof word);
		const __m256i some_query = _mm256_cvtepi8_epi16(_mm_set1_epi32(word));
		for (size_t i = 0; i < 4; i++) {
			const void *at = codes + d * LANES + i * 16;
			const __m256i some = _mm256_cvtepu8_epi16(_mm_loadu_si128(at));
			sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(some, some_query));
		}
	}
	for (size_t i = 0; i < 2; i++) {
		__m256i *out = (__m256i *)(void *)(dots + 8 * i);
		const __m256i pairs = _mm256_hadd_epi32(sums[2 * i], sums[2 * i + 1]);
		_mm256_storeu_si256(out, _mm256_add_epi32(_mm256_loadu_si256(out),
						 _mm256_permute4x64_epi64(pairs, 0xd8)));
	}
}

KERNELS(avx2, AVX2)

AVX512 INLINE void avx512_dots(const uint8_t *codes, const int8_t *query, uint32_t from,
	uint32_t to, int32_t *dots)
{
	__m512i even = _mm512_loadu_si512(dots);
	__m512i odd = _mm512_setzero_si512();
	uint32_t d = from;
	for (; d + 8 <= to; d += 8) {
		int32_t words[2];
		memcpy(words, query + d, sizeof words);
		const uint8_t *at = codes + (size_t)d * LANES;
		even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(at),
			_mm512_set1_epi32(words[0]));
		odd = _mm512_dpbusd_epi32(odd, _mm512_loadu_si512(at + 64),
			_mm512_set1_epi32(words[1]));
	}
	if (d < to) {
		int32_t word;
		memcpy(&word, query + d, sizeof word);
		even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(codes + (size_t)d * LANES),
			_mm512_set1_epi32(word));
	}
	_mm512_storeu_si512(dots, _mm512_add_epi32(even, odd));
}

KERNELS(avx512, AVX512)

const struct balls_kernels *balls_kernels_at(size_t i)
{
	const struct balls_kernels *sets[3];
	size_t count = 0;
	if (__builtin_cpu_supports("avx2")) {
		if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
			__builtin_cpu_supports("avx512vl") &&
			__builtin_cpu_supports("avx512vnni")) {
			sets[count++] = &avx512_kernels;
		}
		sets[count++] = &avx2_kernels;
	}
	sets[count++] = &plain_kernels;
	return i < count ? sets[i] : NULL;
}
#else
const struct balls_kernels *balls_kernels_at(size_t i)
{
	return i == 0 ? &plain_kernels : NULL;
}
#endif
