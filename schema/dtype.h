/* dtype.h - element types of rows, and conversion between them.
 *
 * A row is views x dim elements, little-endian. f32, f16 and bf16 are stored as they are. An i8 row
 * has one f32 scale (x = code * scale; scale = max|x| / 127, and 0 for a row of zeros; it is below
 * 2^121, so that every code times it is finite). A bit row has each view in whole bytes, in the
 * order of NumPy's packbits (highest bit first). No table has rows of f64: sums of an aggregating
 * table are read and given in it, in full (spec.h, enum state_kind).
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_DTYPE_H
#define SCHEMA_DTYPE_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers are on disk and never reused. */
enum dtype {
	DTYPE_NONE = 0,
	DTYPE_F32 = 1,
	DTYPE_F16 = 2,
	DTYPE_BF16 = 3,
	DTYPE_I8 = 4,
	DTYPE_BIT = 5,
	DTYPE_F64 = 6
};

/* The lower-case name of the interface: "f32", "f16", "bf16", "i8", "bit", "f64"; "none" for
 * others. */
const char *dtype_name(enum dtype dtype);

/* DTYPE_NONE when the name is not one of them. */
enum dtype dtype_of_name(const char *name, size_t len);

/* Bytes of one row, without its scale; 0 for DTYPE_NONE. */
size_t dtype_row_bytes(enum dtype dtype, uint32_t dim, uint32_t views);

/* Whether a table may have rows of it. */
bool dtype_is_of_tables(enum dtype dtype);

/* Whether rows of `from` may be turned into `to`. f32, f16, bf16, i8 and f64 may be turned into
 * each other, and bit into any of them (0 and 1). Only bit may be turned into bit. */
bool dtype_convertible(enum dtype from, enum dtype to);

/* Turns `count` dense rows of one dtype into another. It rounds to nearest, ties to even. An f64 too
 * large for f32, and an f32 too large for f16 or bf16, become infinity; infinity stays infinity. NaN stays NaN: it is made
 * quiet, and keeps its sign and as many upper bits of its payload as fit. f64 goes through f32. An i8
 * element is the f32 code * scale. Into i8, the code is x / scale, in f32; elements that are not finite count as zero,
 * so check first (dtype_first_nonfinite). The bits are the same on every machine.
 *
 *   source         count rows, any alignment
 *   source_scales  float[count] for i8, any alignment; else ignored
 *   target         out: count rows, any alignment, does not overlap source
 *   target_scales  out: float[count] for i8, any alignment; else ignored
 *
 * When both dtypes are the same, rows and scales are copied. dtype_convertible
 * must hold.
 */
struct dtype_rows {
	enum dtype dtype;
	void *rows;
	void *scales;
};
void dtype_convert(const struct dtype_rows *target, const struct dtype_rows *source, size_t count,
	uint32_t dim, uint32_t views);

/* The number of the first of `count` elements that is NaN or infinite, or `count` when all are
 * finite. For i8 `elements` are the scales, and one of 2^121 or more counts as infinite, since an
 * element of it can be. All bits are finite. */
size_t dtype_first_nonfinite(enum dtype dtype, const void *elements, size_t count);

/* Single elements, for formats and tests. */
uint16_t dtype_f16_of_f32(float value);
float dtype_f32_of_f16(uint16_t bits);
uint16_t dtype_bf16_of_f32(float value);
float dtype_f32_of_bf16(uint16_t bits);

#endif
