/* chunk_content.h - what a chunk holds, as 128 bits.
 *
 * A chunk that comes again, under the name of its load and its own number, counts once. That it is
 * the same is known by its content: keys, rows and every other column, as they were sent.
 *
 * Threads: any; there is no state. Source: XXH3-128.
 */
#ifndef DAEMON_STORE_SPILL_CHUNK_CONTENT_H
#define DAEMON_STORE_SPILL_CHUNK_CONTENT_H

#include "daemon/store/row/batch.h"

enum { CHUNK_CONTENT_BYTES = 16 };

struct chunk_content {
	uint64_t low;
	uint64_t high;
};

struct chunk_content chunk_content_of(const struct row_batch *batch);

static inline bool chunk_content_same(const struct chunk_content *a, const struct chunk_content *b)
{
	return a->low == b->low && a->high == b->high;
}

#endif
