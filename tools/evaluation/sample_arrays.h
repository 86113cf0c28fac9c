/* sample_arrays.h - samples in arrays: a user, an item and a time each, and their vectors at one layer
 * or more. The arrays are npy files, or members of one npz file; or they are made of JSON lines.
 *
 * Nothing of them is kept in memory: what stands in a file as it is, is mapped, and a member that is
 * deflated goes into a file beside the output first.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_EVALUATION_SAMPLE_ARRAYS_H
#define TOOLS_EVALUATION_SAMPLE_ARRAYS_H

#include "schema/name.h"
#include "schema/status.h"
#include "tools/evaluation/cr_layer.h"
#include "tools/format/array.h"
#include "tools/format/output.h"
#include "tools/format/row_time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sample_lines;

/* Where the samples are. Nothing is owned. */
struct sample_paths {
	const char
		*archive;  /* npz with arrays users, items, times and one by the name of each layer;
				or JSON lines with members user, item, time and those names; or NULL:
				the next three are paths of npy files */
	const char *users; /* [n], integers that are not negative, or S */
	const char *items;
	const char *times;         /* [n], integers */
	const char *const *layers; /* NAME=FILE.npy, or NAME of an archive's; no name twice */
	size_t layer_count;
	struct row_time_rule time; /* of `times` */
};

struct sample_layer {
	struct cr_layer
		vectors;     /* its rows are those of the array, or of the file beside the output */
	struct array array;  /* owned */
	struct output spool; /* owned; the file beside the output; not open: there is none */
	void *map;           /* owned; of `spool` */
	size_t map_bytes;
};

struct sample_arrays {
	uint64_t count;
	struct mapping archive;     /* owned */
	struct sample_lines *lines; /* owned; NULL: they are no JSON lines */
	struct array users;         /* owned */
	struct array items;
	struct array times;
	struct row_time_rule time;
	struct sample_layer *layers; /* owned */
	size_t layer_count;
};

/* Checks that an output would not take the place of a file that the samples are read from.
 * Errors: BAD_REQUEST. */
enum status sample_paths_keep(const struct sample_paths *paths, const char *out, struct error *err);

/* Opens all arrays and compares their types and shapes. Vectors are [n, dim].
 *   beside  the output that is to come; what is made of JSON lines stands beside it; borrowed
 * Errors: BAD_REQUEST  naming the array, what was given and what is allowed; those of the files. */
enum status sample_arrays_open(const struct sample_paths *paths, const char *beside,
	struct sample_arrays *out, struct error *err);
/* Fine for one that is zeroed. */
void sample_arrays_close(struct sample_arrays *arrays);

/* Bytes that a key has in copies: 8, or the width of the strings. `keys` is users or items. */
size_t sample_key_bytes(const struct array *keys);
bool sample_keys_are_strings(const struct array *keys);

/* Copies all keys, each of sample_key_bytes, and checks them. Errors: BAD_REQUEST  a key is negative, or
 * empty; those of array_read. */
enum status sample_copy_keys(struct array *keys, uint8_t *out, struct error *err);

/* Copies all times, int64_t each at any alignment, in Unix ms. in_order: out, whether no time is before
 * that of the sample before it. Errors: BAD_REQUEST  a time that cannot be meant; those of array_read. */
enum status sample_copy_times(struct sample_arrays *arrays, uint8_t *out, bool *in_order,
	struct error *err);

/* Reads all vectors of a layer once, and makes them ready for cr_layer_vector.
 *   beside  a deflated member is inflated into a file beside this one
 * Errors: BAD_REQUEST  a number is NaN or infinite, or the array is damaged; DISK_FULL. */
enum status sample_take_vectors(struct sample_layer *layer, const struct output *beside,
	struct error *err);

#endif
