/* index_swap.c - gives indexes to tables under the admin lock, so that a table that is made meanwhile gets the same. */
#include "daemon/store/indexing/index_swap.h"

#include "daemon/store/index/index.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/grace.h"

static bool same_base(const struct table *a, const struct table *b)
{
	return a->level_count > 0 && b->level_count > 0 && a->levels[0] == b->levels[0];
}

void index_swap_in(struct store *store, uint64_t release, struct table *table, struct index *index)
{
	struct index *before[2] = {NULL, NULL};
	store_lock_admin(store);
	struct table *now =
		release_find(snapshot_find(store_current(store), release), table->number);
	if (now != NULL && now != table && same_base(now, table)) {
		index_hold(index);
		before[1] = atomic_exchange(&now->index, index);
	}
	before[0] = atomic_exchange(&table->index, index);
	store_unlock_admin(store);
	if (before[0] != NULL || before[1] != NULL) {
		grace_wait(); /* who is inside may have loaded its address */
		index_close(before[0]);
		index_close(before[1]);
	}
}

void index_share(struct table *table, const struct table *from)
{
	if (same_base(table, from)) {
		struct index *index = atomic_load(&((struct table *)from)->index);
		index_hold(index);
		atomic_store(&table->index, index);
	}
}
