/* index_swap.h - gives tables that snapshots have other indexes. A merge that leaves files of the base as they are makes a table that
 * shares their indexes (table_share_indexes).
 *
 * Threads: the indexer's, which alone takes an index away.
 */
#ifndef DAEMON_STORE_INDEXING_INDEX_SWAP_H
#define DAEMON_STORE_INDEXING_INDEX_SWAP_H

#include <stdint.h>

struct indexes;
struct store;
struct table;

/* Gives a table, which is held, an index in the place of what it had, and also the table that has taken its place, as far as
 * their bases have the same files. Takes the caller's reference over. Waits for a grace period if there was one before. */
void index_swap_in(struct store *store, uint64_t release, struct table *table,
	struct indexes *indexes);

#endif
