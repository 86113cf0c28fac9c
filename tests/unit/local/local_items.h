/* local_items.h - tables of items with an index, for a store and a reader of its folder (local_fixture.h): rows that are
 * written at random, and searches.
 */
#ifndef TESTS_UNIT_LOCAL_LOCAL_ITEMS_H
#define TESTS_UNIT_LOCAL_LOCAL_ITEMS_H

#include "tests/unit/local/local_fixture.h"

enum {
	ITEMS_LOADED = 6000, /* keys [0, ITEMS_LOADED) are in the base */
	ITEMS_KEYS = 12000,
	ITEMS_DIM = 8,
	ITEMS_K = 40,
};

struct items {
	struct pair *pair; /* borrowed */
	uint64_t random;
};

struct items_found {
	uint64_t count;
	uint64_t keys[ITEMS_K];
	float scores[ITEMS_K];
};

/* Makes a release with such tables the live one; `tables` is NULL-terminated. */
void items_make_release(struct items *items, const char *release, const char *const *tables);
/* Waits until the store and its reader have the index of each table of a release. */
void items_await_indexes(struct items *items, const char *release);

/* Puts so many rows of random keys of [from, from + some), and deletes the last tenth of them again; returns the sequence
 * of the last write. */
uint64_t items_write(struct items *items, const char *table, uint32_t count, uint64_t from,
	uint64_t some);
/* Puts rows of keys [from, from + count), all of this vector. */
uint64_t items_put(struct items *items, const char *table, uint64_t from, uint32_t count,
	const float vector[ITEMS_DIM]);

/* Makes a search for a vector in a table of a release the request of the pair. */
void items_request(struct items *items, const char *release, const char *table,
	const float vector[ITEMS_DIM], const char *metric, double recall);
/* Reads an answer to it; false: it is an error, and there are no hits. */
bool items_read(struct wire_bytes response, struct items_found *out);
/* The same keys and scores. */
bool items_are_same(const struct items_found *a, const struct items_found *b);
/* A search that finds something. */
void items_search(struct items *items, const char *table);

/* Searches of every metric in a table of release "items": exact ones find in the reader what they find in the store, with
 * the same scores, and others their share of it. All that was written is applied. */
void items_expect(struct items *items, const char *table);

#endif
