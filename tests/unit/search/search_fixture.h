/* search_fixture.h - a table with an index and a model of it: rows that are written at random, and searches that must
 * find what the model has, with its scores, bit for bit.
 */
#ifndef TESTS_UNIT_SEARCH_SEARCH_FIXTURE_H
#define TESTS_UNIT_SEARCH_SEARCH_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

struct scratch;
struct snapshot;
struct table;

enum {
	SEARCH_KEYS = 12000,
	SEARCH_LOADED = 6000, /* keys [0, SEARCH_LOADED) are in the base */
	SEARCH_DIM = 8,
	SEARCH_PUT_ROWS = 500,
};

struct search_model {
	uint64_t random;
	float rows[SEARCH_KEYS][SEARCH_DIM];
	uint64_t tags[SEARCH_KEYS];
	bool there[SEARCH_KEYS];
};

/* Loads a table "t" with an index, and waits for it. free() the model. */
struct search_model *search_model_begin(struct scratch *scratch);

/* Writes rows of random keys of [from, from + some); of each SEARCH_PUT_ROWS the last tenth is deleted again. */
void search_change(struct scratch *scratch, struct search_model *model, uint32_t count,
	uint64_t from, uint64_t some);

/* The table, between snapshot_begin and snapshot_end. */
const struct table *search_table(const struct snapshot *snapshot);

/* Until each file of the base has one. */
void search_await_index(struct scratch *scratch);

/* Searches of every metric, with a filter and without, exact ones and others, must find what the model has. */
void search_expect(struct scratch *scratch, struct search_model *model);
void search_expect_in(struct scratch *scratch, const struct snapshot *snapshot,
	struct search_model *model);

#endif
