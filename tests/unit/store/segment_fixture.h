/* segment_fixture.h - segments in memory of exactly their size, with rows that tell what they are.
 *
 * What a call here cannot do fails the test.
 */
#ifndef TESTS_UNIT_STORE_SEGMENT_FIXTURE_H
#define TESTS_UNIT_STORE_SEGMENT_FIXTURE_H

#include "daemon/store/base/segment_build.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEGMENT_RELEASE = 7, SEGMENT_TABLE = 3 };

uint64_t segment_random(uint64_t *state);

struct table_spec segment_spec(enum dtype dtype, enum key_type key_type, uint32_t views, bool tags);

/* How long the key of a row is in a table of byte strings. */
size_t segment_key_len(uint32_t row);

/* A segment, and the hashes of its rows. */
struct built {
	struct table_spec spec;
	struct segment_identity identity;
	struct segment_plan plan;
	uint64_t *hashes;
	uint8_t *data;
};

/* `clustered`: hashes so near to each other that all share a few home slots. */
void built_make(struct built *built, const struct table_spec *spec, uint32_t rows,
	uint32_t prefix_bits, bool clustered);
void built_fini(struct built *built);
/* The columns of the view hold what was built. */
void built_expect(const struct built *built, const struct segment *view);

/* A copy of `len` bytes, aligned as segments are, to be freed. */
uint8_t *segment_copy(const uint8_t *data, size_t len);

#endif
