/* source.c - checks rows of any input. */
#include "tools/format/source.h"

#include "schema/checksum.h"
#include "schema/dtype.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

/* Where the table's dtype has no finite value any more: what is not below rounds to infinity. */
static float bound_of(enum dtype table)
{
	static const uint32_t bf16_bits = 0x7f7f8000; /* halfway from its largest value to 2^128 */
	float bound = INFINITY;
	if (table == DTYPE_BF16) {
		memcpy(&bound, &bf16_bits, sizeof bound);
	}
	return table == DTYPE_F16 ? 65520.0F : bound; /* halfway from 65504 to 65536 */
}

/* Element i of a row of any dtype but bit, as f32; that of i8 without its scale. */
static float element_at(enum dtype dtype, const void *row, size_t i)
{
	const uint8_t *at = row;
	uint16_t half = 0;
	float value = 0;
	double sum = 0;
	switch (dtype) {
	case DTYPE_F32:
		memcpy(&value, at + i * sizeof value, sizeof value);
		return value;
	case DTYPE_F64:
		memcpy(&sum, at + i * sizeof sum, sizeof sum);
		return (float)sum;
	case DTYPE_F16:
	case DTYPE_BF16:
		memcpy(&half, at + i * sizeof half, sizeof half);
		return dtype == DTYPE_F16 ? dtype_f32_of_f16(half) : dtype_f32_of_bf16(half);
	case DTYPE_I8:
		return (float)(int8_t)at[i];
	case DTYPE_BIT:
	case DTYPE_NONE:
		break;
	}
	return 0;
}

/* The first element of f32 that is not below the bound, or `count`. */
static size_t first_beyond(const uint8_t *values, size_t count, float bound)
{
	enum { BLOCK = 1024 };
	float block[BLOCK];
	for (size_t first = 0; first < count; first += BLOCK) {
		const size_t n = count - first < BLOCK ? count - first : BLOCK;
		bool all = true;
		memcpy(block, values + first * sizeof(float), n * sizeof(float));
		for (size_t i = 0; i < n; i++) {
			all &= fabsf(block[i]) < bound; /* NaN is not */
		}
		for (size_t i = 0; !all && i < n; i++) {
			if (!(fabsf(block[i]) < bound)) {
				return first + i;
			}
		}
	}
	return count;
}

/* The first element of rows of i8 whose product with its scale is not below the bound. */
static size_t first_scaled_beyond(const struct rep_rows *rows, size_t elements, float bound)
{
	for (size_t row = 0; row < rows->keys.count; row++) {
		if (fabsf(rows->scales[row]) * 128 < bound) {
			continue;
		}
		const uint8_t *values = (const uint8_t *)rows->rows + row * elements;
		for (size_t i = 0; i < elements; i++) {
			if (!(fabsf(element_at(DTYPE_I8, values, i) * rows->scales[row]) < bound)) {
				return row * elements + i;
			}
		}
	}
	return rows->keys.count * elements;
}

/* The first element that the table's dtype cannot hold as a finite number, or how many there
 * are. */
static size_t first_not_held(const struct rep_rows *rows, enum dtype table, size_t elements)
{
	const enum dtype dtype = (enum dtype)rows->dtype;
	const size_t count = rows->keys.count * elements;
	const float bound = bound_of(table);
	if (dtype == DTYPE_F32) {
		return first_beyond(rows->rows, count, bound);
	}
	if (dtype == DTYPE_I8) {
		return table != DTYPE_I8 ? first_scaled_beyond(rows, elements, bound) : count;
	}
	if (dtype == DTYPE_F64 || (dtype == DTYPE_BF16 && table == DTYPE_F16)) {
		size_t i = 0;
		while (i < count && fabsf(element_at(dtype, rows->rows, i)) < bound) {
			i++;
		}
		return i;
	}
	return dtype_first_nonfinite(dtype, rows->rows, count);
}

static enum status check_finite(const struct rep_rows *rows, const struct source_options *options,
	const char *what, uint64_t first, struct error *err)
{
	const enum dtype dtype = (enum dtype)rows->dtype;
	const enum dtype table = (enum dtype)options->spec->dtype;
	const size_t elements = (size_t)options->spec->dim * options->spec->views;
	const size_t count = rows->keys.count;
	const char *allow = options->cannot_allow ? "" : "; --allow-nonfinite takes it";
	if (dtype == DTYPE_BIT) {
		return STATUS_OK;
	}
	const size_t scale =
		dtype == DTYPE_I8 ? dtype_first_nonfinite(dtype, rows->scales, count) : count;
	if (scale < count) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%s: the scale of row %" PRIu64
			" is %g, so that an element of it may not be finite; below 2^121 expected%s",
			what, first + scale, (double)rows->scales[scale], allow);
	}
	const size_t at = first_not_held(rows, table, elements);
	if (at == count * elements) {
		return STATUS_OK;
	}
	const float scaled = dtype == DTYPE_I8 ? rows->scales[at / elements] : 1;
	const float element = element_at(dtype, rows->rows, at);
	if (!isfinite(element)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%s: row %" PRIu64 ", column %zu is not finite%s", what,
			first + at / elements, at % elements, allow);
	}
	return error_set(err, STATUS_BAD_REQUEST,
		"%s: row %" PRIu64 ", column %zu is %.9g, more than %s rows of the table hold%s",
		what, first + at / elements, at % elements, (double)element * (double)scaled,
		dtype_name(table),
		options->cannot_allow ? "" : "; --allow-nonfinite stores infinity");
}

enum status source_take_histories(const struct rep_rows *rows, const struct source_options *options,
	const char *what, uint64_t first, struct error *err)
{
	for (uint32_t i = 0; i < rows->keys.count; i++) {
		int64_t *times = (int64_t *)rows->history_times + i * rows->history;
		const uint32_t taken = rows->history_counts[i];
		if (taken == 0 || taken > rows->history) {
			return error_set(err, STATUS_BAD_REQUEST,
				"%s: row %" PRIu64 " has %u vectors, 1 to %" PRIu64 " allowed",
				what, first + i, taken, rows->history);
		}
		memset(times + taken, 0, (rows->history - taken) * sizeof *times);
		const enum status status =
			row_times_take(&options->time, times, taken, what, first + i, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

enum status source_check(const struct rep_rows *rows, const struct source_options *options,
	const char *what, uint64_t first, struct error *err)
{
	for (uint32_t i = 0; rows->weights != NULL && i < rows->keys.count; i++) {
		if (!(rows->weights[i] > 0) || !isfinite(rows->weights[i])) {
			return error_set(err, STATUS_BAD_REQUEST,
				"%s: the weight of row %" PRIu64 " is %g, not above 0 and finite",
				what, first + i, rows->weights[i]);
		}
	}
	if (options->allow_nonfinite) {
		return STATUS_OK;
	}
	return check_finite(rows, options, what, first, err);
}

uint64_t source_content(uint64_t before, const struct rep_rows *rows, size_t rows_bytes)
{
	const size_t count = rows->keys.count;
	const uint64_t parts[] = {before, checksum(rows->keys.data, rows->keys.bytes),
		checksum(rows->rows, rows_bytes),
		rows->times != NULL ? checksum(rows->times, count * 8) : 1,
		rows->tags != NULL ? checksum(rows->tags, count * 8) : 1,
		rows->scales != NULL ? checksum(rows->scales, count * 4) : 1,
		rows->weights != NULL ? checksum(rows->weights, count * 8) : 1};
	const uint64_t content = checksum(parts, sizeof parts);
	if (rows->history == 0) {
		return content;
	}
	const uint64_t with_places[] = {content, checksum(rows->history_counts, count * 4),
		checksum(rows->history_times, count * rows->history * 8)};
	return checksum(with_places, sizeof with_places);
}
