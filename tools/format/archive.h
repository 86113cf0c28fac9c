/* archive.h - puts the columns of a dump, which stand in npy files, into one npz or safetensors file.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_FORMAT_ARCHIVE_H
#define TOOLS_FORMAT_ARCHIVE_H

#include "schema/status.h"
#include "tools/format/column.h"
#include "tools/format/format_name.h"

struct output;

/* Writes all columns whose file is open into `target`, which the caller commits.
 * Errors: those of output_write; IO  a file could not be read again; NO_MEMORY. */
enum status archive_write(enum format format, struct output *target,
	struct output *const columns[COLUMNS], struct error *err);

#endif
