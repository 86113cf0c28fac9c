/* levels_fixture.h - a store in which each merge makes a delta, and what table "t" of its release "r1" must
 * hold, whatever its levels are.
 */
#ifndef TESTS_UNIT_STORE_LEVELS_FIXTURE_H
#define TESTS_UNIT_STORE_LEVELS_FIXTURE_H

#include "daemon/store/merge/merge.h"
#include "tests/unit/store/scratch.h"

enum { KEYS = 2000, EVER = 1000000000 };

/* The version that each key must have; 0: none. */
struct expected {
	uint32_t versions[KEYS];
};

/* A fixture of cmocka: an open store whose merges make deltas, whatever the size of a table, and are written anew only when
 * asked; scratch_teardown ends it. */
int levels_setup(void **state);

/* They must succeed. */
struct merge_result levels_merge(struct scratch *scratch);
struct merge_result levels_merge_full(struct scratch *scratch);

size_t levels_count_levels(struct scratch *scratch);
size_t levels_count_files(struct scratch *scratch); /* that the table names */
/* Whether the rows of the table are known exactly. */
bool levels_are_counted(struct scratch *scratch);

/* Puts a version of keys [from, from + count), 0: deletes them. */
void levels_put(struct scratch *scratch, struct expected *expected, uint64_t from, uint32_t count,
	uint32_t version);
/* Makes the release: a base with version 1 of the first half of the keys. */
void levels_make(struct scratch *scratch, struct expected *expected);
/* The same, with a base of one file. */
void levels_make_one_range(struct scratch *scratch, struct expected *expected);
/* A delta for each version from 2 to `last`: new keys, changed ones, and a few that are deleted. */
void levels_add_deltas(struct scratch *scratch, struct expected *expected, uint32_t last);

/* Every way to read the table finds just what is expected. */
void levels_expect(struct scratch *scratch, const struct expected *expected);

#endif
