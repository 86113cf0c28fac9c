/* default_row.c - reads, checks, keeps and converts the row that stands in for a missing one. */
#include "schema/default_row.h"

#include "schema/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum dtype default_row_dtype(const struct table_spec *spec)
{
	switch (spec->default_kind) {
	case DEFAULT_MEAN:
		return DTYPE_F32;
	case DEFAULT_ROW:
		return spec->dtype;
	case DEFAULT_NONE:
	case DEFAULT_ZEROS:
		break;
	}
	return DTYPE_NONE;
}

size_t default_row_bytes(const struct table_spec *spec)
{
	return dtype_row_bytes(default_row_dtype(spec), spec->dim, spec->views);
}

static enum status read_row(struct wire_value map, const struct table_spec *spec,
	enum default_row_from from, struct default_row *out, struct error *err)
{
	const struct wire_value value = wire_get(map, "default_row");
	const char *kind = default_kind_name(spec->default_kind);
	struct wire_bytes bytes;
	if (wire_type(value) == WIRE_ABSENT) {
		return spec->default_kind == DEFAULT_ROW
			       ? error_set(err, STATUS_BAD_REQUEST,
					 "default_row: nothing given, one row needed for default 'row'")
			       : STATUS_OK;
	}
	if (out->bytes == 0 || (from == DEFAULT_ROW_GIVEN && spec->default_kind != DEFAULT_ROW)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"default_row: given, allowed for default 'row', not for '%s'", kind);
	}
	if (!wire_bin(value, &bytes)) {
		return error_set(err, STATUS_BAD_REQUEST, "default_row: %s given, bin allowed",
			wire_type_name(wire_type(value)));
	}
	if (bytes.len != out->bytes) {
		return error_set(err, STATUS_BAD_REQUEST,
			"default_row: %zu bytes given, %zu allowed: one row of %s", bytes.len,
			out->bytes, dtype_name(out->dtype));
	}
	out->row = bytes.data;
	return STATUS_OK;
}

static enum status read_scale(struct wire_value map, struct default_row *out, struct error *err)
{
	static const char allowed[] = "a finite number below 2^121";
	const struct wire_value value = wire_get(map, "default_scale");
	const bool is_needed = out->row != NULL && out->dtype == DTYPE_I8;
	uint64_t whole;
	double number = 0;
	if (wire_type(value) == WIRE_ABSENT && !is_needed) {
		return STATUS_OK;
	}
	if (wire_uint(value, &whole)) {
		number = (double)whole;
	} else if (!wire_float(value, &number)) {
		return error_set(err, STATUS_BAD_REQUEST, "default_scale: %s given, %s allowed",
			wire_type_name(wire_type(value)), allowed);
	}
	if (!is_needed && number != 0) {
		return error_set(err, STATUS_BAD_REQUEST,
			"default_scale: given, allowed with a default_row of i8 only");
	}
	out->scale = (float)number;
	if (dtype_first_nonfinite(DTYPE_I8, &out->scale, 1) != 1) {
		return error_set(err, STATUS_BAD_REQUEST, "default_scale: %g given, %s allowed",
			number, allowed);
	}
	return STATUS_OK;
}

enum status default_row_read(struct wire_value map, const struct table_spec *spec,
	enum default_row_from from, struct default_row *out, struct error *err)
{
	struct default_row row = {.dtype = default_row_dtype(spec),
		.bytes = default_row_bytes(spec)};
	enum status status = read_row(map, spec, from, &row, err);
	if (status == STATUS_OK) {
		status = read_scale(map, &row, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	const size_t elements = spec_elements(spec);
	if (row.row != NULL && row.dtype != DTYPE_I8) {
		const size_t first = dtype_first_nonfinite(row.dtype, row.row, elements);
		if (first != elements) {
			return error_set(err, STATUS_BAD_REQUEST,
				"default_row: element %zu is not finite", first);
		}
	}
	*out = row;
	return STATUS_OK;
}

void default_row_write(struct wire_writer *writer, const struct default_row *row)
{
	wire_write_str(writer, "default_row");
	wire_write_bin(writer, row->row, row->bytes);
	wire_write_str(writer, "default_scale");
	wire_write_float(writer, (double)row->scale);
}

struct default_row *default_row_copy(const struct default_row *from)
{
	struct default_row *copy = malloc(sizeof *copy + from->bytes);
	if (copy != NULL) {
		uint8_t *row = (uint8_t *)(copy + 1);
		memcpy(row, from->row, from->bytes);
		*copy = *from;
		copy->row = row;
	}
	return copy;
}

void default_row_convert(const struct default_row *row, const struct table_spec *spec,
	enum dtype to, uint8_t *target, float *scale)
{
	*scale = 0;
	assert(dtype_convertible(row->dtype, to));
	float given = row->scale;
	const struct dtype_rows out = {.dtype = to, .rows = target, .scales = scale};
	const struct dtype_rows in = {
		.dtype = row->dtype,
		.rows = (void *)row->row,
		.scales = &given,
	};
	dtype_convert(&out, &in, 1, spec->dim, spec->views);
}
