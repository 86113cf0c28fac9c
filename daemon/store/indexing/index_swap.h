/* index_swap.h - which tables get an index. A merge that leaves the base as it is makes a table that shares the index of
 * the one before.
 *
 * Threads: the indexer's, which alone takes an index away; and who makes a table that no snapshot has yet.
 */
#ifndef DAEMON_STORE_INDEXING_INDEX_SWAP_H
#define DAEMON_STORE_INDEXING_INDEX_SWAP_H

#include <stdint.h>

struct index;
struct store;
struct table;

/* Gives a table, which is held, an index in the place of what it had, and also the table that has taken its place with the
 * same base. Takes the caller's reference over. Waits for a grace period if there was one before. */
void index_swap_in(struct store *store, uint64_t release, struct table *table, struct index *index);

/* Gives a table the index of `from` if both have the same base. The caller holds the admin lock. */
void index_share(struct table *table, const struct table *from);

#endif
