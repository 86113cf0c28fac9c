/* adapter_kernels.c - products and activations, compiled once for each instruction set. */
#include "daemon/retrieval/layers/adapter_kernels.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };

INLINE uint32_t bits_of(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

INLINE float float_of(uint32_t bits)
{
	float value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

/* ---- activations ---- */

/* e^-a for a >= 0, within 2 units in the last place; 0 beyond 87. NaN stays NaN.
 * Source: Cephes, expf. */
INLINE float exp_of_minus(float a)
{
	const float round = 12582912.0f; /* 1.5 * 2^23: its last place is 1 */
	const float x = -(a > 87.0f ? 87.0f : a);
	const float shifted = fmaf(x, 1.44269504088896341f, round);
	const float n = shifted - round;
	float r = fmaf(n, -0.693359375f, x);
	r = fmaf(n, 2.12194440e-4f, r);
	float p = fmaf(1.9875691500e-4f, r, 1.3981999507e-3f);
	p = fmaf(p, r, 8.3334519073e-3f);
	p = fmaf(p, r, 4.1665795894e-2f);
	p = fmaf(p, r, 1.6666665459e-1f);
	p = fmaf(p, r, 5.0000001201e-1f);
	p = fmaf(p, r * r, r) + 1.0f;
	/* n is -126..0 and becomes the exponent. For a NaN the
	 * exponent does not matter: p is NaN. */
	const float scale = float_of((bits_of(shifted) - bits_of(round) + 127u) << 23);
	return a > 87.0f ? 0.0f : p * scale;
}

INLINE float sigmoid_of(float x)
{
	const float e = exp_of_minus(fabsf(x));
	const float s = 1.0f / (1.0f + e);
	return x < 0.0f ? e * s : s;
}

/* Source: Cephes, tanhf. */
INLINE float tanh_of(float x)
{
	const float a = fabsf(x);
	const float z = x * x;
	float p = fmaf(-5.70498872745e-3f, z, 2.06390887954e-2f);
	p = fmaf(p, z, -5.37397155531e-2f);
	p = fmaf(p, z, 1.33314422036e-1f);
	p = fmaf(p, z, -3.33332819422e-1f);
	const float small = fmaf(p * z, x, x);
	const float e = exp_of_minus(a + a);
	const float large = (1.0f - e) / (1.0f + e);
	const float with_sign = x < 0.0f ? -large : large;
	return a < 0.625f ? small : with_sign;
}

INLINE void relu(float *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		values[i] = values[i] < 0.0f ? 0.0f : values[i];
	}
}

INLINE void silu(float *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		values[i] = values[i] * sigmoid_of(values[i]);
	}
}

INLINE void sigmoid(float *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		values[i] = sigmoid_of(values[i]);
	}
}

INLINE void tanh_each(float *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		values[i] = tanh_of(values[i]);
	}
}

INLINE void gate(float *restrict values, const float *restrict x, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		values[i] = x[i] * sigmoid_of(values[i]);
	}
}

/* ---- ranges ---- */

INLINE bool in_range(const float *values, size_t count, float least)
{
	uint32_t beyond = 0;
	for (size_t i = 0; i < count; i++) {
		const float size = fabsf(values[i]);
		beyond |= (uint32_t) !(size <= FLT_MAX) | (uint32_t) !(size >= least);
	}
	return beyond == 0;
}

/* ---- products ---- */

/* Adds the partial sums up in the one order. */
INLINE float sum_of(const float sums[LANES])
{
	float left[LANES / 2];
	for (size_t width = LANES / 2, i = 0; i < width; i++) {
		left[i] = sums[i] + sums[i + width];
	}
	for (size_t width = LANES / 4; width > 0; width /= 2) {
		for (size_t i = 0; i < width; i++) {
			left[i] += left[i + width];
		}
	}
	return left[0];
}

INLINE void store(const struct adapter_product *product, size_t row, size_t out, float sum)
{
	const float bias = product->bias == NULL ? 0.0f : product->bias[out];
	product->y[row * product->y_stride + out] = product->bias == NULL ? sum : sum + bias;
}

static float dot(const float *x, const float *w, size_t count)
{
	float sums[LANES] = {0};
	const size_t whole = count / LANES * LANES;
	for (size_t i = 0; i < whole; i += LANES) {
		for (size_t lane = 0; lane < LANES; lane++) {
			sums[lane] = fmaf(w[i + lane], x[i + lane], sums[lane]);
		}
	}
	for (size_t lane = 0; whole < count && lane < LANES; lane++) {
		const size_t i = whole + lane;
		sums[lane] =
			i < count ? fmaf(w[i], x[i], sums[lane]) : fmaf(0.0f, 0.0f, sums[lane]);
	}
	return sum_of(sums);
}

static void plain_product(const struct adapter_product *product)
{
	for (size_t out = 0; out < product->outs; out++) {
		for (size_t row = 0; row < product->rows; row++) {
			store(product, row, out,
				dot(product->x + row * product->in, product->w + out * product->in,
					product->in));
		}
	}
}

/* NOLINTBEGIN(bugprone-macro-parentheses): an attribute stands without them. */
#define KERNELS(SET, TARGET)                                                                       \
	TARGET static void SET##_relu(float *values, size_t count)                                 \
	{                                                                                          \
		relu(values, count);                                                               \
	}                                                                                          \
	TARGET static void SET##_silu(float *values, size_t count)                                 \
	{                                                                                          \
		silu(values, count);                                                               \
	}                                                                                          \
	TARGET static void SET##_sigmoid(float *values, size_t count)                              \
	{                                                                                          \
		sigmoid(values, count);                                                            \
	}                                                                                          \
	TARGET static void SET##_tanh(float *values, size_t count)                                 \
	{                                                                                          \
		tanh_each(values, count);                                                          \
	}                                                                                          \
	TARGET static void SET##_gate(float *values, const float *x, size_t count)                 \
	{                                                                                          \
		gate(values, x, count);                                                            \
	}                                                                                          \
	TARGET static bool SET##_in_range(const float *values, size_t count, float least)          \
	{                                                                                          \
		return in_range(values, count, least);                                             \
	}                                                                                          \
	static const struct adapter_kernels SET##_kernels = {                                      \
		.name = #SET,                                                                      \
		.product = SET##_product,                                                          \
		.relu = SET##_relu,                                                                \
		.silu = SET##_silu,                                                                \
		.sigmoid = SET##_sigmoid,                                                          \
		.tanh = SET##_tanh,                                                                \
		.gate = SET##_gate,                                                                \
		.in_range = SET##_in_range,                                                        \
	};

/* NOLINTEND(bugprone-macro-parentheses) */

KERNELS(plain, )

#if defined(__x86_64__)
#define AVX2   __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx2,fma")))

/* Adds 8 sums, in the order of sum_of. */
AVX2 INLINE float sum_of_8(__m256 sums)
{
	__m128 four = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
	__m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
	return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* 0..7 elements: ones where there is one. */
AVX2 INLINE __m256i mask_of(size_t count)
{
	const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lanes);
}

/* The last elements, filled up with zeros to 16. */
AVX2 INLINE void avx2_tail(const float *x, const float *w, size_t in, __m256 sums[2][2][2],
	const size_t rows, const size_t outs)
{
	const size_t first = in / LANES * LANES;
	for (size_t half = 0; half < 2; half++) {
		const size_t at = first + half * 8 < in ? first + half * 8 : in;
		const __m256i mask = mask_of(in - at < 8 ? in - at : 8);
		for (size_t o = 0; o < outs; o++) {
			const __m256 some = _mm256_maskload_ps(w + o * in + at, mask);
			for (size_t r = 0; r < rows; r++) {
				sums[r][o][half] = _mm256_fmadd_ps(some,
					_mm256_maskload_ps(x + r * in + at, mask),
					sums[r][o][half]);
			}
		}
	}
}

/* `rows` by `outs` dot products at once, both constants: that many sums stay in registers. */
AVX2 INLINE void avx2_block(const struct adapter_product *product, size_t row, size_t out,
	const size_t rows, const size_t outs)
{
	const size_t in = product->in;
	const float *x = product->x + row * in;
	const float *w = product->w + out * in;
	__m256 sums[2][2][2];
	for (size_t r = 0; r < rows; r++) {
		for (size_t o = 0; o < outs; o++) {
			sums[r][o][0] = _mm256_setzero_ps();
			sums[r][o][1] = _mm256_setzero_ps();
		}
	}
	size_t i = 0;
	for (; i + LANES <= in; i += LANES) {
		for (size_t half = 0; half < 2; half++) {
			for (size_t o = 0; o < outs; o++) {
				const __m256 some = _mm256_loadu_ps(w + o * in + i + half * 8);
				for (size_t r = 0; r < rows; r++) {
					sums[r][o][half] = _mm256_fmadd_ps(some,
						_mm256_loadu_ps(x + r * in + i + half * 8),
						sums[r][o][half]);
				}
			}
		}
	}
	if (i < in) {
		avx2_tail(x, w, in, sums, rows, outs);
	}
	for (size_t r = 0; r < rows; r++) {
		for (size_t o = 0; o < outs; o++) {
			store(product, row + r, out + o,
				sum_of_8(_mm256_add_ps(sums[r][o][0], sums[r][o][1])));
		}
	}
}

AVX2 static void avx2_product(const struct adapter_product *product)
{
	size_t out = 0;
	for (; out + 2 <= product->outs; out += 2) {
		size_t row = 0;
		for (; row + 2 <= product->rows; row += 2) {
			avx2_block(product, row, out, 2, 2);
		}
		if (row < product->rows) {
			avx2_block(product, row, out, 1, 2);
		}
	}
	for (size_t row = 0; out < product->outs && row < product->rows; row++) {
		avx2_block(product, row, out, 1, 1);
	}
}

KERNELS(avx2, AVX2)

AVX512 INLINE float sum_of_16(__m512 sums)
{
	const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(sums), 1));
	return sum_of_8(_mm256_add_ps(_mm512_castps512_ps256(sums), high));
}

AVX512 INLINE void avx512_block(const struct adapter_product *product, size_t row, size_t out,
	const size_t rows, const size_t outs)
{
	const size_t in = product->in;
	const float *x = product->x + row * in;
	const float *w = product->w + out * in;
	__m512 sums[4][4];
	for (size_t r = 0; r < rows; r++) {
		for (size_t o = 0; o < outs; o++) {
			sums[r][o] = _mm512_setzero_ps();
		}
	}
	size_t i = 0;
	for (; i + LANES <= in; i += LANES) {
		__m512 some[4];
		for (size_t r = 0; r < rows; r++) {
			some[r] = _mm512_loadu_ps(x + r * in + i);
		}
		for (size_t o = 0; o < outs; o++) {
			const __m512 weights = _mm512_loadu_ps(w + o * in + i);
			for (size_t r = 0; r < rows; r++) {
				sums[r][o] = _mm512_fmadd_ps(weights, some[r], sums[r][o]);
			}
		}
	}
	if (i < in) {
		const __mmask16 mask = (__mmask16)((1u << (in - i)) - 1);
		for (size_t o = 0; o < outs; o++) {
			const __m512 weights = _mm512_maskz_loadu_ps(mask, w + o * in + i);
			for (size_t r = 0; r < rows; r++) {
				sums[r][o] = _mm512_fmadd_ps(weights,
					_mm512_maskz_loadu_ps(mask, x + r * in + i), sums[r][o]);
			}
		}
	}
	for (size_t r = 0; r < rows; r++) {
		for (size_t o = 0; o < outs; o++) {
			store(product, row + r, out + o, sum_of_16(sums[r][o]));
		}
	}
}

AVX512 static void avx512_product(const struct adapter_product *product)
{
	size_t out = 0;
	for (; out + 4 <= product->outs; out += 4) {
		size_t row = 0;
		for (; row + 4 <= product->rows; row += 4) {
			avx512_block(product, row, out, 4, 4);
		}
		for (; row < product->rows; row++) {
			avx512_block(product, row, out, 1, 4);
		}
	}
	for (; out < product->outs; out++) {
		size_t row = 0;
		for (; row + 4 <= product->rows; row += 4) {
			avx512_block(product, row, out, 4, 1);
		}
		for (; row < product->rows; row++) {
			avx512_block(product, row, out, 1, 1);
		}
	}
}

KERNELS(avx512, AVX512)

const struct adapter_kernels *adapter_kernels_at(size_t i)
{
	const struct adapter_kernels *sets[3];
	size_t count = 0;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
		if (__builtin_cpu_supports("avx512f")) {
			sets[count++] = &avx512_kernels;
		}
		sets[count++] = &avx2_kernels;
	}
	sets[count++] = &plain_kernels;
	return i < count ? sets[i] : NULL;
}
#else
const struct adapter_kernels *adapter_kernels_at(size_t i)
{
	return i == 0 ? &plain_kernels : NULL;
}
#endif
