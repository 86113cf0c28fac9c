/* scan_reply.c - how many rows to ask for at a time. */
#include "tools/command/scan_reply.h"

#include <stddef.h>

enum {
	REPLY_BYTES = 4 << 20,
	REPLY_ROWS_MAX = 65536,
};

uint32_t scan_reply_rows(const struct rep_table_spec *spec)
{
	size_t row_bytes = rep_row_bytes(spec->dtype, spec->dim, spec->views);
	size_t rows = row_bytes > 0 ? REPLY_BYTES / row_bytes : 1;
	if (rows > REPLY_ROWS_MAX) {
		return REPLY_ROWS_MAX;
	}
	return rows > 0 ? (uint32_t)rows : 1;
}
