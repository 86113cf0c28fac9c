/* index_users.h - rows of users that the calibration of an index asks for.
 *
 * They lie where queries to come lie, which items need not. Any table of users of the release with as
 * many dims will do, also if its rows are in the memtable only.
 *
 * Threads: the indexer's.
 */
#ifndef DAEMON_STORE_INDEXING_INDEX_USERS_H
#define DAEMON_STORE_INDEXING_INDEX_USERS_H

#include <stdbool.h>
#include <stdint.h>

struct release;
struct store;
struct table;

/* The table of users that has most rows, of kind ur if there is one. NULL: none has enough. *later: a
 * table has too few rows yet. */
struct table *index_users_find(const struct release *release, const struct table *items,
	bool *later);

/* Reads up to BALLS_QUERIES_MAX rows from all over a table of users, which is held: out, malloc'ed,
 * [count, dim]. Returns how many; 0 also when there is no memory, and when `stop` is set before all is read
 * in. */
uint32_t index_users_read(struct store *store, const struct table *users, const _Atomic bool *stop,
	float **out);

#endif
