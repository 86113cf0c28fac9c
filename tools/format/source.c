/* source.c - checks rows of any input. */
#include "tools/format/source.h"

#include "schema/dtype.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>

static enum status check_finite(const struct rep_rows *rows, const struct rep_table_spec *spec,
	const char *what, uint64_t first, struct error *err)
{
	bool scaled = rows->dtype == REP_I8;
	size_t elements = scaled ? 1 : (size_t)spec->dim * spec->views;
	size_t count = rows->keys.count * elements;
	size_t at = dtype_first_nonfinite((enum dtype)rows->dtype,
		scaled ? rows->scales : rows->rows, count);
	if (rows->dtype == REP_BIT || at == count) {
		return STATUS_OK;
	}
	if (scaled) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%s: the scale of row %" PRIu64 " is not finite", what, first + at);
	}
	return error_set(err, STATUS_BAD_REQUEST,
		"%s: row %" PRIu64 ", column %zu is not finite; --allow-nonfinite takes it", what,
		first + at / elements, at % elements);
}

enum status source_check(const struct rep_rows *rows, const struct source_options *options,
	const char *what, uint64_t first, struct error *err)
{
	for (uint32_t i = 0; rows->weights != NULL && i < rows->keys.count; i++) {
		if (!(rows->weights[i] > 0) || !isfinite(rows->weights[i])) {
			return error_set(err, STATUS_BAD_REQUEST,
				"%s: the weight of row %" PRIu64 " is %g, not above 0 and finite",
				what, first + i, (double)rows->weights[i]);
		}
	}
	if (options->allow_nonfinite) {
		return STATUS_OK;
	}
	return check_finite(rows, options->spec, what, first, err);
}
