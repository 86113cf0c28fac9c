/* old_catalog.c - puts the records of an old catalog into a snapshot. */
#include "daemon/store/upgrade/old_catalog.h"

#include "daemon/store/catalog/catalog.h"
#include "daemon/store/catalog/record.h"
#include "daemon/store/snapshot/level.h"

static enum status add_release(struct snapshot *snapshot, const uint64_t *numbers,
	struct wire_value value)
{
	return catalog_letters[0].add(snapshot, numbers, value);
}

static enum status add_table(struct snapshot *snapshot, const uint64_t *numbers,
	struct wire_value value)
{
	struct release *release = snapshot_find(snapshot, numbers[0]);
	struct table *table = NULL;
	const enum status status =
		release == NULL ? STATUS_CORRUPT : record_read_old_table(value, &table);
	return status == STATUS_OK ? release_put(release, table) : status;
}

/* Adding it raises the table's next_file. */
static enum status add_file(struct snapshot *snapshot, const uint64_t *numbers,
	struct wire_value value)
{
	struct table *table = release_find(snapshot_find(snapshot, numbers[0]), numbers[1]);
	struct base_file_info info;
	const enum status status =
		table == NULL ? STATUS_CORRUPT : record_read_old_file(value, &info);
	/* 0.1 wrote none of these. */
	if (status == STATUS_OK &&
		(info.delta != 0 || info.segment_count == 0 || info.number > UINT32_MAX)) {
		base_file_info_fini(&info);
		return STATUS_CORRUPT;
	}
	return status == STATUS_OK ? table_add_file(table, &info) : status;
}

static enum status add_tensor(struct snapshot *snapshot, const uint64_t *numbers,
	struct wire_value value)
{
	struct release *release = snapshot_find(snapshot, numbers[0]);
	struct tensor *tensor = NULL;
	const enum status status =
		release == NULL ? STATUS_CORRUPT : record_read_old_tensor(value, &tensor);
	if (status == STATUS_OK && tensor->number != numbers[1]) {
		tensor_drop(tensor);
		return STATUS_CORRUPT;
	}
	return status == STATUS_OK ? release_put_tensor(release, tensor) : status;
}

static const struct catalog_letter letters[CATALOG_LETTERS] = {
	{'r', 1, add_release},
	{'t', 2, add_table},
	{'f', 3, add_file},
	{'n', 2, add_tensor},
};
const struct catalog_form old_catalog_form = {CATALOG_VERSION_0_1, letters};
