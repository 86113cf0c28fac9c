/* tensor_file.h - repstore tensor import and dump: the tensors of a release from and into one
 * safetensors file.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_TENSOR_FILE_H
#define TOOLS_COMMAND_TENSOR_FILE_H

#include "repstore.h"

#include <stddef.h>

struct session;

/* Verbs of the command; each returns the exit status. */
int tensor_import(struct session *session, int argc, char **argv);
int tensor_dump(struct session *session, int argc, char **argv);

/* What a dtype is in a file; kinds are those of safetensors.h. */
struct tensor_type {
	enum rep_tensor_dtype dtype;
	char kind;
	size_t bytes;
};
/* NULL: there is none. */
const struct tensor_type *tensor_type_of_kind(char kind, size_t bytes);
const struct tensor_type *tensor_type_of_dtype(enum rep_tensor_dtype dtype);

#endif
