/* dtype.c - names and sizes of element types, and conversion of whole rows between them. */
#include "schema/dtype.h"

#include "schema/dtype_elements.h"
#include "schema/dtype_kernels.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

/* Neither dtype is f32: so many elements are turned into f32 and then on, which stay in the
 * first-level cache. */
enum { BLOCK_ELEMENTS = 2048 };
/* So many elements are looked at together. Only if one of them is not finite, each is looked at. */
enum { SCAN_ELEMENTS = 1024 };

/* The exponents of 2^121 and more, and of no smaller f32, have all of these bits. */
enum { I8_SCALE_BEYOND = 0x7c000000 };
static const float i8_scale_max = FLT_MAX / 128; /* the largest f32 below 2^121 */

static_assert(BLOCK_ELEMENTS % 8 == 0, "a block of bits ends at a byte");

static const char *const names[] = {
	[DTYPE_NONE] = "none",
	[DTYPE_F32] = "f32",
	[DTYPE_F16] = "f16",
	[DTYPE_BF16] = "bf16",
	[DTYPE_I8] = "i8",
	[DTYPE_BIT] = "bit",
	[DTYPE_F64] = "f64",
};

enum { NAMES = sizeof names / sizeof *names };

const char *dtype_name(enum dtype dtype)
{
	unsigned number = (unsigned)dtype;
	return number < NAMES ? names[number] : names[DTYPE_NONE];
}

enum dtype dtype_of_name(const char *name, size_t len)
{
	for (unsigned i = DTYPE_F32; i < NAMES; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
			return (enum dtype)i;
		}
	}
	return DTYPE_NONE;
}

/* Bytes of an element; 0 for a dtype whose elements are not whole bytes. */
static size_t element_bytes(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_F64:
		return 8;
	case DTYPE_F32:
		return 4;
	case DTYPE_F16:
	case DTYPE_BF16:
		return 2;
	case DTYPE_I8:
		return 1;
	case DTYPE_BIT:
	case DTYPE_NONE:
		break;
	}
	return 0;
}

size_t dtype_row_bytes(enum dtype dtype, uint32_t dim, uint32_t views)
{
	if (dtype == DTYPE_BIT) {
		return ((size_t)dim + 7) / 8 * views;
	}
	return element_bytes(dtype) * dim * views;
}

bool dtype_is_of_tables(enum dtype dtype)
{
	return dtype == DTYPE_BIT || (element_bytes(dtype) > 0 && dtype != DTYPE_F64);
}

bool dtype_convertible(enum dtype from, enum dtype to)
{
	if (from == DTYPE_BIT) {
		return to == DTYPE_BIT || element_bytes(to) > 0;
	}
	return element_bytes(from) > 0 && element_bytes(to) > 0;
}

/* ---- f64: sums that are read or given in full, which are not many ---- */

static double load_f64(const uint8_t *from, size_t i)
{
	double value;
	memcpy(&value, from + i * sizeof value, sizeof value);
	return value;
}

static void f32_of_f64(const uint8_t *restrict source, uint8_t *restrict target, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const float value = (float)load_f64(source, i);
		memcpy(target + i * sizeof value, &value, sizeof value);
	}
}

static void f64_of_f32(const uint8_t *restrict source, uint8_t *restrict target, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		float from;
		memcpy(&from, source + i * sizeof from, sizeof from);
		const double value = (double)from;
		memcpy(target + i * sizeof value, &value, sizeof value);
	}
}

static bool any_nonfinite_f64(const uint8_t *elements, size_t count)
{
	bool found = false;
	for (size_t i = 0; i < count; i++) {
		found |= !isfinite(load_f64(elements, i));
	}
	return found;
}

/* ---- rows ---- */

/* Turns elements that share a scale into f32. For bit, `source` is where a view or a block
 * begins. */
static void to_f32(const struct dtype_kernels *kernels, enum dtype dtype, const uint8_t *source,
	float scale, uint8_t *target, size_t count)
{
	switch (dtype) {
	case DTYPE_F32:
		memcpy(target, source, count * 4);
		break;
	case DTYPE_F16:
		kernels->f32_of_f16(source, target, count);
		break;
	case DTYPE_BF16:
		kernels->f32_of_bf16(source, target, count);
		break;
	case DTYPE_I8:
		kernels->f32_of_i8(source, scale, target, count);
		break;
	case DTYPE_BIT:
		kernels->f32_of_bit(source, target, count);
		break;
	case DTYPE_F64:
		f32_of_f64(source, target, count);
		break;
	case DTYPE_NONE:
		break;
	}
}

static void from_f32(const struct dtype_kernels *kernels, enum dtype dtype, const uint8_t *source,
	float scale, uint8_t *target, size_t count)
{
	switch (dtype) {
	case DTYPE_F32:
		memcpy(target, source, count * 4);
		break;
	case DTYPE_F16:
		kernels->f16_of_f32(source, target, count);
		break;
	case DTYPE_BF16:
		kernels->bf16_of_f32(source, target, count);
		break;
	case DTYPE_I8:
		if (scale > 0) {
			kernels->i8_of_f32(source, scale, target, count);
		} else {
			memset(target, 0, count);
		}
		break;
	case DTYPE_F64:
		f64_of_f32(source, target, count);
		break;
	case DTYPE_BIT:
	case DTYPE_NONE:
		break;
	}
}

/* Elements, one after the other, that share a scale in the source and one in the target. */
struct stretch {
	enum dtype from;
	enum dtype to;
	const uint8_t *source;
	uint8_t *target;
	float source_scale;
	float target_scale;
	size_t count;
};

static void convert_stretch(const struct dtype_kernels *kernels, const struct stretch *stretch)
{
	uint8_t block[BLOCK_ELEMENTS * 4];
	const uint8_t *source = stretch->source;
	uint8_t *target = stretch->target;
	if (stretch->to == DTYPE_F32) {
		to_f32(kernels, stretch->from, source, stretch->source_scale, target,
			stretch->count);
		return;
	}
	if (stretch->from == DTYPE_F32) {
		from_f32(kernels, stretch->to, source, stretch->target_scale, target,
			stretch->count);
		return;
	}
	for (size_t left = stretch->count; left > 0;) {
		size_t some = left < BLOCK_ELEMENTS ? left : BLOCK_ELEMENTS;
		to_f32(kernels, stretch->from, source, stretch->source_scale, block, some);
		from_f32(kernels, stretch->to, block, stretch->target_scale, target, some);
		source +=
			stretch->from == DTYPE_BIT ? some / 8 : some * element_bytes(stretch->from);
		target += some * element_bytes(stretch->to);
		left -= some;
	}
}

/* The largest |x| of a stretch; elements that are not finite do not count. */
static float largest_of(const struct dtype_kernels *kernels, const struct stretch *stretch)
{
	uint8_t block[BLOCK_ELEMENTS * 4];
	const uint8_t *source = stretch->source;
	if (stretch->from == DTYPE_F32) {
		return kernels->f32_largest(source, stretch->count);
	}
	float largest = 0;
	for (size_t left = stretch->count; left > 0;) {
		size_t some = left < BLOCK_ELEMENTS ? left : BLOCK_ELEMENTS;
		to_f32(kernels, stretch->from, source, stretch->source_scale, block, some);
		float here = kernels->f32_largest(block, some);
		largest = here > largest ? here : largest;
		source +=
			stretch->from == DTYPE_BIT ? some / 8 : some * element_bytes(stretch->from);
		left -= some;
	}
	return largest;
}

static float load_scale(const struct dtype_rows *rows, size_t row)
{
	float scale = 0;
	if (rows->dtype == DTYPE_I8) {
		memcpy(&scale, (const uint8_t *)rows->scales + row * sizeof scale, sizeof scale);
	}
	return scale;
}

static void store_scale(const struct dtype_rows *rows, size_t row, float scale)
{
	memcpy((uint8_t *)rows->scales + row * sizeof scale, &scale, sizeof scale);
}

/* Converts one row. Its views share a scale; each view of a bit row begins at a byte of its own. */
static void convert_row(const struct dtype_kernels *kernels, struct stretch stretch, size_t dim,
	size_t views)
{
	if (stretch.from != DTYPE_BIT) {
		stretch.count = dim * views;
		convert_stretch(kernels, &stretch);
		return;
	}
	stretch.count = dim;
	for (size_t view = 0; view < views; view++) {
		convert_stretch(kernels, &stretch);
		stretch.source += (dim + 7) / 8;
		stretch.target += dim * element_bytes(stretch.to);
	}
}

static float largest_of_row(const struct dtype_kernels *kernels, struct stretch stretch, size_t dim,
	size_t views)
{
	if (stretch.from != DTYPE_BIT) {
		stretch.count = dim * views;
		return largest_of(kernels, &stretch);
	}
	float largest = 0;
	stretch.count = dim;
	for (size_t view = 0; view < views; view++) {
		float here = largest_of(kernels, &stretch);
		largest = here > largest ? here : largest;
		stretch.source += (dim + 7) / 8;
	}
	return largest;
}

static void copy_rows(const struct dtype_rows *target, const struct dtype_rows *source,
	size_t count, size_t row_bytes)
{
	if (count * row_bytes > 0) {
		memcpy(target->rows, source->rows, count * row_bytes);
	}
	if (source->dtype == DTYPE_I8 && count > 0) {
		memcpy(target->scales, source->scales, count * sizeof(float));
	}
}

void dtype_convert(const struct dtype_rows *target, const struct dtype_rows *source, size_t count,
	uint32_t dim, uint32_t views)
{
	assert(dtype_convertible(source->dtype, target->dtype));
	assert(count == 0 || source->dtype != DTYPE_I8 || source->scales != NULL);
	assert(count == 0 || target->dtype != DTYPE_I8 || target->scales != NULL);
	size_t source_bytes = dtype_row_bytes(source->dtype, dim, views);
	size_t target_bytes = dtype_row_bytes(target->dtype, dim, views);
	if (source->dtype == target->dtype) {
		copy_rows(target, source, count, source_bytes);
		return;
	}
	const struct dtype_kernels *kernels = dtype_kernels_at(0);
	struct stretch stretch = {.from = source->dtype,
		.to = target->dtype,
		.source = source->rows,
		.target = target->rows};
	bool by_row = source->dtype == DTYPE_I8 || source->dtype == DTYPE_BIT ||
		      target->dtype == DTYPE_I8;
	if (!by_row) {
		stretch.count = count * dim * views;
		convert_stretch(kernels, &stretch);
		return;
	}
	for (size_t row = 0; row < count; row++) {
		stretch.source_scale = load_scale(source, row);
		if (target->dtype == DTYPE_I8) {
			const float scale = largest_of_row(kernels, stretch, dim, views) / 127.0f;
			stretch.target_scale = scale < i8_scale_max ? scale : i8_scale_max;
			store_scale(target, row, stretch.target_scale);
		}
		convert_row(kernels, stretch, dim, views);
		stretch.source += source_bytes;
		stretch.target += target_bytes;
	}
}

static bool any_nonfinite(const struct dtype_kernels *kernels, enum dtype dtype,
	const uint8_t *elements, size_t count)
{
	switch (dtype) {
	case DTYPE_F32:
		return kernels->any_nonfinite_u32(elements, F32_INFINITY, count) != 0;
	case DTYPE_I8:
		return kernels->any_nonfinite_u32(elements, I8_SCALE_BEYOND, count) != 0;
	case DTYPE_F16:
		return kernels->any_nonfinite_u16(elements, 0x7c00u, count) != 0;
	case DTYPE_BF16:
		return kernels->any_nonfinite_u16(elements, F32_INFINITY >> 16, count) != 0;
	case DTYPE_F64:
		return any_nonfinite_f64(elements, count);
	case DTYPE_BIT:
	case DTYPE_NONE:
		break;
	}
	return false;
}

size_t dtype_first_nonfinite(enum dtype dtype, const void *elements, size_t count)
{
	size_t size = dtype == DTYPE_I8 ? sizeof(float) : element_bytes(dtype);
	if (size == 0) {
		return count;
	}
	const struct dtype_kernels *kernels = dtype_kernels_at(0);
	const uint8_t *bytes = elements;
	for (size_t at = 0; at < count; at += SCAN_ELEMENTS) {
		size_t some = count - at < SCAN_ELEMENTS ? count - at : SCAN_ELEMENTS;
		if (!any_nonfinite(kernels, dtype, bytes + at * size, some)) {
			continue;
		}
		while (!any_nonfinite(kernels, dtype, bytes + at * size, 1)) {
			at++;
		}
		assert(at < count); /* one of them is not finite */
		return at;
	}
	return count;
}

uint16_t dtype_f16_of_f32(float value)
{
	return f16_of_f32_bits(bits_of_float(value));
}

float dtype_f32_of_f16(uint16_t bits)
{
	return float_of_bits(f32_bits_of_f16(bits));
}

uint16_t dtype_bf16_of_f32(float value)
{
	return bf16_of_f32_bits(bits_of_float(value));
}

float dtype_f32_of_bf16(uint16_t bits)
{
	return float_of_bits(f32_bits_of_bf16(bits));
}
