/* old_catalog.c - how the records of an old catalog are read. */
#include "daemon/store/upgrade/old_catalog.h"

#include "daemon/store/catalog/catalog.h"
#include "daemon/store/catalog/record.h"
#include "daemon/store/snapshot/level.h"

static enum status read_file(struct wire_value value, struct base_file_info *out)
{
	const enum status status = record_read_old_file(value, out);
	/* 0.1 wrote none of these. */
	if (status == STATUS_OK &&
		(out->delta != 0 || out->segment_count == 0 || out->number > UINT32_MAX)) {
		base_file_info_fini(out);
		return STATUS_CORRUPT;
	}
	return status;
}

const struct catalog_form old_catalog_form = {
	.version = CATALOG_VERSION_0_1,
	.read_table = record_read_old_table,
	.read_file = read_file,
	.read_tensor = record_read_old_tensor,
};
