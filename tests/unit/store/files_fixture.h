/* files_fixture.h - records of files for a table that has none on the disk. */
#ifndef TESTS_UNIT_STORE_FILES_FIXTURE_H
#define TESTS_UNIT_STORE_FILES_FIXTURE_H

#include <stdint.h>

struct table;

/* Adds a file of the base, and one of each of two deltas, the newer one first. */
void files_fixture_add(struct table *table, uint64_t number);

/* Both tables have the same files, in the same levels. */
void files_fixture_expect(const struct table *a, const struct table *b);

#endif
