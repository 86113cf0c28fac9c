/* training_walk.h - one walk through samples in the order of time, for the users or for the items.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_EVALUATION_TRAINING_WALK_H
#define TOOLS_EVALUATION_TRAINING_WALK_H

#include "tools/evaluation/cr_layer.h"
#include "tools/evaluation/cr_states.h"
#include "tools/evaluation/key_numbers.h"
#include "tools/evaluation/sample_order.h"
#include "tools/evaluation/training_set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One table of the side. */
struct walk_table {
	size_t number; /* in the request */
	const struct cr_layer *layer;
	struct table_spec spec;  /* with the dim of the layer */
	struct cr_states states; /* owned, during a walk */
	/* Where what is read goes; the caller's. */
	uint8_t *rows;    /* f4[n, dim] */
	uint8_t *weights; /* f8[n] */
	uint8_t *ages;    /* i8[n] */
	struct training_count count;
};

/* What a walk needs. All is the caller's. */
struct walk {
	const struct training_request *request;
	const char *what; /* "user", "item" */
	struct walk_table *tables;
	size_t table_count;
	uint64_t samples;
	const struct sample_order *order;
	const uint8_t *times; /* int64_t[n], any alignment */
	const uint8_t *keys;  /* [n][key_bytes] */
	size_t key_bytes;
	bool strings;
	/* The part of the keys that this walk is for: those whose hash ends in `part`. */
	uint64_t part_mask;
	uint64_t part;
	/* For progress: samples of all walks. */
	uint64_t done;
	uint64_t total;
	/* out */
	uint64_t key_count;
	uint64_t bytes; /* of keys and states */
	/* Of the first sample, in the order of time, that is not newer than its key's state. */
	uint64_t late;
	uint64_t late_row;
	int64_t late_state_ms;
	const char *late_table;
};

/* Errors: AGAIN  the keys of this part, or their states, need more than memory_bytes: what was written
 * of them is written again by walks for smaller parts; those of training_set_make. */
enum status training_walk_run(struct walk *walk, struct error *err);

#endif
