/* observe_fixture.h - numbered samples, a store of two tables that takes them, and what it must
 * hold.
 *
 * The release is "r1", the layer "fm": users have numbers as keys, items byte strings. All that is
 * known of a sample follows from its number, which is its position too. What a call here cannot do
 * fails the test.
 */
#ifndef TESTS_UNIT_STORE_OBSERVE_FIXTURE_H
#define TESTS_UNIT_STORE_OBSERVE_FIXTURE_H

#include "daemon/store/observe/observe.h"
#include "daemon/store/observe/sources.h"
#include "tests/unit/store/scratch.h"

enum { SAMPLE_DIM = SCRATCH_DIM, SAMPLE_BATCH_MAX = 400 };

/* Samples as they are sent. */
struct sample_batch {
	uint64_t users[SAMPLE_BATCH_MAX];
	uint8_t items[SAMPLE_BATCH_MAX * 16];
	uint32_t item_at[SAMPLE_BATCH_MAX];
	int64_t times[SAMPLE_BATCH_MAX];
	float rows[SAMPLE_BATCH_MAX][SAMPLE_DIM];
	struct observation given;
};

/* A fixture of cmocka as scratch_setup_store, with the release; scratch_teardown ends it. */
int samples_setup(void **state);

struct table_spec samples_spec(enum entity entity);
/* Of a third table, seen@fm, that a test may add to the layer: the newest samples of each user. */
struct table_spec samples_history_spec(void);

/* Creates and seals a release with the two tables. */
void samples_release(struct scratch *scratch, const char *id);

/* Samples [first, first + count) of source "s" for r1, at their position, where the source may begin;
 * returns batch->given. */
struct observation *samples_make(struct sample_batch *batch, uint64_t first, uint32_t count);

enum status samples_try(struct scratch *scratch, const struct observation *given,
	struct observe_result *result, struct error *err);

/* Sends samples [first, first + count) of source "s"; so many must be counted. */
void samples_send(struct scratch *scratch, uint64_t first, uint32_t count, uint64_t applied);

/* The next position of a source in r1; UINT64_MAX: none. */
uint64_t samples_next(struct scratch *scratch, const char *source);

/* Samples [from, to), one after the other, are all that both tables hold, bit for bit. */
void samples_expect(struct scratch *scratch, uint64_t from, uint64_t to);

/* The same of the third table. */
void samples_expect_history(struct scratch *scratch, uint64_t from, uint64_t to);

void samples_merge(struct scratch *scratch);

#endif
