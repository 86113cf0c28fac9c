/* local_snapshot.c - makes snapshots of what DATA/current names, and frees those that nobody sees any more.
 *
 * DATA/current is whole: a snapshot is read from it anew each time, and then takes over from the one before all that did
 * not change: tables with their states, levels, open files, tensors, and memtables.
 */
#include "daemon/local/local_state.h"

#include "daemon/store/catalog/current.h"
#include "daemon/store/index/index.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/table_counts.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/file.h"
#include "daemon/store/tensor/tensor.h"
#include "schema/limits.h"

#include <assert.h>
#include <stdlib.h>

/* ---- DATA/current ---- */

enum status local_snapshot_read(struct local_state *state, struct snapshot **out, struct error *err)
{
	char path[PATH_MAX];
	uint8_t *data = NULL;
	size_t len = 0;
	enum status status = file_path(path, state->store->folder, "current", err);
	if (status == STATUS_OK) {
		status = file_read_all(path, LIMIT_MESSAGE_BYTES, &data, &len, err);
	}
	if (status == STATUS_OK) {
		status = current_parse(data, len, out, err);
		free(data);
	}
	if (status == STATUS_OK) {
		atomic_fetch_add(&state->snapshots, 1);
	}
	return status;
}

/* Whether DATA/current has another state by now. */
static bool is_replaced(struct local_state *state, const struct snapshot *snapshot)
{
	uint64_t sequence = 0;
	return current_read_sequence(state->store->folder, &sequence, NULL) == STATUS_OK &&
	       sequence != snapshot->sequence;
}

uint64_t local_snapshot_merged_to(const struct snapshot *snapshot)
{
	uint64_t most = 0;
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			const uint64_t merged_to = release->tables[j]->merged_to;
			most = merged_to > most ? merged_to : most;
		}
	}
	return most;
}

bool local_snapshot_has_new(const struct snapshot *next, const struct snapshot *now)
{
	bool has_new = false;
	for (size_t i = 0; !has_new && i < next->release_count; i++) {
		const struct release *release = next->releases[i];
		const struct release *before = snapshot_find(now, release->number);
		has_new = release->state == RELEASE_SEALED &&
			  (before == NULL || before->state != RELEASE_SEALED);
	}
	return has_new;
}

/* ---- what both snapshots have ---- */

static bool is_same_level(const struct level *a, const struct level *b)
{
	bool same = a->number == b->number && a->file_count == b->file_count;
	for (size_t i = 0; same && i < a->file_count; i++) {
		same = a->files[i].number == b->files[i].number;
	}
	return same;
}

/* Returns whether the tables have the same levels now. */
static bool share_levels(struct table *table, const struct table *before)
{
	size_t same = 0;
	for (size_t i = 0; i < table->level_count; i++) {
		for (size_t j = 0; j < before->level_count; j++) {
			if (is_same_level(table->levels[i], before->levels[j])) {
				level_drop(table->levels[i]);
				table->levels[i] = before->levels[j];
				table->levels[i]->refs++;
				same++;
				break;
			}
		}
	}
	return same == table->level_count && same == before->level_count;
}

static void share_memtable(struct table *table, const struct table *before)
{
	memtable_drop(table->memtable);
	table->memtable = before->memtable;
	table->memtable->refs++;
}

static void share_tables(struct release *release, const struct release *before,
	enum local_share share)
{
	for (size_t i = 0; i < release->table_count; i++) {
		struct table *table = release->tables[i];
		struct table *old = release_find(before, table->number);
		if (old == NULL) {
			continue;
		}
		const bool same_levels = share_levels(table, old);
		table_share_indexes(table, old);
		if (share == LOCAL_SHARE_FILES) {
			continue;
		}
		if (same_levels && table->merged_to == old->merged_to &&
			release->state == before->state) {
			table_drop(table);
			release->tables[i] = old;
			old->refs++;
		} else {
			share_memtable(table, old);
		}
	}
}

static void share_tensors(struct release *release, const struct release *before)
{
	for (size_t i = 0; i < release->tensor_count; i++) {
		for (size_t j = 0; j < before->tensor_count; j++) {
			if (release->tensors[i]->number == before->tensors[j]->number) {
				tensor_drop(release->tensors[i]);
				release->tensors[i] = before->tensors[j];
				release->tensors[i]->refs++;
				break;
			}
		}
	}
}

/* ---- files ---- */

/* Whether a file of the table could not be opened. */
static bool has_lost(const struct table *table)
{
	bool lost = false;
	for (size_t i = 0; i < table->level_count; i++) {
		const struct base_set *set = table->levels[i]->set;
		for (size_t j = 0; set != NULL && j < set->segment_count; j++) {
			lost = lost || set->segments[j]->pages == NULL;
		}
	}
	return lost;
}

static enum status open_release(struct local_state *state, struct release *release,
	const struct release *before, bool *lost, struct error *err)
{
	struct store *store = state->store;
	enum status status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < release->table_count; i++) {
		struct table *table = release->tables[i];
		const struct table *old = release_find(before, table->number);
		if (table == old) {
			continue;
		}
		status = local_state_check_opening(state, err);
		if (status == STATUS_OK) {
			status = store_open_table(store, release, table, old, err);
		}
		if (status == STATUS_OK) {
			*lost = *lost || has_lost(table);
		}
	}
	return status;
}

enum status local_snapshot_open(struct local_state *state, struct snapshot *next,
	const struct snapshot *before, enum local_share share, struct error *err)
{
	struct store *store = state->store;
	bool lost = false;
	store_lock_admin(store);
	for (size_t i = 0; before != NULL && i < next->release_count; i++) {
		const struct release *old = snapshot_find(before, next->releases[i]->number);
		if (old != NULL) {
			share_tables(next->releases[i], old, share);
			share_tensors(next->releases[i], old);
		}
	}
	enum status status = table_counts_give(&store->table_counts, next);
	store_unlock_admin(store);
	if (status != STATUS_OK) {
		return error_set(err, status, "open the tables");
	}
	for (size_t i = 0; status == STATUS_OK && i < next->release_count; i++) {
		struct release *release = next->releases[i];
		const struct release *old =
			before == NULL ? NULL : snapshot_find(before, release->number);
		if (release->state == RELEASE_SEALED) {
			status = open_release(state, release, old, &lost, err);
		}
	}
	if (status == STATUS_OK && lost && is_replaced(state, next)) {
		atomic_fetch_add(&state->retries, 1);
		return error_set(err, STATUS_AGAIN, "files of 'current' are gone");
	}
	return status;
}

/* ---- publish, and free what was before ---- */

static size_t count_tables(const struct snapshot *snapshot)
{
	size_t count = 0;
	for (size_t i = 0; i < snapshot->release_count; i++) {
		count += snapshot->releases[i]->table_count;
	}
	return count;
}

bool local_snapshot_publish(struct local_state *state, struct snapshot *next)
{
	struct store *store = state->store;
	struct snapshot *before = atomic_load(&store->current);
	struct local_retired *retired = calloc(1, sizeof *retired);
	struct generation **freed = calloc(count_tables(next) + 1, sizeof(struct generation *));
	assert(state->step == LOCAL_SETTLED);
	if (retired == NULL || freed == NULL) {
		free(retired);
		free(freed);
		return false;
	}
	atomic_store_explicit(&store->current, next, memory_order_release);
	state->freed = freed;
	state->step = LOCAL_PUBLISHED;
	state->step_grace = grace_begin();
	retired->snapshot = before;
	retired->grace = state->step_grace;
	struct local_retired **last = &state->retired;
	while (*last != NULL) {
		last = &(*last)->next;
	}
	*last = retired;
	return true;
}

/* Takes out of a memtable what the files of its table have. */
static void take_out(struct local_state *state, const struct table *table)
{
	struct memtable *memtable = table->memtable;
	/* Twice: what is active becomes frozen, where nothing is. */
	for (unsigned i = 0; i < 2; i++) {
		if (!memtable_is_frozen(memtable) &&
			memtable_has_left(memtable, table->merged_to)) {
			(void)memtable_freeze(memtable, atomic_load(&state->store->visible));
		}
		if (memtable_is_frozen(memtable) &&
			memtable_frozen_last(memtable) <= table->merged_to) {
			state->freed[state->freed_count++] = memtable_take_frozen(memtable);
			return;
		}
	}
}

static void settle(struct local_state *state)
{
	const struct snapshot *snapshot = atomic_load(&state->store->current);
	if (state->step == LOCAL_SETTLED || !grace_is_over(state->step_grace)) {
		return;
	}
	if (state->step == LOCAL_PUBLISHED) {
		for (size_t i = 0; i < snapshot->release_count; i++) {
			const struct release *release = snapshot->releases[i];
			for (size_t j = 0; j < release->table_count; j++) {
				take_out(state, release->tables[j]);
			}
		}
		state->step = LOCAL_TAKEN_OUT;
		state->step_grace = grace_begin();
		return;
	}
	for (size_t i = 0; i < state->freed_count; i++) {
		generation_free(state->freed[i]);
	}
	free(state->freed);
	state->freed = NULL;
	state->freed_count = 0;
	state->step = LOCAL_SETTLED;
}

void local_snapshot_reclaim(struct local_state *state)
{
	struct store *store = state->store;
	settle(state);
	struct local_retired **at = &state->retired;
	while (*at != NULL) {
		struct local_retired *retired = *at;
		if (!grace_is_over(retired->grace) || store_is_pinned(store, retired->snapshot)) {
			at = &retired->next;
			continue;
		}
		*at = retired->next;
		store_lock_admin(store);
		snapshot_drop(retired->snapshot);
		store_unlock_admin(store);
		free(retired);
	}
}

bool local_snapshot_is_settling(const struct local_state *state)
{
	return state->step != LOCAL_SETTLED;
}

void local_snapshot_free_all(struct local_state *state)
{
	for (size_t i = 0; i < state->freed_count; i++) {
		generation_free(state->freed[i]);
	}
	free(state->freed);
	while (state->retired != NULL) {
		struct local_retired *retired = state->retired;
		state->retired = retired->next;
		snapshot_drop(retired->snapshot);
		free(retired);
	}
	snapshot_drop(atomic_load(&state->store->current));
}
