/* with.h - rows that a reply brings along with the items that a search has found, so that ranking
 * needs no second request: rows of the items' own table, or of other tables, by the same keys.
 *
 * Threads: one at a time, in the snapshot that the tables are of.
 */
#ifndef DAEMON_METHOD_QUERY_WITH_H
#define DAEMON_METHOD_QUERY_WITH_H

#include "daemon/method/query/query_place.h"
#include "schema/key.h"
#include "schema/limits.h"

#include <stddef.h>
#include <stdint.h>

struct wire_writer;

struct with {
	size_t count;
	const struct table *tables[LIMIT_WITH]; /* borrowed from the snapshot */
};

/* Reads `with: [str]`. Errors: BAD_REQUEST  also a table with keys of another type; NOT_FOUND;
 * TOO_LARGE. */
enum status with_read(struct with *with, struct params *params, const struct query_place *place);

/* How long with_write takes for so many keys, in nanoseconds (cost.h). */
uint64_t with_cost(const struct with *with, uint64_t keys);

/* with_write writes at most so many bytes for so many keys. */
size_t with_bytes(const struct with *with, uint32_t keys);

/* Writes an array with one map for each table, as fetch does. The caller has reserved with_bytes.
 * Errors: as table_lookup. */
enum status with_write(const struct with *with, const struct query_place *place,
	const struct keys *keys);

#endif
