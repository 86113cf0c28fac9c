/* tensor.h - what a tensor of a release is: a small named array.
 *
 * Elements are little-endian, in C order (the last dimension is contiguous). Any bits may be
 * stored, also NaN. On the wire and in the catalog a spec is the same map of names and values
 * (PROTOCOL.md, tensor.put).
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_TENSOR_H
#define SCHEMA_TENSOR_H

#include "schema/limits.h"
#include "schema/name.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers are on disk and never reused. */
enum tensor_dtype {
	TENSOR_NONE = 0,
	TENSOR_F32 = 1,
	TENSOR_F16 = 2,
	TENSOR_BF16 = 3,
	TENSOR_F64 = 4,
	TENSOR_I8 = 5, /* plain integers: no scale, unlike rows of i8 */
	TENSOR_I16 = 6,
	TENSOR_I32 = 7,
	TENSOR_I64 = 8,
	TENSOR_U8 = 9,
	TENSOR_U16 = 10,
	TENSOR_U32 = 11,
	TENSOR_U64 = 12,
};

struct tensor_spec {
	struct name name;
	enum tensor_dtype dtype;
	uint32_t dims;                     /* 0..LIMIT_TENSOR_DIMS; 0: one element */
	uint32_t shape[LIMIT_TENSOR_DIMS]; /* each at least 1; 0 beyond `dims` */
};

/* "f32" ... "u64"; "none" for others. */
const char *tensor_dtype_name(enum tensor_dtype dtype);
/* TENSOR_NONE when the name is not one of them. */
enum tensor_dtype tensor_dtype_of_name(const char *name, size_t len);
/* Bytes of an element; 0 for TENSOR_NONE. */
size_t tensor_dtype_bytes(enum tensor_dtype dtype);

/* Bytes of all elements. tensor_spec_read lets 1..LIMIT_TENSOR_BYTES pass. */
size_t tensor_bytes(const struct tensor_spec *spec);

/* Room for "[4294967295, ...]" with the most dimensions. */
enum { TENSOR_SHAPE_BYTES = 104 };
/* The shape as a person reads it: "[10, 64]". Returns `out`. */
const char *tensor_shape_print(const struct tensor_spec *spec, char out[TENSOR_SHAPE_BYTES]);

/* Whether both have the same dtype and shape; names are not looked at. */
bool tensor_same_shape(const struct tensor_spec *a, const struct tensor_spec *b);

/* Reads `tensor`, `dtype` and `shape` of a map; other names are not looked at.
 * Errors: BAD_REQUEST; TOO_LARGE  more than LIMIT_TENSOR_BYTES. */
enum status tensor_spec_read(struct wire_value map, struct tensor_spec *out, struct error *err);

/* Writes the same three entries into the caller's map. */
enum { TENSOR_SPEC_FIELDS = 3 };
void tensor_spec_write(struct wire_writer *writer, const struct tensor_spec *spec);

#endif
