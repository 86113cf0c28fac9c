/* default_argument.c - reads a row from a file or from numbers, and makes it one of the table's dtype. */
#include "tools/command/default_argument.h"

#include "schema/limits.h"
#include "tools/command/argument.h"
#include "tools/format/jsonl_row.h"
#include "tools/format/npy_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void default_argument_fini(struct default_argument *argument)
{
	buffer_fini(&argument->bytes);
	*argument = (struct default_argument){0};
}

/* Makes the row of `from`, dense elements of another dtype. */
static int take_row(const struct session *session, const struct table_spec *spec,
	const struct dtype_rows *from, struct default_argument *out)
{
	const size_t bytes = dtype_row_bytes(spec->dtype, spec->dim, spec->views);
	uint8_t *row = buffer_room(&out->bytes, bytes);
	if (row == NULL) {
		return session_refuse_text(session, STATUS_NO_MEMORY, "no memory for a row");
	}
	const size_t elements = spec_elements(spec);
	const size_t wrong = dtype_first_nonfinite(from->dtype, from->rows, elements);
	if (wrong != elements) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"--default: element %zu is not finite", wrong);
	}
	out->row = (struct default_row){.dtype = spec->dtype, .bytes = bytes, .row = row};
	const struct dtype_rows to = {.dtype = spec->dtype, .rows = row, .scales = &out->row.scale};
	dtype_convert(&to, from, 1, spec->dim, spec->views);
	const size_t lost = spec->dtype == DTYPE_I8
				    ? elements
				    : dtype_first_nonfinite(spec->dtype, row, elements);
	if (lost != elements) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"--default: element %zu is too large for %s", lost,
			dtype_name(spec->dtype));
	}
	return EXIT_DONE;
}

/* ---- numbers ---- */

/* Reads numbers up to the end of the text: bits where the table holds bits, else f32. Returns how many
 * there are; 0: one of them is none, or there are too many. */
static size_t read_numbers(const char *text, const struct table_spec *spec, uint8_t *row)
{
	enum { NUMBER_BYTES = 64 };
	const bool is_bits = spec->dtype == DTYPE_BIT;
	const size_t most = spec_elements(spec);
	size_t count = 0;
	for (const char *at = text;; at++) {
		char number[NUMBER_BYTES];
		float value;
		const size_t len = strcspn(at, ",");
		if (len >= sizeof number || count == most) {
			return 0;
		}
		memcpy(number, at, len);
		number[len] = '\0';
		if (!argument_float(number, &value) || (is_bits && value != 0 && value != 1)) {
			return 0;
		}
		if (!is_bits) {
			memcpy(row + count * sizeof value, &value, sizeof value);
		} else if (value != 0) {
			const uint32_t view = (uint32_t)(count / spec->dim);
			const size_t bit = jsonl_index(REP_BIT, spec->dim, view,
				(uint32_t)(count % spec->dim));
			row[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
		}
		count++;
		at += len;
		if (*at == '\0') {
			return count;
		}
	}
}

static int take_numbers(const struct session *session, const char *text,
	const struct table_spec *spec, struct default_argument *out)
{
	const enum dtype dtype = spec->dtype == DTYPE_BIT ? DTYPE_BIT : DTYPE_F32;
	uint8_t *row = calloc(1, dtype_row_bytes(dtype, spec->dim, spec->views));
	if (row == NULL) {
		return session_refuse_text(session, STATUS_NO_MEMORY, "no memory for a row");
	}
	int status;
	if (read_numbers(text, spec, row) != spec_elements(spec)) {
		status = session_usage(session,
			"--default: '%.40s', zeros, mean, FILE.npy, or %zu %s with commas between: "
			"a row is %" PRIu32 " x %" PRIu32,
			text, spec_elements(spec),
			spec->dtype == DTYPE_BIT ? "bits, 0 or 1," : "finite numbers", spec->views,
			spec->dim);
	} else {
		const struct dtype_rows from = {.dtype = dtype, .rows = row};
		status = take_row(session, spec, &from, out);
	}
	free(row);
	return status;
}

/* ---- a file ---- */

/* DTYPE_NONE: no row can be made of such elements. */
static enum dtype dtype_of_file(const struct npy *npy, const struct table_spec *spec)
{
	if (spec->dtype == DTYPE_BIT) {
		return npy->kind == 'u' && npy->item_bytes == 1 ? DTYPE_BIT : DTYPE_NONE;
	}
	if (npy->kind == 'f') {
		return npy->item_bytes == 4   ? DTYPE_F32
		       : npy->item_bytes == 2 ? DTYPE_F16
					      : DTYPE_NONE;
	}
	return npy->kind == 'u' && npy->item_bytes == 2 ? DTYPE_BF16 : DTYPE_NONE;
}

static int take_file(const struct session *session, const char *path, const struct table_spec *spec,
	struct default_argument *out)
{
	struct error err;
	struct npy_file file;
	if (npy_file_open(path, &file, &err) != STATUS_OK) {
		return session_refuse_error(session, &err);
	}
	int status;
	const enum dtype dtype = dtype_of_file(&file.npy, spec);
	const size_t bytes = dtype_row_bytes(dtype, spec->dim, spec->views);
	if (dtype == DTYPE_NONE || file.npy.elements * file.npy.item_bytes != bytes) {
		char shape[NPY_FILE_SHAPE_BYTES];
		status = session_refuse_text(session, STATUS_BAD_REQUEST,
			"'%s': %s given; a default row is %" PRIu32 " x %" PRIu32 " elements of %s",
			path, npy_file_shape(&file, shape), spec->views, spec->dim,
			spec->dtype == DTYPE_BIT ? "u1, packed bits" : "f4, f2 or u2 (bf16)");
	} else {
		const struct dtype_rows from = {.dtype = dtype, .rows = (void *)file.npy.data};
		status = take_row(session, spec, &from, out);
		if (status == EXIT_DONE && mapping_check(&err) != STATUS_OK) {
			status = session_refuse_error(session, &err);
		}
	}
	npy_file_close(&file);
	return status;
}

static bool ends_with(const char *text, const char *end)
{
	const size_t len = strlen(text);
	return len > strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

int default_argument_read(const struct session *session, const char *text,
	const struct table_spec *spec, struct default_argument *out)
{
	static const enum default_kind plain[] = {DEFAULT_NONE, DEFAULT_ZEROS, DEFAULT_MEAN};
	*out = (struct default_argument){.kind = DEFAULT_ROW};
	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
		if (strcmp(text, default_kind_name(plain[i])) == 0) {
			out->kind = plain[i];
			return EXIT_DONE;
		}
	}
	/* The daemon says the same of dims and dtypes that there are not. */
	const size_t bytes = dtype_row_bytes(spec->dtype, spec->dim, spec->views);
	if (spec->dim == 0 || spec->dim > LIMIT_DIM || spec->views == 0 ||
		spec->views > LIMIT_VIEWS || bytes == 0 || bytes > LIMIT_DEFAULT_BYTES) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"--default: a row of %" PRIu32 " x %" PRIu32 " %s; a default row has 1 to "
			"%u bytes",
			spec->views, spec->dim, dtype_name(spec->dtype), LIMIT_DEFAULT_BYTES);
	}
	const int status = ends_with(text, ".npy") ? take_file(session, text, spec, out)
						   : take_numbers(session, text, spec, out);
	if (status != EXIT_DONE) {
		default_argument_fini(out);
	}
	return status;
}
