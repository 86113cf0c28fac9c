/* expect.h - how long reading rows, and computing with them, will take: estimates in nanoseconds of a
 * thread, made before.
 *
 * A search says itself how long it will take (search.h).
 *
 * Threads: any.
 */
#ifndef DAEMON_SEARCH_EXPECT_H
#define DAEMON_SEARCH_EXPECT_H

#include "schema/dtype.h"

#include <stdint.h>

struct scorer_shape;
struct table;

enum {
	EXPECT_ROW_NS = 100, /* a key is hashed and its row found: 50 to 100 measured */
};

/* Finding so many rows of a table, converting them to `dtype`, and sending them. Half a nanosecond a
 * byte: a quarter to copy it, a quarter to send it. */
uint64_t expect_rows_ns(const struct table *table, enum dtype dtype, uint64_t rows);

/* Multiply-adds of kernels: 3 a nanosecond were measured of matrices that no cache holds, 23 to 35 of
 * those that one does. */
static inline uint64_t expect_work_ns(uint64_t work)
{
	return work / 8;
}

/* Scoring so many rows of a table, without finding them. */
uint64_t expect_scores_ns(const struct table *table, const struct scorer_shape *shape,
	uint64_t rows);

#endif
