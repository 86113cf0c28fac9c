/* columns.h - the columns of an import, opened: npy files, one a column, or one npz or safetensors
 * file that has them all.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_FORMAT_COLUMNS_H
#define TOOLS_FORMAT_COLUMNS_H

#include "schema/status.h"
#include "tools/format/array.h"
#include "tools/format/buffer.h"
#include "tools/format/column.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source_options;

/* A zeroed one has none. */
struct columns {
	struct mapping archive; /* owned; the npz or safetensors file */
	struct array arrays[COLUMNS];
};

/* Each leaves to columns_close what it has opened, also after an error.
 * Errors: those of the system, of npy_read, zip_open and safetensors_open, which name the file;
 * BAD_REQUEST  there are no keys or no rows, or there is an array that is no column. */
enum status columns_open_npy(const struct source_options *options, struct columns *out,
	struct error *err);
enum status columns_open_npz(const char *path, struct columns *out, struct error *err);
/* byte_keys: the keys are byte strings, one a row of U8. */
enum status columns_open_safetensors(const char *path, bool byte_keys, struct columns *out,
	struct error *err);
void columns_close(struct columns *columns);

/* The columns of an npz file in memory, which errors call `name`. */
enum status columns_read_npz(const uint8_t *file, size_t len, const char *name, struct columns *out,
	struct error *err);
enum status columns_read_safetensors(const uint8_t *file, size_t len, const char *name,
	bool byte_keys, struct columns *out, struct error *err);

#endif
