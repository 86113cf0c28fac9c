/* through.h - a chain of stored layers: rows of a fetch or of a query go through it.
 *
 *   through_begin -> through_add, a step each -> through_end
 *                 -> through_lookup or through_rows -> through_free
 *
 * The steps are looked up in the release of the rows and checked before any row is read. Rows are
 * looked up in blocks as f32, so the memory of a chain depends on the width of its rows and not on
 * their number.
 *
 * Threads: one at a time, in the snapshot that the release is of.
 */
#ifndef DAEMON_SEARCH_THROUGH_H
#define DAEMON_SEARCH_THROUGH_H

#include "daemon/store/read/lookup.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stop;
struct store;
struct through;

/* What a chain is made for. */
struct through_place {
	struct store *store;
	const struct release *release;
	uint64_t width;    /* values of a row that enters */
	const char *where; /* errors write it before "through": "parts[1].", "" */
	bool may_block;
	const struct stop *stop; /* borrowed until through_free; may be NULL */
};

/* Makes an empty chain for so many steps. Errors: BAD_REQUEST  too many or none, or rows that are
 * too wide; NO_MEMORY. */
enum status through_begin(const struct through_place *place, size_t steps, struct through **out,
	struct error *err);
/* Adds a step, by its name. Errors: BAD_REQUEST  it is no name of a step, or its shape does not
 * fit, naming the step; NOT_FOUND  a tensor; CORRUPT; AGAIN  a tensor must be read in, and that may
 * not block; NO_MEMORY. */
enum status through_add(struct through *through, const struct through_place *place,
	const char *name, size_t len, struct error *err);
/* After the last step. Errors: BAD_REQUEST  the rows that leave the chain are too wide. */
enum status through_end(const struct through *through, const struct through_place *place,
	struct error *err);
void through_free(struct through *through); /* NULL is fine */

/* Values of a row that leaves the chain. */
uint32_t through_dim(const struct through *through);
/* About how many multiply-adds the chain makes for so many rows. */
uint64_t through_work(const struct through *through, uint64_t rows);

/* As table_lookup, but the rows go through the chain: lookup->rows has [keys.count, through_dim] of
 * lookup->dtype, and the default row, which is f32, goes through it like any other. Rows that were not
 * found, nor are defaulted, are zero. Errors: as table_lookup; NO_MEMORY. */
enum status through_lookup(const struct through *through, struct lookup *lookup, struct error *err);

/* Takes rows [count, width] through the chain: out, [count, through_dim]. Errors: CORRUPT,
 * NO_MEMORY. */
enum status through_rows(const struct through *through, const float *rows, uint32_t count,
	float *out, struct error *err);

#endif
