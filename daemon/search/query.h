/* query.h - what a search looks for, and where it looks.
 *
 * Plain values: whoever asks fills them in, and keeps what they point to until the search ends.
 */
#ifndef DAEMON_SEARCH_QUERY_H
#define DAEMON_SEARCH_QUERY_H

#include "schema/metric.h"

#include <stdint.h>

struct table;

struct query {
	uint32_t count;       /* of queries */
	uint32_t parts;       /* vectors of each query */
	uint32_t dim;         /* elements of each vector: as many as the items' vectors have */
	const void *vectors;  /* [count, parts, dim], f32; bits for metrics of bits */
	const float *weights; /* [parts]; NULL: each is 1 */
	/* Of histories, which need not have all of their vectors: how many each query has, and perhaps a
	 * weight for each by its age. NULL: all of them; none. */
	const uint32_t *taken;    /* [count] */
	const float *age_weights; /* [count, parts]; `weights` is NULL then */
};

struct search_place {
	const struct table *items; /* of a snapshot that is in use */
	enum metric metric;
	uint64_t visible; /* of that snapshot: later writes are not seen */
	int64_t now_ms;   /* Unix ms; rows that have expired by then are not found */
};

#endif
