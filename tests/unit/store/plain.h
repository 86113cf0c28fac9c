/* plain.h - rows of any table in plain arrays, to load, and to compare answers with. */
#ifndef TESTS_UNIT_STORE_PLAIN_H
#define TESTS_UNIT_STORE_PLAIN_H

#include "schema/key.h"
#include "schema/spec.h"
#include "tests/unit/store/scratch.h"

#include <stdint.h>

struct plain {
	struct table_spec spec;
	uint32_t count;
	uint8_t *packed; /* keys, each once, in no order */
	uint32_t *at;    /* where each begins in it */
	uint8_t *rows;   /* in the table's dtype */
	float *scales;   /* i8 only */
	int64_t *times;
	uint64_t *tags; /* what a table without tags answers: 0 */
};

uint64_t plain_random(uint64_t *state);

/* Random keys and rows; times are SCRATCH_NOW_MS - 1000 and before. */
void plain_make(struct plain *plain, const struct table_spec *spec, uint32_t count);
void plain_fini(struct plain *plain);

/* A batch of its keys by their numbers; what is count or above is a key that is not there.
 * Freed with free(batch->packed) and free(batch->at). */
void plain_batch(const struct plain *plain, const uint32_t *numbers, uint32_t count,
	struct keys *batch);

/* Creates its table in an open release and loads it, in chunks of so many rows, and ends the
 * load. */
void plain_load(const struct plain *plain, struct scratch *scratch, const char *release,
	uint32_t chunk_rows);

/* Makes rows, and with them the sealed release "r1". */
void plain_seal(struct plain *plain, struct scratch *scratch, const struct table_spec *spec,
	uint32_t count, uint32_t chunk_rows);

/* Row i in another dtype. */
void plain_row(const struct plain *plain, uint32_t i, enum dtype dtype, uint8_t *row, float *scale);

#endif
