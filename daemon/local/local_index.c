/* local_index.c - opens the indexes of tables, and the images of deltas, for a reader.
 *
 * An index may come long after its table, and another one under the same name. To open one reads all of it, so the follower
 * does not.
 */
#include "daemon/local/local_state.h"

#include "daemon/store/index/index.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/background.h"

#include <stdlib.h>

struct held {
	uint64_t release;
	struct table *table; /* held */
};

static bool may_have_index(const struct table *table)
{
	return table->bases != NULL && table->spec.index != INDEX_NONE;
}

static size_t count_tables(const struct snapshot *snapshot)
{
	size_t count = 0;
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			count += may_have_index(release->tables[j]);
		}
	}
	return count;
}

/* Holds all tables that may have an index. *out is the caller's; NULL: there are none, or there is no memory. */
static size_t hold_tables(struct store *store, struct held **out)
{
	size_t count = 0;
	store_lock_admin(store);
	const struct snapshot *snapshot = store_current(store);
	const size_t most = count_tables(snapshot);
	struct held *held = most == 0 ? NULL : calloc(most, sizeof *held);
	for (size_t i = 0; held != NULL && i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			struct table *table = release->tables[j];
			if (may_have_index(table)) {
				table->refs++;
				held[count++] = (struct held){release->number, table};
			}
		}
	}
	store_unlock_admin(store);
	*out = held;
	return count;
}

static void open_index(struct local_state *state, const struct held *held, size_t level)
{
	char folder[PATH_MAX];
	struct table *table = held->table;
	_Atomic(struct index *) *at = level == 0 ? &table->index : &table->levels[level]->image;
	const struct index *now = atomic_load(at);
	struct index *next = NULL;
	const struct index_owner owner = table_index_owner(table, level, held->release);
	store_release_folder(state->store, held->release, folder);
	/* The image of a delta is set once. */
	if (now != NULL && (level > 0 || now->inode == index_inode(folder, &owner))) {
		return;
	}
	if (index_open(folder, &owner, &next, NULL) != STATUS_OK) {
		return; /* it is not there yet, is just being changed, or of other files */
	}
	store_lock_admin(
		state->store); /* a snapshot that is made may hold the one that was there */
	struct index *before = atomic_exchange(at, next);
	store_unlock_admin(state->store);
	if (before != NULL) {
		grace_wait(); /* who is inside may have loaded its address */
		index_close(before);
	}
}

void local_index_open_all(struct local_state *state)
{
	struct held *held;
	struct store *store = state->store;
	const size_t count = hold_tables(store, &held);
	const uint64_t rows_min = store->options.sizes.index_rows_min;
	for (size_t i = 0; i < count; i++) {
		const size_t levels = table_indexed_levels(held[i].table, rows_min);
		for (size_t level = 0; level < levels; level++) {
			if ((level == 0 || table_wants_image(held[i].table, level)) &&
				local_state_check_opening(state, NULL) == STATUS_OK) {
				open_index(state, &held[i], level);
			}
		}
		background_let_go(store, held[i].table);
	}
	free(held);
}
