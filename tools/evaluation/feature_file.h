/* feature_file.h - what was served is held against: a training set that training_set.h has made, by key and
 * time; or dumps of tables of a release, by key.
 *
 * The files are mapped. In memory is the order of the samples by user, and by item, or of a dump's rows by
 * key: 8 bytes each, once it is asked for.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_EVALUATION_FEATURE_FILE_H
#define TOOLS_EVALUATION_FEATURE_FILE_H

#include "schema/dtype.h"
#include "schema/limits.h"
#include "schema/status.h"
#include "tools/format/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The samples by their users, or by their items; or the rows of a dump. Columns are borrowed from the file. */
struct feature_keys {
	const uint8_t *keys; /* [count][key_bytes] */
	size_t key_bytes;
	bool strings;
	const uint8_t *times; /* i8[count]; any alignment, as all columns */
	uint64_t count;
	uint64_t *order; /* owned; by key, then by time; NULL: not yet made */
};

struct feature_table {
	char name[LIMIT_TABLE_NAME_BYTES + 1];
	struct feature_keys *keys; /* borrowed from the feature_file */
	enum dtype dtype;
	uint32_t views;
	uint32_t dim;
	const uint8_t *rows;   /* [count, views, dim] */
	const uint8_t *scales; /* f4[count] of i8; or NULL */
	const uint8_t *ages;   /* i8[count]; NULL: a dump */
};

struct feature_dump {
	struct mapping mapping;
	struct feature_keys keys;
};

struct feature_file {
	const char *path; /* borrowed; of the training set, as the next two; NULL: dumps */
	struct mapping mapping;
	struct feature_keys sides[2]; /* users, items */
	struct feature_dump *dumps;   /* owned; of each table one; NULL: a training set */
	uint64_t count;               /* samples, or rows of all dumps */
	struct feature_table *tables; /* owned */
	size_t table_count;
};

/* Errors: BAD_REQUEST  it is no such file; those of the system. */
enum status feature_file_open(const char *path, struct feature_file *out, struct error *err);

/* Opens npz files that `repstore dump` has written, each of one table.
 *   dumps  TABLE=FILE.npz; borrowed as long as they are open
 * Errors: BAD_REQUEST  what was given, and what is allowed; those of the system. */
enum status feature_file_open_dumps(const char *const *dumps, size_t count,
	struct feature_file *out, struct error *err);

/* Fine for one that is zeroed. */
void feature_file_close(struct feature_file *file);

/* NULL: there is none of that name. */
const struct feature_table *feature_file_table(const struct feature_file *file, const char *name);

/* Whose row is looked for: 8 bytes, or the bytes of a string; borrowed. */
struct feature_key {
	const uint8_t *key;
	size_t len;
	int64_t time_ms;
};

struct feature_found {
	enum feature_answer {
		FEATURE_UNKNOWN, /* what the key had at that time cannot be told */
		FEATURE_ABSENT,  /* it had no row */
		FEATURE_THERE,
	} answer;
	uint64_t row; /* its number, if it is there */
};

/* Finds the row that a key had at a time. Of a training set it is that of the key's first sample at that time
 * or later, since that is the state just before that sample; without one it is unknown. Of a dump it is the
 * key's row, unless that is of a later time: then it was written since.
 * Errors: NO_MEMORY. */
enum status feature_file_find(const struct feature_table *table, const struct feature_key *key,
	struct feature_found *out);

#endif
