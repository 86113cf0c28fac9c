/* training_set.h - a training set without leaks: for each sample, the rows of its user and of its item
 * as they stood just before the sample's time, in the tables of one layer or more.
 *
 * The samples are walked through in the order of time, for users and for items in turn. A sample is
 * added to a state only when a sample of a later time is read. So what is read holds nothing of the
 * sample itself, of later samples, or of samples of the same time. It is what cr_history.h reads, for
 * any number of samples: what has to be in memory are the keys of users, or of items, and their states.
 * Where that is more than `memory_bytes`, the samples are walked through several times, each time for
 * another part of the keys.
 *
 * The output is an npz file with the arrays
 *   users, items  [n] u8, or S of the width given; times [n] i8, Unix ms
 *   TABLE         [n, dim] f4: what a reader of the table would have got; zeros where there is nothing
 *   TABLE.weight  [n] f8: the weight W behind it; 0 where there is nothing
 *   TABLE.age     [n] i8: ms from the newest sample behind it to this one; AGE_NONE, AGE_LATE
 *   TABLE.entity  [1] S4: whose keys it has, "user" or "item"
 * in the order of the samples given, so that row i is that of sample i.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_EVALUATION_TRAINING_SET_H
#define TOOLS_EVALUATION_TRAINING_SET_H

#include "schema/name.h"
#include "schema/spec.h"
#include "schema/status.h"
#include "tools/evaluation/sample_arrays.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cr_states;

enum {
	AGE_NONE = -1, /* no sample before */
	AGE_LATE = -2, /* the state that the key began with is not older than the sample */
};

/* A table whose rows are wanted. */
struct training_table {
	size_t layer; /* its number in the request's paths */
	/* name, entity, decay and reading. A key type or a dim that is not 0 must be that of the
	 * samples. */
	struct table_spec spec;
};

/* Keys that have come for the first time. */
struct training_keys {
	const uint8_t *keys; /* count keys of key_bytes each; strings are padded with NULs */
	size_t key_bytes;
	bool strings;
	uint32_t first; /* the number of the first one in the states */
	uint32_t count;
};

/* What is asked. Nothing is owned. */
struct training_request {
	struct sample_paths samples;
	const struct training_table *tables;
	size_t table_count;
	const char *out;
	uint64_t memory_bytes; /* of keys and states; 0: no bound */
	bool skip_late; /* samples that are not newer than the state of their key are left out */
	/* Sets the states that keys begin with; NULL: they begin with nothing. */
	enum status (*begin)(void *context, size_t table, const struct training_keys *keys,
		struct cr_states *states, struct error *err);
	/* Says how far the work is; false: it is to end. */
	bool (*progress)(void *context, uint64_t done, uint64_t total);
	void *context;
};

/* What was made. */
struct training_count {
	uint64_t there; /* samples that have a row in the table */
	uint64_t none;
	uint64_t late; /* left out */
};

struct training_report {
	uint64_t samples;
	bool in_order; /* no sample is before the one before it */
	uint64_t users;
	uint64_t items;
	uint32_t passes; /* through all samples */
	int64_t first_ms;
	int64_t last_ms;
	uint64_t memory_bytes;         /* of keys and states, at most at once */
	struct training_count *tables; /* owned; as in the request */
};

/* Errors: BAD_REQUEST  naming what was given and what is allowed; CONFLICT  the states that keys begin
 * with are not older than all of their samples; TOO_LARGE  a sum is beyond f32, or memory_bytes holds
 * too little; those of files and of `begin`. */
enum status training_set_make(const struct training_request *request, struct training_report *out,
	struct error *err);
void training_report_fini(struct training_report *report);

#endif
