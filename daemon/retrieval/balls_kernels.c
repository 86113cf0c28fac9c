/* balls_kernels.c - bounds, codes and nearest axes, compiled once for each instruction set. */
#include "daemon/retrieval/balls_kernels.h"

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "daemon/retrieval/balls_image.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = BALLS_BLOCK_ROWS };

INLINE float least(float a, float b)
{
	return a < b ? a : b;
}

INLINE float most(float a, float b)
{
	return a > b ? a : b;
}

/* ---- bounds of balls and blocks ---- */

INLINE float bound_product(const struct balls_bounds *bounds, size_t i, float along, float off)
{
	const struct balls_ranges *ranges = bounds->ranges;
	const float low = ranges->along_min[i];
	const float high = ranges->along_max[i];
	const float off_max = ranges->off_max[i];
	const float norm = most(-low, high) + off_max;
	return along * (along < 0 ? low : high) + bounds->factor * off * off_max +
	       bounds->slack * bounds->norm * norm;
}

/* Over the cosines c of a ball's rows with its axis, along c + off sqrt(1 - c^2) is concave. */
INLINE float bound_cosine(const struct balls_bounds *bounds, size_t i, float along, float off)
{
	const float second = bounds->factor * off;
	const float peak = along / (sqrtf(along * along + second * second) + 1e-30f);
	const float c =
		least(most(peak, bounds->ranges->cosine_min[i]), bounds->ranges->cosine_max[i]);
	const float sine = sqrtf(most((1 - c) * (1 + c), 0));
	return (along * c + second * sine) / bounds->norm + 4 * bounds->slack;
}

/* The distance in the plane of (p, |r|); with a factor, as if <s,r> were that much smaller. */
INLINE float bound_l2(const struct balls_bounds *bounds, size_t i, float along, float off)
{
	const struct balls_ranges *ranges = bounds->ranges;
	const float low = ranges->along_min[i];
	const float high = ranges->along_max[i];
	const float second = bounds->factor * off;
	const float miss = most(most(low - along, along - high), 0);
	const float off_miss =
		most(most(ranges->off_min[i] - second, second - ranges->off_max[i]), 0);
	const float beside = (1 - bounds->factor) * (1 + bounds->factor) * off * off;
	const float squared = miss * miss + off_miss * off_miss + beside;
	/* Of all balls at once, off is rounded up by as much as this. */
	const float up = bounds->one_axis
				 ? 0
				 : 8 * bounds->slack * bounds->norm * bounds->norm / (off + 1e-30f);
	const float norm = bounds->norm + most(-low, high) + ranges->off_max[i];
	const float distance = most(sqrtf(squared) - up - bounds->slack * norm, 0);
	return -distance * distance * (1 - bounds->slack);
}

INLINE void bounds_of(const struct balls_bounds *bounds, const enum balls_metric metric,
	const bool one_axis)
{
	const size_t step = one_axis ? 0 : 1;
	float *restrict out = bounds->out;
	for (size_t i = 0; i < bounds->count; i++) {
		const float along = bounds->along[i * step];
		const float off = bounds->off[i * step];
		const size_t at = bounds->first + i;
		out[i] = metric == BALLS_INNER_PRODUCT ? bound_product(bounds, at, along, off)
			 : metric == BALLS_COSINE      ? bound_cosine(bounds, at, along, off)
						       : bound_l2(bounds, at, along, off);
	}
}

INLINE void bounds_any(const struct balls_bounds *bounds)
{
	const struct balls_bounds copy = *bounds;
	if (copy.metric == BALLS_INNER_PRODUCT) {
		if (copy.one_axis) {
			bounds_of(&copy, BALLS_INNER_PRODUCT, true);
		} else {
			bounds_of(&copy, BALLS_INNER_PRODUCT, false);
		}
	} else if (copy.metric == BALLS_COSINE) {
		bounds_of(&copy, BALLS_COSINE, copy.one_axis);
	} else {
		bounds_of(&copy, BALLS_L2, copy.one_axis);
	}
}

/* ---- codes ---- */

/* Turns the products of codes into bounds of scores. */
INLINE void uppers_of(const struct balls_scan *scan, const uint8_t *block, const int32_t *dots,
	float *restrict uppers)
{
	const float *head = balls_block_head(block);
	const float *along = balls_block_along(block);
	const float *off = balls_block_off(block, scan->prefix);
	const float code_error = head[BALLS_HEAD_CODE_ERROR];
	const float scale = scan->scale * head[BALLS_HEAD_SCALE];
	const float error = scan->code_weight * code_error +
			    scan->rest_weight * head[BALLS_HEAD_REST] +
			    scan->rounding_weight * (head[BALLS_HEAD_OFF] + code_error);
	const float loss = scan->slack * (scan->norm + head[BALLS_HEAD_NORM]);
	const float lost = scan->slack * scan->norm * head[BALLS_HEAD_NORM];
	for (size_t i = 0; i < LANES; i++) {
		const float beside = scale * (float)(dots[i] - scan->code_sum) + error;
		if (scan->metric == BALLS_INNER_PRODUCT) {
			uppers[i] = scan->along * along[i] + beside + lost;
		} else if (scan->metric == BALLS_COSINE) {
			const float norm = sqrtf(along[i] * along[i] + off[i] * off[i]);
			uppers[i] = (scan->along * along[i] + beside) / (norm * scan->norm) +
				    4 * scan->slack;
		} else {
			const float miss = along[i] - scan->along;
			const float sum = miss * miss + (scan->off * scan->off + off[i] * off[i]);
			const float squared = most(sum - 2 * beside - scan->slack * sum, 0);
			const float distance = most(sqrtf(squared) - loss, 0);
			uppers[i] = -distance * distance * (1 - scan->slack);
		}
	}
}

/* What is not a number is found: nothing is known of it. */
INLINE void append(const struct balls_scan *scan, const uint8_t *block, const float *uppers,
	struct balls_found *found)
{
	const uint32_t *rows = balls_block_rows(block, scan->prefix);
	uint32_t some = 0;
	for (size_t i = 0; i < LANES; i++) {
		some |= (uint32_t) !(uppers[i] < scan->threshold) << i;
	}
	for (; some != 0; some &= some - 1) {
		const uint32_t i = (uint32_t)__builtin_ctz(some);
		if (rows[i] < scan->rows) {
			found->uppers[found->count] = uppers[i] <= INFINITY ? uppers[i] : INFINITY;
			found->rows[found->count++] = rows[i];
		}
	}
}

INLINE void plain_dots(const struct balls_scan *scan, const uint8_t *codes, int32_t *restrict dots)
{
	memset(dots, 0, LANES * sizeof *dots);
	for (size_t d = 0; d < scan->prefix; d += 4) {
		for (size_t i = 0; i < LANES; i++) {
			for (size_t j = 0; j < 4; j++) {
				dots[i] += codes[d * LANES + i * 4 + j] * scan->codes[d + j];
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

/* ---- nearest axes ---- */

typedef float wide __attribute__((vector_size(64), aligned(4), may_alias));

/* `rows` rows beside one panel: products in the lanes, summed up in the order of the dims. */
INLINE void products_of(const struct balls_nearest *nearest, size_t row, const float *panel,
	const size_t rows, wide (*restrict sums)[2])
{
	const float *x = nearest->x + row * nearest->dim;
	wide left[4][2] = {0};
	for (size_t d = 0; d < nearest->dim; d++) {
		const wide a = *(const wide *)(panel + d * BALLS_PANEL);
		const wide b = *(const wide *)(panel + d * BALLS_PANEL + LANES);
		for (size_t r = 0; r < rows; r++) {
			left[r][0] += a * x[r * nearest->dim + d];
			left[r][1] += b * x[r * nearest->dim + d];
		}
	}
	memcpy(sums, left, rows * sizeof *left);
}

INLINE void nearest_of(const struct balls_nearest *nearest, size_t row, const size_t rows)
{
	float best[4][BALLS_PANEL];
	uint32_t whose[4][BALLS_PANEL] = {0};
	for (size_t r = 0; r < rows; r++) {
		for (size_t i = 0; i < BALLS_PANEL; i++) {
			best[r][i] = -INFINITY;
		}
	}
	for (size_t p = 0; p < nearest->panel_count; p++) {
		float sums[4][BALLS_PANEL];
		products_of(nearest, row, nearest->panels + p * nearest->dim * BALLS_PANEL, rows,
			(wide(*)[2])(void *)sums);
		for (size_t r = 0; r < rows; r++) {
			for (size_t i = 0; i < BALLS_PANEL; i++) {
				const bool better = sums[r][i] > best[r][i];
				best[r][i] = better ? sums[r][i] : best[r][i];
				whose[r][i] = better ? (uint32_t)p : whose[r][i];
			}
		}
	}
	for (size_t r = 0; r < rows; r++) {
		float value = nearest->best[row + r];
		uint32_t axis = UINT32_MAX;
		for (uint32_t i = 0; i < BALLS_PANEL; i++) {
			const uint32_t number = nearest->first_axis + whose[r][i] * BALLS_PANEL + i;
			/* Of equal ones the first, wherever it stands. */
			if (best[r][i] > value ||
				(best[r][i] == value && axis != UINT32_MAX && number < axis)) {
				value = best[r][i];
				axis = number;
			}
		}
		if (axis != UINT32_MAX) {
			nearest->best[row + r] = value;
			nearest->axis[row + r] = axis;
		}
	}
}

INLINE void nearest_any(const struct balls_nearest *nearest)
{
	size_t row = 0;
	for (; row + 4 <= nearest->rows; row += 4) {
		nearest_of(nearest, row, 4);
	}
	for (; row < nearest->rows; row++) {
		nearest_of(nearest, row, 1);
	}
}

/* NOLINTBEGIN(bugprone-macro-parentheses): an attribute stands without them. */
#define KERNELS(SET, TARGET)                                                                       \
	TARGET static void SET##_bounds(const struct balls_bounds *bounds)                         \
	{                                                                                          \
		bounds_any(bounds);                                                                \
	}                                                                                          \
	TARGET INLINE void SET##_scan_as(const struct balls_scan *scan, const uint32_t *blocks,    \
		uint32_t count, struct balls_found *found)                                         \
	{                                                                                          \
		for (uint32_t i = 0; i < count; i++) {                                             \
			const uint8_t *block = scan->block_data + blocks[i] * scan->block_bytes;   \
			int32_t dots[LANES];                                                       \
			float uppers[LANES];                                                       \
			SET##_dots(scan, balls_block_codes(block), dots);                          \
			uppers_of(scan, block, dots, uppers);                                      \
			append(scan, block, uppers, found);                                        \
		}                                                                                  \
	}                                                                                          \
	TARGET static void SET##_scan(const struct balls_scan *scan, const uint32_t *blocks,       \
		uint32_t count, struct balls_found *found)                                         \
	{                                                                                          \
		struct balls_scan copy = *scan;                                                    \
		if (copy.metric == BALLS_INNER_PRODUCT) {                                          \
			copy.metric = BALLS_INNER_PRODUCT;                                         \
			SET##_scan_as(&copy, blocks, count, found);                                \
		} else if (copy.metric == BALLS_COSINE) {                                          \
			SET##_scan_as(&copy, blocks, count, found);                                \
		} else {                                                                           \
			SET##_scan_as(&copy, blocks, count, found);                                \
		}                                                                                  \
	}                                                                                          \
	TARGET static size_t SET##_count(const float *values, size_t count, float limit)           \
	{                                                                                          \
		return count_of(values, count, limit);                                             \
	}                                                                                          \
	TARGET static void SET##_nearest(const struct balls_nearest *nearest)                      \
	{                                                                                          \
		nearest_any(nearest);                                                              \
	}                                                                                          \
	static const struct balls_kernels SET##_kernels = {                                        \
		.name = #SET,                                                                      \
		.bounds = SET##_bounds,                                                            \
		.scan = SET##_scan,                                                                \
		.count = SET##_count,                                                              \
		.nearest = SET##_nearest,                                                          \
	};

/* NOLINTEND(bugprone-macro-parentheses) */

KERNELS(plain, )

#if defined(__x86_64__)
#define AVX2   __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")))

/* As 16 bits a code; sums of two dims a lane, so two lanes a row. */
AVX2 INLINE void avx2_dots(const struct balls_scan *scan, const uint8_t *codes, int32_t *dots)
{
	__m256i sums[4];
	for (size_t i = 0; i < 4; i++) {
		sums[i] = _mm256_setzero_si256();
	}
	for (size_t d = 0; d < scan->prefix; d += 4) {
		int32_t word;
		memcpy(&word, scan->codes + d, sizeof word);
		const __m256i query = _mm256_cvtepi8_epi16(_mm_set1_epi32(word));
		for (size_t i = 0; i < 4; i++) {
			const void *at = codes + d * LANES + i * 16;
			const __m256i some = _mm256_cvtepu8_epi16(_mm_loadu_si128(at));
			sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(some, query));
		}
	}
	for (size_t i = 0; i < 2; i++) {
		const __m256i pairs = _mm256_hadd_epi32(sums[2 * i], sums[2 * i + 1]);
		_mm256_storeu_si256((__m256i *)(void *)(dots + 8 * i),
			_mm256_permute4x64_epi64(pairs, 0xd8));
	}
}

KERNELS(avx2, AVX2)

AVX512 INLINE void avx512_dots(const struct balls_scan *scan, const uint8_t *codes, int32_t *dots)
{
	__m512i even = _mm512_setzero_si512();
	__m512i odd = _mm512_setzero_si512();
	size_t d = 0;
	for (; d + 8 <= scan->prefix; d += 8) {
		int32_t words[2];
		memcpy(words, scan->codes + d, sizeof words);
		even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(codes + d * LANES),
			_mm512_set1_epi32(words[0]));
		odd = _mm512_dpbusd_epi32(odd, _mm512_loadu_si512(codes + (d + 4) * LANES),
			_mm512_set1_epi32(words[1]));
	}
	if (d < scan->prefix) {
		int32_t word;
		memcpy(&word, scan->codes + d, sizeof word);
		even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(codes + d * LANES),
			_mm512_set1_epi32(word));
	}
	_mm512_storeu_si512(dots, _mm512_add_epi32(even, odd));
}

KERNELS(avx512, AVX512)

const struct balls_kernels *balls_kernels_at(size_t i)
{
	const struct balls_kernels *sets[3];
	size_t count = 0;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
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
