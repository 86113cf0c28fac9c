/* tensor.c - reads, checks and writes what a tensor is. */
#include "schema/tensor.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	size_t bytes;
} dtypes[] = {
	[TENSOR_NONE] = {"none", 0},
	[TENSOR_F32] = {"f32", 4},
	[TENSOR_F16] = {"f16", 2},
	[TENSOR_BF16] = {"bf16", 2},
	[TENSOR_F64] = {"f64", 8},
	[TENSOR_I8] = {"i8", 1},
	[TENSOR_I16] = {"i16", 2},
	[TENSOR_I32] = {"i32", 4},
	[TENSOR_I64] = {"i64", 8},
	[TENSOR_U8] = {"u8", 1},
	[TENSOR_U16] = {"u16", 2},
	[TENSOR_U32] = {"u32", 4},
	[TENSOR_U64] = {"u64", 8},
};

enum { DTYPES = sizeof dtypes / sizeof *dtypes };

static const char dtypes_allowed[] =
	"one of f16, f32, f64, bf16, i8, i16, i32, i64, u8, u16, u32, u64";

const char *tensor_dtype_name(enum tensor_dtype dtype)
{
	const unsigned number = (unsigned)dtype;
	return dtypes[number < DTYPES ? number : TENSOR_NONE].name;
}

enum tensor_dtype tensor_dtype_of_name(const char *name, size_t len)
{
	for (unsigned i = TENSOR_F32; i < DTYPES; i++) {
		if (strlen(dtypes[i].name) == len && memcmp(dtypes[i].name, name, len) == 0) {
			return (enum tensor_dtype)i;
		}
	}
	return TENSOR_NONE;
}

size_t tensor_dtype_bytes(enum tensor_dtype dtype)
{
	const unsigned number = (unsigned)dtype;
	return dtypes[number < DTYPES ? number : TENSOR_NONE].bytes;
}

size_t tensor_bytes(const struct tensor_spec *spec)
{
	size_t bytes = tensor_dtype_bytes(spec->dtype);
	for (uint32_t i = 0; i < spec->dims; i++) {
		bytes *= spec->shape[i];
	}
	return bytes;
}

const char *tensor_shape_print(const struct tensor_spec *spec, char out[TENSOR_SHAPE_BYTES])
{
	size_t len = 1;
	assert(spec->dims <= LIMIT_TENSOR_DIMS);
	out[0] = '[';
	for (uint32_t i = 0; i < spec->dims; i++) {
		len += (size_t)snprintf(out + len, TENSOR_SHAPE_BYTES - len, "%s%" PRIu32,
			i > 0 ? ", " : "", spec->shape[i]);
	}
	assert(len + 1 < TENSOR_SHAPE_BYTES);
	out[len] = ']';
	out[len + 1] = '\0';
	return out;
}

bool tensor_same_shape(const struct tensor_spec *a, const struct tensor_spec *b)
{
	return a->dtype == b->dtype && a->dims == b->dims &&
	       memcmp(a->shape, b->shape, a->dims * sizeof *a->shape) == 0;
}

/* ---- read ---- */

static enum status wrong_type(struct error *err, const char *field, struct wire_value value,
	const char *allowed)
{
	return error_set(err, STATUS_BAD_REQUEST, "%s: %s given, %s allowed", field,
		wire_type_name(wire_type(value)), allowed);
}

static enum status read_dtype(struct wire_value value, struct tensor_spec *spec, struct error *err)
{
	struct wire_bytes text;
	if (!wire_str(value, &text)) {
		return wrong_type(err, "dtype", value, dtypes_allowed);
	}
	spec->dtype = tensor_dtype_of_name((const char *)text.data, text.len);
	if (spec->dtype == TENSOR_NONE) {
		char quote[ERROR_QUOTE_BYTES];
		return error_set(err, STATUS_BAD_REQUEST, "dtype: '%s' given, %s allowed",
			error_quote(quote, text.data, text.len), dtypes_allowed);
	}
	return STATUS_OK;
}

static enum status read_dim(struct wire_value value, size_t i, uint32_t *out, struct error *err)
{
	uint64_t number = 0;
	int64_t negative;
	if (wire_type(value) == WIRE_INT && wire_int(value, &negative)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"shape[%zu]: %" PRId64 " given, 1..%u allowed", i, negative,
			LIMIT_TENSOR_BYTES);
	}
	if (!wire_uint(value, &number)) {
		return error_set(err, STATUS_BAD_REQUEST, "shape[%zu]: %s given, 1..%u allowed", i,
			wire_type_name(wire_type(value)), LIMIT_TENSOR_BYTES);
	}
	if (number == 0 || number > LIMIT_TENSOR_BYTES) {
		return error_set(err, number == 0 ? STATUS_BAD_REQUEST : STATUS_TOO_LARGE,
			"shape[%zu]: %" PRIu64 " given, 1..%u allowed", i, number,
			LIMIT_TENSOR_BYTES);
	}
	*out = (uint32_t)number;
	return STATUS_OK;
}

/* Needs the dtype, since it bounds the bytes of all elements. */
static enum status read_shape(struct wire_value value, struct tensor_spec *spec, struct error *err)
{
	const size_t dims = wire_size(value);
	if (wire_type(value) != WIRE_ARRAY) {
		return wrong_type(err, "shape", value, "an array of uint");
	}
	if (dims > LIMIT_TENSOR_DIMS) {
		return error_set(err, STATUS_BAD_REQUEST,
			"shape: %zu dimensions given, 0..%u allowed", dims, LIMIT_TENSOR_DIMS);
	}
	uint64_t bytes = tensor_dtype_bytes(spec->dtype);
	for (size_t i = 0; i < dims; i++) {
		const enum status status = read_dim(wire_item(value, i), i, &spec->shape[i], err);
		if (status != STATUS_OK) {
			return status;
		}
		spec->dims++;
		/* Neither factor has more than 27 bits. */
		bytes *= spec->shape[i];
		if (bytes > LIMIT_TENSOR_BYTES) {
			char shape[TENSOR_SHAPE_BYTES];
			return error_set(err, STATUS_TOO_LARGE,
				"shape: %s%s of %s given, %" PRIu64
				" bytes and more; up to %u allowed",
				tensor_shape_print(spec, shape), i + 1 < dims ? "..." : "",
				tensor_dtype_name(spec->dtype), bytes, LIMIT_TENSOR_BYTES);
		}
	}
	return STATUS_OK;
}

enum status tensor_spec_read(struct wire_value map, struct tensor_spec *out, struct error *err)
{
	struct tensor_spec spec = {0};
	const struct wire_value name = wire_get(map, "tensor");
	struct wire_bytes text;
	if (!wire_str(name, &text)) {
		return wrong_type(err, "tensor", name, "str");
	}
	enum status status =
		name_check((const char *)text.data, text.len, "tensor", &spec.name, err);
	if (status == STATUS_OK) {
		status = read_dtype(wire_get(map, "dtype"), &spec, err);
	}
	if (status == STATUS_OK) {
		status = read_shape(wire_get(map, "shape"), &spec, err);
	}
	if (status == STATUS_OK) {
		assert(tensor_bytes(&spec) > 0);
		assert(tensor_bytes(&spec) <= LIMIT_TENSOR_BYTES);
		*out = spec;
	}
	return status;
}

void tensor_spec_write(struct wire_writer *writer, const struct tensor_spec *spec)
{
	wire_write_str(writer, "tensor");
	wire_write_str(writer, spec->name.text);
	wire_write_str(writer, "dtype");
	wire_write_str(writer, tensor_dtype_name(spec->dtype));
	wire_write_str(writer, "shape");
	wire_write_array(writer, spec->dims);
	for (uint32_t i = 0; i < spec->dims; i++) {
		wire_write_uint(writer, spec->shape[i]);
	}
}
