/* open_tables.c - opens the base files of tables. */
#include "daemon/store/state/state.h"

#include "daemon/store/base/base.h"
#include "daemon/store/snapshot/level.h"

#include <assert.h>

/* The level that `from` has open in the place of one, or NULL. */
static const struct base_set *set_before(const struct table *from, const struct level *level)
{
	for (size_t i = 0; from != NULL && i < from->level_count; i++) {
		if (from->levels[i]->number == level->number) {
			return from->levels[i]->set;
		}
	}
	return NULL;
}

/* Opens the files of one level; `from` may have some of them open. */
static enum status open_level(struct store *store, const struct release *release,
	const struct table *table, struct level *level, const struct table *from, struct error *err)
{
	const struct base_set *before = set_before(from, level);
	char folder[PATH_MAX];
	store_release_folder(store, release->number, folder);
	const struct base_owner owner = {.release = release->number,
		.table = table->number,
		.seed = table->seed,
		.spec = table->spec};
	struct error damage = {0};
	const enum status status = before == NULL
					   ? base_set_open(folder, &owner, level->files,
						     level->file_count, &level->set, &damage)
					   : base_set_renew(folder, before, level->files,
						     level->file_count, &level->set, &damage);
	if (status != STATUS_OK) {
		return error_set(err, status, "release '%s', table '%s': %s", release->id.text,
			table->spec.name.text, damage.text);
	}
	assert(level->set != NULL);
	assert(level->set->segment_count > 0); /* there is no level without */
	if (damage.status != STATUS_OK) {
		store_event(store, "event=damage release=%s table=%s reason=\"%s\"",
			release->id.text, table->spec.name.text, damage.text);
	}
	return STATUS_OK;
}

enum status store_open_table(struct store *store, const struct release *release,
	struct table *table, const struct table *from, struct error *err)
{
	for (size_t i = 0; i < table->level_count; i++) {
		const enum status status =
			table->levels[i]->set != NULL
				? STATUS_OK
				: open_level(store, release, table, table->levels[i], from, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	table->bases = table->level_count == 0 ? NULL : table->levels[0]->set;
	return STATUS_OK;
}

enum status store_open_bases(struct store *store, struct release *release, struct error *err)
{
	enum status status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < release->table_count; i++) {
		status = store_open_table(store, release, release->tables[i], NULL, err);
	}
	return status;
}
