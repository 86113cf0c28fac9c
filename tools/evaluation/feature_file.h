/* feature_file.h - a training set that training_set.h has made: its rows, by key and time.
 *
 * The file is mapped. In memory is the order of its samples by user, and by item: 8 bytes a sample each,
 * once it is asked for.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_EVALUATION_FEATURE_FILE_H
#define TOOLS_EVALUATION_FEATURE_FILE_H

#include "schema/limits.h"
#include "schema/status.h"
#include "tools/format/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The samples' users, or their items. */
struct feature_keys {
	const uint8_t *keys; /* [n][key_bytes]; borrowed from the file */
	size_t key_bytes;
	bool strings;
	uint64_t *order; /* owned; the samples by key, then by time; NULL: not yet made */
};

struct feature_table {
	char name[LIMIT_TABLE_NAME_BYTES + 1];
	bool of_items;
	uint32_t dim;
	const uint8_t *rows; /* f4[n, dim], any alignment; so are the others */
	const uint8_t *ages; /* i8[n] */
};

struct feature_file {
	const char *path; /* borrowed */
	struct mapping mapping;
	uint64_t count;               /* samples */
	const uint8_t *times;         /* i8[n] */
	struct feature_keys sides[2]; /* users, items */
	struct feature_table *tables; /* owned */
	size_t table_count;
};

/* Errors: BAD_REQUEST  it is no such file; those of the system. */
enum status feature_file_open(const char *path, struct feature_file *out, struct error *err);
/* Fine for one that is zeroed. */
void feature_file_close(struct feature_file *file);

/* NULL: there is none of that name. */
const struct feature_table *feature_file_table(const struct feature_file *file, const char *name);

/* Whose sample is looked for: 8 bytes, or the bytes of a string; borrowed. */
struct feature_key {
	const uint8_t *key;
	size_t len;
	int64_t time_ms;
};

/* Finds the key's first sample at that time or later: its row is the state just before that sample, so
 * it is that of `time_ms`. *found: false: there is none, and *row is not written.
 * Errors: NO_MEMORY. */
enum status feature_file_find(struct feature_file *file, const struct feature_table *table,
	const struct feature_key *key, uint64_t *row, bool *found);

#endif
