/* cr_samples.h - labelled samples from NumPy columns: user, item, time, and whether it was liked.
 *
 * Samples are put in the order of time; samples of one time keep the order of the files. Users and
 * items are numbered, so that an array can hold something for each.
 *
 * Threads: any, after cr_samples_read.
 */
#ifndef TOOLS_EVALUATION_CR_SAMPLES_H
#define TOOLS_EVALUATION_CR_SAMPLES_H

#include "schema/status.h"
#include "tools/format/row_time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Paths of npy files, each [n]. */
struct sample_columns {
	const char *users; /* integers that are not negative, or S */
	const char *items;
	const char *times;         /* integers */
	const char *labels;        /* integers or bools: 0 or 1 */
	struct row_time_rule time; /* of `times` */
};

/* The keys of all users, or of all items, in the order of memcmp. Key i has number i. */
struct cr_keys {
	char kind; /* u: u64 little-endian; S: strings, padded with NULs */
	size_t key_bytes;
	size_t count;
	uint8_t *bytes; /* owned; [count][key_bytes] */
};

/* Finds the number of a key, which is a u64, little-endian, or a string. False: it is none of
 * them. */
bool cr_keys_find(const struct cr_keys *keys, const uint8_t *key, size_t len, uint32_t *out);

/* Sample k, in the order of time, is row order[k] of the files. */
struct cr_samples {
	size_t count;
	size_t user_count;
	size_t item_count;
	struct cr_keys user_keys; /* owned */
	struct cr_keys item_keys; /* owned */
	uint32_t *order;          /* owned */
	uint32_t *users;          /* owned; below user_count */
	uint32_t *items;          /* owned; below item_count */
	int64_t *times_ms;        /* owned; each not below the one before */
	uint8_t *labels;          /* owned; 0 or 1 */
};

/* Errors: BAD_REQUEST  naming the option, the file, what was given and what is allowed; those of
 * the files; NO_MEMORY. */
enum status cr_samples_read(const struct sample_columns *paths, struct cr_samples *out,
	struct error *err);
/* Fine for one that is zeroed. */
void cr_samples_fini(struct cr_samples *samples);

/* Where the samples are cut in two: samples before the returned number are the first `share` of
 * all, or fewer, so that samples of one time stay on one side. 0: all of that share are of one
 * time. */
size_t cr_samples_cut(const struct cr_samples *samples, double share);

#endif
