/* cr_samples.h - labelled samples from NumPy columns: who, what, when, and whether it was liked.
 *
 * They are put in the order of time; samples of one time keep the order of the files. Users and
 * items are numbered, so that what is kept of each is an array.
 *
 * Threads: any, once it is read.
 */
#ifndef TOOLS_CR_SAMPLES_H
#define TOOLS_CR_SAMPLES_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Paths of npy files, each [n]. */
struct sample_columns {
	const char *users; /* integers that are not negative, or S */
	const char *items;
	const char *times;    /* integers */
	const char *labels;   /* integers or bools: 0 or 1 */
	int64_t time_unit_ms; /* what a time of 1 is */
};

/* The keys of all users, or of all items: key i, in the order of memcmp, is number i. */
struct cr_keys {
	char kind; /* u: u64 little-endian; S: strings, filled up with NULs */
	size_t key_bytes;
	size_t count;
	uint8_t *bytes; /* owned; [count][key_bytes] */
};

/* False: it is none of them. `key` is a u64, little-endian, or a string. */
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

/* Where the samples are parted: the first of them that is not in the first `share` of all, or an
 * earlier one, so that samples of one time stand on one side. 0: all of these are of one time. */
size_t cr_samples_cut(const struct cr_samples *samples, double share);

#endif
