/* query_place.h - where a request searches: release, table of items, metric, snapshot.
 *
 * Threads: one at a time, between snapshot_begin and snapshot_end.
 */
#ifndef DAEMON_METHOD_QUERY_QUERY_PLACE_H
#define DAEMON_METHOD_QUERY_QUERY_PLACE_H

#include "daemon/method/call/params.h"
#include "daemon/search/query.h"
#include "daemon/store/snapshot/snapshot.h"

struct call;

struct query_place {
	struct call *call;
	const struct release *release;
	struct search_place at;
};

/* Reads `release`, `in` and `metric`. Errors: BAD_REQUEST  also a metric of bits when the table
 * does not hold bits; NOT_FOUND; NOT_SEALED. */
enum status query_place_read(struct query_place *place, struct params *params, struct call *call,
	const struct snapshot *snapshot);

#endif
