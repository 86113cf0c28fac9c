/* catalog_add.c - puts the catalog's records into a snapshot, one by one. */
#include "daemon/store/catalog/catalog_add.h"

#include "daemon/store/catalog/catalog.h"
#include "daemon/store/catalog/record.h"
#include "daemon/store/snapshot/level.h"

#include <inttypes.h>

static enum status add_release(const struct catalog_form *form, struct snapshot *snapshot,
	const uint64_t *numbers, struct wire_value value)
{
	struct release *release = release_copy(NULL);
	(void)form;
	enum status status =
		release == NULL ? STATUS_NO_MEMORY : record_read_release(value, release);
	if (status == STATUS_OK && release->number != numbers[0]) {
		status = STATUS_CORRUPT;
	}
	if (status != STATUS_OK) {
		release_drop(release);
		return status;
	}
	return snapshot_put(snapshot, release);
}

static enum status add_table(const struct catalog_form *form, struct snapshot *snapshot,
	const uint64_t *numbers, struct wire_value value)
{
	struct release *release = snapshot_find(snapshot, numbers[0]);
	struct table *table = NULL;
	const enum status status =
		release == NULL ? STATUS_CORRUPT : form->read_table(value, &table);
	return status == STATUS_OK ? release_put(release, table) : status;
}

static enum status add_file(const struct catalog_form *form, struct snapshot *snapshot,
	const uint64_t *numbers, struct wire_value value)
{
	struct table *table = release_find(snapshot_find(snapshot, numbers[0]), numbers[1]);
	struct base_file_info info;
	const enum status status = table == NULL ? STATUS_CORRUPT : form->read_file(value, &info);
	return status == STATUS_OK ? table_add_file(table, &info) : status;
}

static enum status add_tensor(const struct catalog_form *form, struct snapshot *snapshot,
	const uint64_t *numbers, struct wire_value value)
{
	struct release *release = snapshot_find(snapshot, numbers[0]);
	struct tensor *tensor = NULL;
	const enum status status =
		release == NULL ? STATUS_CORRUPT : form->read_tensor(value, &tensor);
	if (status == STATUS_OK && tensor->number != numbers[1]) {
		tensor_drop(tensor);
		return STATUS_CORRUPT;
	}
	return status == STATUS_OK ? release_put_tensor(release, tensor) : status;
}

const struct catalog_letter catalog_letters[CATALOG_LETTERS] = {
	{'r', 1, add_release},
	{'t', 2, add_table},
	{'f', 3, add_file},
	{'n', 2, add_tensor},
};
const struct catalog_form catalog_form = {
	.version = CATALOG_VERSION,
	.read_table = record_read_table,
	.read_file = record_read_file,
	.read_tensor = record_read_tensor,
};

enum status catalog_check_version(const struct catalog_form *form, uint32_t found,
	struct error *err)
{
	if (found == form->version) {
		return STATUS_OK;
	}
	const bool is_old = found == CATALOG_VERSION_0_1;
	return error_set(err, STATUS_UNSUPPORTED,
		"catalog: format version %" PRIu32 "%s, this build knows %" PRIu32 "%s", found,
		is_old ? " of repstored 0.1" : "", form->version,
		is_old ? ": repstored --upgrade DIR brings the folder to it" : "");
}

/* Whether the table has as many rows as its files, and deltas only above a base, which hide no more than there is. */
static bool is_sound(const struct table *table)
{
	uint64_t rows = 0;
	uint64_t hidden = 0;
	for (size_t i = 0; i < table->level_count; i++) {
		const struct level *level = table->levels[i];
		uint64_t of_level = 0;
		for (size_t j = 0; j < level->file_count; j++) {
			for (size_t k = 0; k < level->files[j].segment_count; k++) {
				of_level += level->files[j].segments[k].rows;
			}
		}
		if (level->deleted > of_level || (level->number == 0) != (i == 0) ||
			level->hides > rows - hidden) {
			return false;
		}
		rows += of_level - level->deleted;
		hidden += level->hides;
	}
	return rows == table->rows;
}

enum status catalog_check_rows(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			const struct table *table = release->tables[j];
			if (!is_sound(table)) {
				return STATUS_CORRUPT;
			}
		}
	}
	return STATUS_OK;
}
