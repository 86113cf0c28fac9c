/* open_tables.c - opens the base files of tables. */
#include "daemon/store/state/state.h"

#include "daemon/store/base/base.h"

#include <assert.h>

enum status store_open_table(struct store *store, const struct release *release,
	struct table *table, struct error *err)
{
	char folder[PATH_MAX];
	if (table->bases != NULL || table->file_count == 0) {
		return STATUS_OK;
	}
	store_release_folder(store, release->number, folder);
	const struct base_owner owner = {.release = release->number,
		.table = table->number,
		.seed = table->seed,
		.spec = table->spec};
	struct error damage = {0};
	const enum status status = base_set_open(folder, &owner, table->files, table->file_count,
		&table->bases, &damage);
	if (status != STATUS_OK) {
		return error_set(err, status, "release '%s', table '%s': %s", release->id.text,
			table->spec.name.text, damage.text);
	}
	assert(table->bases != NULL);
	assert(table->bases->segment_count > 0); /* every hash has one */
	if (damage.status != STATUS_OK) {
		store_event(store, "event=damage release=%s table=%s reason=\"%s\"",
			release->id.text, table->spec.name.text, damage.text);
	}
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
