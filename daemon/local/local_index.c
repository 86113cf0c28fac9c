/* local_index.c - opens the indexes of tables, and the images of deltas, for a reader.
 *
 * An index may come long after its table, and another one under the same name. To open one reads all of it, so the follower
 * does not.
 */
#include "daemon/local/local_state.h"

#include "daemon/store/index/indexes.h"
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

/* What a file has now, held, or another index that stands in the place of it by now; NULL: it is not there yet, is just being
 * changed, or of another file. */
static struct index *look_at_file(const char *folder, const struct index_owner *owner,
	const struct indexes *now, size_t file)
{
	struct index *of = indexes_of(now, file);
	struct index *next = NULL;
	if (of == NULL || of->inode != index_inode(folder, owner)) {
		(void)index_open(folder, owner, &next, NULL);
	}
	if (next == NULL) {
		index_hold(of);
	}
	return next != NULL ? next : of;
}

/* The indexes that the files of a level have by now; NULL: they have none, or those that they had. */
static struct indexes *look_at_level(const struct held *held, const char *folder, size_t level,
	const struct indexes *now)
{
	const struct table *table = held->table;
	const size_t count = table->levels[level]->file_count;
	struct index **of = calloc(count, sizeof(struct index *));
	bool is_same = true;
	for (size_t i = 0; of != NULL && i < count; i++) {
		const struct index_owner owner = table_index_owner(table, level, i, held->release);
		if (table_wants_image(table, level, i)) {
			of[i] = look_at_file(folder, &owner, now, i);
		}
		is_same = is_same && of[i] == (now == NULL ? NULL : now->of[i]);
	}
	struct indexes *next = of == NULL ? NULL : indexes_new(of, count, now);
	free(of);
	if (is_same) {
		indexes_close(next);
		return NULL;
	}
	return next;
}

static void open_level(struct local_state *state, const struct held *held, size_t level)
{
	char folder[PATH_MAX];
	struct table *table = held->table;
	_Atomic(struct indexes *) *at = level == 0 ? &table->index : &table->levels[level]->images;
	const struct indexes *now = atomic_load(at);
	if (now != NULL && level > 0) {
		return; /* a delta gets its images once, since who pins it holds no others */
	}
	store_release_folder(state->store, held->release, folder);
	struct indexes *next = look_at_level(held, folder, level, now);
	if (level > 0 && !table_images_are_whole(table, level, next)) {
		indexes_close(next);
		return;
	}
	if (next == NULL) {
		return;
	}
	store_lock_admin(
		state->store); /* a snapshot that is made may hold the one that was there */
	struct indexes *before = atomic_exchange(at, next);
	store_unlock_admin(state->store);
	if (before != NULL) {
		grace_wait(); /* who is inside may have loaded its address */
		indexes_close(before);
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
			if (local_state_check_opening(state, NULL) == STATUS_OK) {
				open_level(state, &held[i], level);
			}
		}
		background_let_go(store, held[i].table);
	}
	free(held);
}
