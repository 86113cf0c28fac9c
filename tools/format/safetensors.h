/* safetensors.h - the header of a safetensors file in memory: which tensors it has, and where.
 *
 * A file is the length of its header as u64, the header as JSON, and the elements of all tensors,
 * little-endian and in C order. Nothing in it is trusted: a tensor is handed out when its dtype is
 * known, its bytes are as many as its shape says, and they lie in the file, where no other tensor's
 * are. There are no holes between tensors, and nothing behind them.
 *
 * Threads: any; there is no state.
 * Source: github.com/huggingface/safetensors, README
 */
#ifndef TOOLS_FORMAT_SAFETENSORS_H
#define TOOLS_FORMAT_SAFETENSORS_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct output;

enum {
	SAFETENSORS_DIMS_MAX = 8,
	SAFETENSORS_HEADER_BYTES_MAX = 100000000, /* as other readers have it */
	SAFETENSORS_COUNT_MAX = 100000,
};

/* What elements are. There is one for each dtype; NULL is none. */
struct safetensors_type {
	const char *name; /* "F32" */
	char kind;        /* as in npy: f, i, u, b; B: bf16; x: those that NumPy cannot hold */
	uint32_t bytes;
};
/* `kind` and `bytes` as above. NULL: there is none. */
const struct safetensors_type *safetensors_type_of(char kind, size_t bytes);

struct safetensor {
	const char *name; /* owned by the struct that has it; not empty */
	const struct safetensors_type *type;
	uint32_t dims; /* 0: one element */
	uint64_t shape[SAFETENSORS_DIMS_MAX];
	uint64_t bytes;
	uint64_t at; /* of its first byte, behind the header */
	const uint8_t *data;
};

/* A zeroed one is empty. */
struct safetensors {
	struct safetensor *tensors; /* owned; in the order of their data */
	size_t count;
	char *names; /* owned */
};

/* name: how errors call the file. Errors: BAD_REQUEST, naming the tensor; NO_MEMORY. */
enum status safetensors_read(const uint8_t *file, size_t len, const char *name,
	struct safetensors *out, struct error *err);
void safetensors_fini(struct safetensors *file);

/* Writes the header of a file of these tensors; their data follows in the order in which they are
 * then, which this changes so that each is aligned to its elements. Names need no escapes in JSON.
 * Errors: those of output_write; NO_MEMORY. */
enum status safetensors_write_header(struct safetensor *tensors, size_t count,
	struct output *output, struct error *err);

#endif
