/* index_swap.c - gives indexes to tables under the admin lock, so that a table that is made meanwhile gets the same. */
#include "daemon/store/indexing/index_swap.h"

#include "daemon/store/index/indexes.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/grace.h"

/* What a table gets that has taken the place of one to which `indexes` are given. NULL: nothing. */
static struct indexes *share(const struct table *now, const struct table *table,
	struct indexes *indexes)
{
	if (now == NULL || now == table || now->level_count == 0) {
		return NULL;
	}
	if (now->levels[0] == table->levels[0]) {
		indexes_hold(indexes);
		return indexes;
	}
	const struct level_indexes of[] = {
		{table->levels[0], indexes},
		{now->levels[0], atomic_load(&((struct table *)now)->index)},
	};
	return level_join_indexes(now->levels[0], of, 2);
}

void index_swap_in(struct store *store, uint64_t release, struct table *table,
	struct indexes *indexes)
{
	struct indexes *before[2] = {NULL, NULL};
	store_lock_admin(store);
	struct table *now =
		release_find(snapshot_find(store_current(store), release), table->number);
	struct indexes *shared = share(now, table, indexes);
	if (shared != NULL) {
		before[1] = atomic_exchange(&now->index, shared);
	}
	before[0] = atomic_exchange(&table->index, indexes);
	store_unlock_admin(store);
	if (before[0] != NULL || before[1] != NULL) {
		grace_wait(); /* who is inside may have loaded its address */
		indexes_close(before[0]);
		indexes_close(before[1]);
	}
}
