/* snapshot.c - snapshots: finding things in them, and making the next one. */
#include "daemon/store/snapshot/snapshot.h"

#include "daemon/store/index/indexes.h"
#include "daemon/store/log/positions.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/table_counts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum status snapshot_release(const struct snapshot *snapshot, const char *id,
	const struct release **out, struct error *err)
{
	if (id == NULL || strcmp(id, "live") == 0) {
		if (snapshot->live == NULL) {
			return error_set(err, STATUS_NOT_FOUND,
				"release: none is live; publish one or name one");
		}
		*out = snapshot->live;
		return STATUS_OK;
	}
	for (size_t i = 0; i < snapshot->release_count; i++) {
		if (strcmp(snapshot->releases[i]->id.text, id) == 0) {
			*out = snapshot->releases[i];
			return STATUS_OK;
		}
	}
	return error_set(err, STATUS_NOT_FOUND, "release: '%s' does not exist", id);
}

/* The number of the table with this name; if there is none, the number that it would have. */
static size_t find_table(const struct release *release, const char *name, bool *found)
{
	size_t low = 0;
	size_t high = release->table_count;
	*found = false;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const int order = strcmp(release->tables[middle]->spec.name.text, name);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

enum status release_table(const struct release *release, const char *name, const struct table **out,
	struct error *err)
{
	bool found;
	size_t i = find_table(release, name, &found);
	if (!found && release->layer.text[0] != '\0' && strlen(name) <= LIMIT_NAME_BYTES) {
		struct table_name chosen;
		(void)snprintf(chosen.text, sizeof chosen.text, "%s@%s", name, release->layer.text);
		i = find_table(release, chosen.text, &found);
	}
	if (!found) {
		return error_set(err, STATUS_NOT_FOUND, "table: '%s' is not in release '%s'", name,
			release->id.text);
	}
	*out = release->tables[i];
	return STATUS_OK;
}

struct release *snapshot_find(const struct snapshot *snapshot, uint64_t number)
{
	for (size_t i = 0; i < snapshot->release_count; i++) {
		if (snapshot->releases[i]->number == number) {
			return snapshot->releases[i];
		}
	}
	return NULL;
}

struct table *release_find(const struct release *release, uint64_t number)
{
	for (size_t i = 0; release != NULL && i < release->table_count; i++) {
		if (release->tables[i]->number == number) {
			return release->tables[i];
		}
	}
	return NULL;
}

/* ---- tables ---- */

struct table *table_new(const struct table_spec *spec, uint64_t number)
{
	struct table *table = calloc(1, sizeof *table);
	struct memtable *memtable = memtable_new();
	if (table == NULL || memtable == NULL) {
		free(table);
		memtable_drop(memtable);
		return NULL;
	}
	table->spec = *spec;
	table->number = number;
	table->next_file = 1;
	table->memtable = memtable;
	table->refs = 1;
	return table;
}

struct table *table_renew(const struct table *from)
{
	struct table *table = calloc(1, sizeof *table);
	assert(from->memtable->refs > 0);
	if (table == NULL || table_set_default(table, from->default_row) != STATUS_OK) {
		free(table);
		return NULL;
	}
	table->spec = from->spec;
	table->number = from->number;
	table->seed = from->seed;
	table->next_file = from->next_file;
	table->merged_to = from->merged_to;
	table->memtable = from->memtable;
	table->memtable->refs++;
	table->counts = table_counts_share(from->counts);
	table->refs = 1;
	return table;
}

enum status table_set_default(struct table *table, const struct default_row *row)
{
	struct default_row *copy = row == NULL ? NULL : default_row_copy(row);
	if (row != NULL && copy == NULL) {
		return STATUS_NO_MEMORY;
	}
	free(table->default_row);
	table->default_row = copy;
	return STATUS_OK;
}

void table_drop(struct table *table)
{
	if (table == NULL) {
		return;
	}
	assert(table->refs > 0);
	if (--table->refs > 0) {
		return;
	}
	indexes_close(atomic_load(&table->index));
	free(atomic_load(&table->filter));
	for (size_t i = 0; i < table->level_count; i++) {
		level_drop(table->levels[i]);
	}
	free(table->ended);
	free(table->default_row);
	memtable_drop(table->memtable);
	table_counts_drop(table->counts);
	free(table);
}

/* ---- releases ---- */

struct release *release_copy(const struct release *from)
{
	struct release *release = calloc(1, sizeof *release);
	if (release == NULL) {
		return NULL;
	}
	release->refs = 1;
	if (from == NULL) {
		release->positions = positions_new();
		if (release->positions == NULL) {
			free(release);
			return NULL;
		}
		return release;
	}
	struct table **tables = calloc(from->table_count + 1, sizeof *tables);
	if (tables == NULL || release_share_tensors(release, from) != STATUS_OK) {
		free(tables);
		free(release);
		return NULL;
	}
	struct tensor **tensors = release->tensors;
	*release = *from;
	release->refs = 1;
	release->tensors = tensors;
	release->tables = tables;
	release->positions = positions_share(from->positions);
	for (size_t i = 0; i < from->table_count; i++) {
		assert(from->tables[i]->refs > 0);
		tables[i] = from->tables[i];
		tables[i]->refs++;
	}
	return release;
}

void release_drop(struct release *release)
{
	if (release == NULL) {
		return;
	}
	assert(release->refs > 0);
	if (--release->refs > 0) {
		return;
	}
	for (size_t i = 0; i < release->table_count; i++) {
		table_drop(release->tables[i]);
	}
	release_drop_tensors(release);
	free(release->tables);
	positions_drop(release->positions);
	free(release);
}

enum status release_put(struct release *release, struct table *table)
{
	bool found;
	const size_t at = find_table(release, table->spec.name.text, &found);
	assert(release->refs ==
		1); /* no snapshot has it yet, or all readers would see the change */
	table->seed = release->seed;
	if (found) {
		table_drop(release->tables[at]);
		release->tables[at] = table;
		return STATUS_OK;
	}
	struct table **grown = realloc(release->tables, (release->table_count + 1) * sizeof *grown);
	if (grown == NULL) {
		table_drop(table);
		return STATUS_NO_MEMORY;
	}
	release->tables = grown;
	memmove(grown + at + 1, grown + at, (release->table_count - at) * sizeof *grown);
	grown[at] = table;
	release->table_count++;
	return STATUS_OK;
}

/* ---- snapshots ---- */

struct snapshot *snapshot_copy(const struct snapshot *from)
{
	struct snapshot *snapshot = calloc(1, sizeof *snapshot);
	if (snapshot == NULL) {
		return NULL;
	}
	*snapshot = *from;
	/* The live release is one of them. */
	assert(from->live == NULL || snapshot_find(from, from->live->number) == from->live);
	assert(from->history_count <= SNAPSHOT_HISTORY_MAX);
	snapshot->releases = calloc(from->release_count + 1, sizeof *snapshot->releases);
	if (snapshot->releases == NULL) {
		free(snapshot);
		return NULL;
	}
	for (size_t i = 0; i < from->release_count; i++) {
		assert(from->releases[i]->refs > 0);
		snapshot->releases[i] = from->releases[i];
		snapshot->releases[i]->refs++;
	}
	return snapshot;
}

void snapshot_drop(struct snapshot *snapshot)
{
	if (snapshot == NULL) {
		return;
	}
	for (size_t i = 0; i < snapshot->release_count; i++) {
		release_drop(snapshot->releases[i]);
	}
	free(snapshot->releases);
	free(snapshot);
}

enum status snapshot_put(struct snapshot *snapshot, struct release *release)
{
	for (size_t i = 0; i < snapshot->release_count; i++) {
		struct release *old = snapshot->releases[i];
		if (old->number == release->number) {
			snapshot->releases[i] = release;
			snapshot->live = snapshot->live == old ? release : snapshot->live;
			release_drop(old);
			return STATUS_OK;
		}
	}
	struct release **grown =
		realloc(snapshot->releases, (snapshot->release_count + 1) * sizeof *grown);
	if (grown == NULL) {
		release_drop(release);
		return STATUS_NO_MEMORY;
	}
	snapshot->releases = grown;
	grown[snapshot->release_count++] = release;
	return STATUS_OK;
}

void snapshot_remove(struct snapshot *snapshot, uint64_t number)
{
	assert(snapshot->live == NULL || snapshot->live->number != number);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		if (snapshot->releases[i]->number == number) {
			release_drop(snapshot->releases[i]);
			memmove(snapshot->releases + i, snapshot->releases + i + 1,
				(snapshot->release_count - i - 1) * sizeof *snapshot->releases);
			snapshot->release_count--;
			break;
		}
	}
	/* A release that was live before this one and after it would now follow itself. It is
	 * listed once, and a rollback does not lead to the live one. */
	size_t kept = 0;
	for (size_t i = 0; i < snapshot->history_count; i++) {
		const uint64_t at = snapshot->history[i];
		if (at != number && (kept == 0 || snapshot->history[kept - 1] != at)) {
			snapshot->history[kept++] = at;
		}
	}
	if (kept > 0 && snapshot->live != NULL &&
		snapshot->history[kept - 1] == snapshot->live->number) {
		kept--;
	}
	assert(kept <= snapshot->history_count);
	snapshot->history_count = kept;
}
