/* local_values.h - writes whose rows are all of one value, so that who reads half of one, or of two, sees it.
 *
 * Each writer has VALUES_KEYS keys, the same ones in tables a and b of "r1", and puts its next value into all of them in
 * one write.
 */
#ifndef TESTS_UNIT_LOCAL_LOCAL_VALUES_H
#define TESTS_UNIT_LOCAL_LOCAL_VALUES_H

#include "tests/unit/local/local_fixture.h"

struct store;

enum { VALUES_KEYS = 40, VALUES_WRITERS_MAX = 4 };

/* Puts a value of a writer, and waits until it is acknowledged. */
enum status values_put(struct store *store, unsigned writer, uint32_t value, struct error *err);

/* Makes the request of all keys of so many writers. */
void values_request(struct pair *pair, unsigned writers);

/* Reads the answer: the value of each writer. The test fails if some rows of it are of another. */
void values_read(struct wire_bytes response, unsigned writers, uint32_t values[VALUES_WRITERS_MAX]);

#endif
