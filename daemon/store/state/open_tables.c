/* open_tables.c - opens the base files of tables. */
#include "daemon/store/state/state.h"

#include "daemon/store/base/base.h"
#include "daemon/store/snapshot/level.h"

#include <assert.h>

/* Opens the files of one level. */
static enum status open_level(struct store *store, const struct release *release,
	const struct table *table, struct level *level, struct error *err)
{
	char folder[PATH_MAX];
	store_release_folder(store, release->number, folder);
	const struct base_owner owner = {.release = release->number,
		.table = table->number,
		.seed = table->seed,
		.spec = table->spec};
	struct error damage = {0};
	const enum status status = base_set_open(folder, &owner, level->files, level->file_count,
		&level->set, &damage);
	if (status != STATUS_OK) {
		return error_set(err, status, "release '%s', table '%s': %s", release->id.text,
			table->spec.name.text, damage.text);
	}
	assert(level->set != NULL);
	assert(level->set->segment_count > 0); /* every hash has one */
	if (damage.status != STATUS_OK) {
		store_event(store, "event=damage release=%s table=%s reason=\"%s\"",
			release->id.text, table->spec.name.text, damage.text);
	}
	return STATUS_OK;
}

enum status store_open_table(struct store *store, const struct release *release,
	struct table *table, struct error *err)
{
	for (size_t i = 0; i < table->level_count; i++) {
		const enum status status =
			table->levels[i]->set != NULL
				? STATUS_OK
				: open_level(store, release, table, table->levels[i], err);
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
		status = store_open_table(store, release, release->tables[i], err);
	}
	return status;
}
