/* load_ended.c - the loads that the catalog knows to be whole, so that the loss of a file is seen. */
#include "daemon/store/load/load_ended.h"
#include "daemon/store/admin/change.h"
#include "daemon/store/spill/spilled.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const struct ended_load *table_find_ended(const struct table *table, const char *name)
{
	for (size_t i = 0; i < table->ended_count; i++) {
		if (strcmp(table->ended[i].load.text, name) == 0) {
			return &table->ended[i];
		}
	}
	return NULL;
}

static void assert_locked(const struct store *store)
{
	lock_assert_held(&store->admin_lock);
	lock_assert_held(&store->load_lock);
	(void)store;
}

const struct ended_load *load_find_ended(struct store *store, const struct base_owner *owner,
	const char *name)
{
	assert_locked(store);
	const struct table *table =
		release_find(snapshot_find(store_current(store), owner->release), owner->table);
	return table == NULL ? NULL : table_find_ended(table, name);
}

/* A copy of an open release's table without this load in its list, and room for one more. */
static struct table *copy_without(const struct table *from, const char *name)
{
	struct table *table = table_renew(from);
	if (table == NULL) {
		return NULL;
	}
	table->ended = calloc(from->ended_count + 1, sizeof *table->ended);
	if (table->ended == NULL) {
		table_drop(table);
		return NULL;
	}
	for (size_t i = 0; i < from->ended_count; i++) {
		if (strcmp(from->ended[i].load.text, name) != 0) {
			table->ended[table->ended_count++] = from->ended[i];
		}
	}
	return table;
}

/* Makes `table` part of its release, durably. Takes it over. NULL is NO_MEMORY. */
static enum status put_table(struct store *store, const struct base_owner *owner,
	struct table *table, struct error *err)
{
	struct release *release =
		table == NULL ? NULL
			      : release_copy(snapshot_find(store_current(store), owner->release));
	if (release == NULL) {
		table_drop(table);
	} else if (release_put(release, table) != STATUS_OK) {
		release_drop(release);
		release = NULL;
	}
	return change_release(store, release, NULL, err);
}

enum status load_put_ended(struct store *store, const struct base_owner *owner,
	const struct ended_load *ended, struct error *err)
{
	assert_locked(store);
	const struct release *release = snapshot_find(store_current(store), owner->release);
	assert(release != NULL); /* it is open, and stays while the locks are held */
	assert(release->state == RELEASE_OPEN);
	struct table *table = copy_without(release_find(release, owner->table), ended->load.text);
	if (table != NULL) {
		table->ended[table->ended_count++] = *ended;
	}
	return put_table(store, owner, table, err);
}

enum status load_remove_ended(struct store *store, const struct base_owner *owner, const char *name,
	struct error *err)
{
	assert_locked(store);
	const struct release *release = snapshot_find(store_current(store), owner->release);
	assert(release != NULL);
	assert(release->state == RELEASE_OPEN);
	return put_table(store, owner, copy_without(release_find(release, owner->table), name),
		err);
}

/* ---- before a seal ---- */

static enum status check_ended(struct store *store, const struct release *release,
	const struct table *table, const struct ended_load *ended, struct error *err)
{
	const struct load *load =
		load_find(store, release->number, table->number, ended->load.text);
	if (load == NULL || load->synced.rows != ended->rows ||
		load->synced.next_chunk != ended->chunks) {
		return error_set(err, STATUS_CORRUPT,
			"load: '%s' of table '%s' ended with %" PRIu64 " rows, %" PRIu64
			" are on disk; abort it and load again",
			ended->load.text, table->spec.name.text, ended->rows,
			load == NULL ? 0 : load->synced.rows);
	}
	return STATUS_OK;
}

static enum status check_load(const struct release *release, const struct load *load,
	struct error *err)
{
	const struct table *table = release_find(release, load->spill.owner.table);
	const enum status status = load_check_damage(load, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (!load->spill.ended || table == NULL ||
		table_find_ended(table, load->name.text) == NULL) {
		return error_set(err, STATUS_CONFLICT,
			"load: '%s' of table '%s' has not ended (%" PRIu64 " chunks, %" PRIu64
			" rows); end or abort it first",
			load->name.text, load->table_name.text, load->synced.next_chunk,
			load->synced.rows);
	}
	return STATUS_OK;
}

enum status loads_check(struct store *store, const struct release *release, struct error *err)
{
	enum status status = STATUS_OK;
	assert_locked(store);
	assert(release->state == RELEASE_OPEN);
	for (const struct load *load = store->loads; status == STATUS_OK && load != NULL;
		load = load->next) {
		if (load->spill.owner.release == release->number) {
			status = check_load(release, load, err);
		}
	}
	for (size_t i = 0; i < release->table_count; i++) {
		const struct table *table = release->tables[i];
		for (size_t j = 0; status == STATUS_OK && j < table->ended_count; j++) {
			status = check_ended(store, release, table, &table->ended[j], err);
		}
	}
	return status;
}
