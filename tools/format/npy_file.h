/* npy_file.h - an npy file in memory, mapped, and what its header says.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_FORMAT_NPY_FILE_H
#define TOOLS_FORMAT_NPY_FILE_H

#include "schema/status.h"
#include "tools/format/buffer.h"
#include "tools/format/npy.h"

#include <stdbool.h>
#include <stdint.h>

struct npy_file {
	const char *path; /* borrowed */
	struct mapping mapping;
	struct npy npy;
};

/* Errors: those of the system and of npy_read, naming the path. */
enum status npy_file_open(const char *path, struct npy_file *out, struct error *err);
/* Fine for one that is zeroed. */
void npy_file_close(struct npy_file *file);

/* Element type and shape as a person reads them: "f4 [100, 64]". */
enum { NPY_FILE_SHAPE_BYTES = 224 };
const char *npy_file_shape(const struct npy_file *file, char text[NPY_FILE_SHAPE_BYTES]);

/* Reads element i of an array of integers or bools (kinds i,
 * u, b). False: it is above INT64_MAX. */
bool npy_file_integer(const struct npy_file *file, uint64_t i, int64_t *out);

#endif
