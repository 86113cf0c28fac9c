/* served_skew.h - how far what serving saw is from what training computes, or from what a release held: by
 * table and by hour.
 *
 * A row that was served at some time is held against the row that training has of that moment: that of
 * the key's first sample at that time or later, which holds all samples before it, and none since. So the
 * training set must have all samples of the stream, up to behind the times that were served.
 *
 * Or it is held against the key's row in a dump, unless that was written later. `Training` is the dump
 * then.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_EVALUATION_SERVED_SKEW_H
#define TOOLS_EVALUATION_SERVED_SKEW_H

#include "schema/limits.h"
#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct feature_file;
struct served_record;

/* What was found of one table in one hour, or in all. Counts are of keys. */
struct skew_count {
	uint64_t compared;         /* both have a row, and both rows are known */
	uint64_t differ;           /* of these: by more than rounding */
	uint64_t both;             /* both have a row, and the served one was not logged */
	uint64_t none;             /* neither has a row */
	uint64_t missing_served;   /* training has a row, and serving found none */
	uint64_t missing_training; /* serving found a row, and training has none */
	uint64_t
		unknown; /* training has no sample of the key at that time or later; a dump, a later row */
	double difference_max; /* the largest distance of two elements of a row */
	double difference_sum; /* of rows: of the largest of each */
};

struct skew_hour {
	int64_t hour; /* Unix time / 3600 s */
	struct skew_count count;
};

struct skew_table {
	char name[LIMIT_TABLE_NAME_BYTES + 1];
	struct skew_count count; /* of all hours */
	struct skew_hour *hours; /* owned; ascending */
	size_t hour_count;
	size_t hour_cap;
};

struct skew_settings {
	double tolerance; /* of a row's largest element; below 0: by the dtype of what was served */
};

struct skew {
	struct skew_settings settings;
	uint64_t fetches;
	uint64_t
		other; /* keys of tables that training has not, of sums, of rows through layers, or of
			   another shape */
	struct skew_table *tables; /* owned; as in the file of features */
	size_t table_count;
};

/* Errors: NO_MEMORY. */
enum status skew_init(struct skew *skew, const struct feature_file *features,
	const struct skew_settings *settings);
/* Fine for one that is zeroed. */
void skew_fini(struct skew *skew);

/* Adds all rows of a fetch. Errors: NO_MEMORY. */
enum status skew_add(struct skew *skew, const struct feature_file *features,
	const struct served_record *record);

/* The share of keys that differ, or are missing on one side, of those that one side has and the other is
 * known of; 0 if there are none. */
double skew_share(const struct skew_count *count);
/* The mean of the largest differences of rows. */
double skew_mean(const struct skew_count *count);

#endif
