/* index_rows.c - reads rows of files by their number. */
#include "daemon/store/indexing/index_rows.h"

#include <assert.h>
#include <string.h>

enum status index_rows_open(struct index_rows *rows, const struct table *table, size_t level,
	size_t file)
{
	*rows = (struct index_rows){0};
	enum status status = rows_begin(&rows->rows, table, 0, 1);
	if (status == STATUS_OK) {
		rows->first_id = rows_first_base_id + rows_first_of(&rows->rows, level, file);
		/* A reader into f32 takes no memory, so this does not fail. */
		status = stored_reader_init(&rows->reader, &table->spec, DTYPE_F32, false);
	}
	return status;
}

void index_rows_close(struct index_rows *rows)
{
	stored_reader_fini(&rows->reader);
	rows_end(&rows->rows);
}

static void read_rows(void *arg, uint32_t first, uint32_t count, float *out)
{
	struct index_rows *rows = arg;
	const struct table_spec *spec = &rows->rows.table->spec;
	for (uint32_t i = 0; i < count; i++) {
		struct frame_row row;
		float *to = out + (size_t)i * spec->dim;
		if (rows_get(&rows->rows, rows->first_id + first + i, &row) == STATUS_OK) {
			const struct stored_row stored = {row.data, row.low, &row.scale};
			stored_read(&rows->reader, &stored, (uint8_t *)to, NULL);
		} else {
			/* A tombstone, which searches pass over; or build finds the damage later. */
			memset(to, 0, spec->dim * sizeof *to);
		}
	}
}

struct balls_source index_rows_source(struct index_rows *rows, uint64_t count)
{
	assert(count <= BALLS_ROWS_MAX); /* table_wants_index, table_wants_image */
	return (struct balls_source){
		.rows = (uint32_t)count,
		.dim = rows->rows.table->spec.dim,
		.read = read_rows,
		.arg = rows,
	};
}
