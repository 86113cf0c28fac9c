/* rows.c - writes rows into a request. The matrix is not copied: it is sent from the caller's
 * memory.
 */
#include "client/rows.h"

#include "client/hello.h"
#include "client/keys.h"
#include "client/reserved.h"
#include "schema/limits.h"

enum status rows_check(const struct rep_rows *rows, enum dtype dtype, struct error *err)
{
	enum status status = RESERVED_CHECK("rep_rows", rows, err);
	if (status == STATUS_OK) {
		status = keys_check(&rows->keys, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	if (rows->dtype != REP_DTYPE_TABLE && dtype_row_bytes(dtype, 1, 1) == 0) {
		return error_set(err, STATUS_BAD_REQUEST, "dtype: %d given", (int)rows->dtype);
	}
	if (dtype != DTYPE_NONE && (dtype == DTYPE_I8) != (rows->scales != NULL)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"scales: i8 rows need them, others have none");
	}
	const bool has_history = rows->history != 0;
	if (rows->history > LIMIT_HISTORY || has_history != (rows->history_counts != NULL) ||
		has_history != (rows->history_times != NULL)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"rep_rows: history (1 to %u), history_counts and history_times go together",
			LIMIT_HISTORY);
	}
	if (rows->keys.count > 0 && rows->rows == NULL) {
		return error_set(err, STATUS_BAD_REQUEST, "rows: none given for %u keys",
			rows->keys.count);
	}
	return STATUS_OK;
}

size_t rows_fields(const struct rep_rows *rows)
{
	return 2 + (size_t)(rows->dtype != REP_DTYPE_TABLE) + (size_t)(rows->scales != NULL) +
	       (size_t)(rows->times != NULL) + (size_t)(rows->tags != NULL) +
	       (size_t)(rows->weights != NULL) + (size_t)rows->allow_nonfinite +
	       (size_t)rows->any_time + (rows->history != 0 ? 2 : 0);
}

static void write_column(struct wire_writer *writer, const char *name, const void *data, size_t len)
{
	if (data != NULL) {
		wire_write_str(writer, name);
		wire_write_bin(writer, data, len);
	}
}

void rows_write(struct request *request, const struct rep_rows *rows, size_t rows_bytes,
	size_t lists)
{
	struct wire_writer *writer = &request->writer;
	size_t count = rows->keys.count;
	if (rows->dtype != REP_DTYPE_TABLE) {
		wire_write_str(writer, "dtype");
		wire_write_str(writer, dtype_name((enum dtype)rows->dtype));
	}
	if (rows->allow_nonfinite) {
		wire_write_str(writer, "allow_nonfinite");
		wire_write_bool(writer, true);
	}
	if (rows->any_time) {
		wire_write_str(writer, "any_time");
		wire_write_bool(writer, true);
	}
	wire_write_str(writer, "keys");
	keys_write(writer, &rows->keys, lists);
	write_column(writer, "scales", rows->scales, count * sizeof(float));
	write_column(writer, "times", rows->times, count * sizeof(int64_t));
	write_column(writer, "tags", rows->tags, count * sizeof(uint64_t));
	write_column(writer, "weights", rows->weights, count * sizeof(double));
	write_column(writer, "counts", rows->history_counts, count * sizeof(uint32_t));
	write_column(writer, "history_times", rows->history_times,
		count * rows->history * sizeof(int64_t));
	request->needs |= rows->history != 0 ? HELLO_HISTORY : 0;
	request_write_tail(request, "rows", (struct wire_bytes){rows->rows, rows_bytes});
}
