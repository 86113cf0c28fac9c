/* source_arrays.h - an import from arrays, one a column, as its two files know it.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_FORMAT_SOURCE_ARRAYS_H
#define TOOLS_FORMAT_SOURCE_ARRAYS_H

#include "schema/dtype.h"
#include "tools/format/buffer.h"
#include "tools/format/columns.h"
#include "tools/format/source.h"

struct source_arrays {
	struct source source; /* first */
	struct source_options options;
	struct rep_table_spec spec; /* that options.spec leads to */
	struct columns columns;
	enum dtype dtype;
	size_t row_bytes;
	/* Of one chunk: keys packed, times in milliseconds, and weights that came in f4 as f64. */
	struct buffer key_buffer;
	struct buffer time_buffer;
	struct buffer weight_buffer;
	struct buffer place_buffer; /* the same of histories */
};

/* The array's descr is not one that the table takes. Returns BAD_REQUEST. */
enum status source_wrong_descr(const struct array *array, struct error *err, const char *allowed);

/* Whether its elements are of this kind of NumPy's, and so many bytes. */
bool source_is_type(const struct array *array, char kind, size_t bytes);

/* Whether the keys are of the table's type. Errors: BAD_REQUEST, naming the file. */
enum status source_keys_check(const struct source_arrays *source, struct error *err);

/* Reads keys, those of u64 in place. Errors: those of the file; BAD_REQUEST  a key; NO_MEMORY. */
enum status source_keys_take(struct source_arrays *source, uint64_t first, uint32_t count,
	struct rep_keys *out, struct error *err);

#endif
