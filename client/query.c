/* query.c - a query's rows, or the keys of them, and what they go through. */
#include "client/query.h"

#include "client/hello.h"
#include "client/keys.h"
#include "client/reserved.h"
#include "schema/dtype.h"

static enum dtype dtype_of(const struct rep_query *query)
{
	return query->dtype == REP_DTYPE_TABLE ? DTYPE_F32 : (enum dtype)query->dtype;
}

static uint32_t views_of(const struct rep_query *query)
{
	return query->views == 0 ? 1 : query->views;
}

enum status query_check(const struct rep_query *query, struct error *err)
{
	const enum status status = RESERVED_CHECK("rep_query", query, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (query->max_age_ms != 0 && !query->has_max_age) {
		return error_set(err, STATUS_BAD_REQUEST,
			"query: max_age_ms given, has_max_age goes with it");
	}
	if ((query->missing != REP_MISSING_ZERO && query->missing != REP_MISSING_DEFAULT) ||
		(query->missing != REP_MISSING_ZERO && query->table == NULL)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"query: missing: %d given, %d and, with a table, %d allowed",
			(int)query->missing, REP_MISSING_ZERO, REP_MISSING_DEFAULT);
	}
	if (query->history_half_life_ms != 0 && query->table == NULL) {
		return error_set(err, STATUS_BAD_REQUEST,
			"query: history_half_life_ms given, it goes with a table");
	}
	if (query->table != NULL) {
		return keys_check(&query->keys, err);
	}
	const size_t row_bytes = dtype_row_bytes(dtype_of(query), query->dim, views_of(query));
	if (query->rows == NULL || row_bytes == 0 ||
		query->rows_bytes != row_bytes * query->keys.count) {
		return error_set(err, STATUS_BAD_REQUEST,
			"query: %zu bytes of rows given, %u of %zu expected, or a table",
			query->rows_bytes, query->keys.count, row_bytes);
	}
	if ((dtype_of(query) == DTYPE_I8) != (query->scales != NULL)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"scales: i8 rows need them, others have none");
	}
	return STATUS_OK;
}

size_t query_fields(const struct rep_query *query)
{
	return 1 + (query->through_count > 0 ? 1u : 0u) + (query->weights != NULL ? 1u : 0u);
}

static void write_rows(struct wire_writer *writer, const struct rep_query *query)
{
	wire_write_map(writer, 4 + (query->scales != NULL ? 1u : 0u));
	wire_write_str(writer, "dim");
	wire_write_uint(writer, query->dim);
	wire_write_str(writer, "views");
	wire_write_uint(writer, views_of(query));
	wire_write_str(writer, "dtype");
	wire_write_str(writer, dtype_name(dtype_of(query)));
	wire_write_str(writer, "rows");
	wire_write_bin(writer, query->rows, query->rows_bytes);
	if (query->scales != NULL) {
		wire_write_str(writer, "scales");
		wire_write_bin(writer, query->scales, query->keys.count * sizeof(float));
	}
}

void query_write(struct wire_writer *writer, const struct rep_query *query)
{
	wire_write_str(writer, "from");
	if (query->table == NULL) {
		write_rows(writer, query);
	} else {
		const bool defaults = query->missing == REP_MISSING_DEFAULT;
		wire_write_map(writer, 2 + (query->has_max_age ? 1u : 0u) + (defaults ? 1u : 0u) +
					       (query->history_half_life_ms != 0 ? 1u : 0u));
		wire_write_str(writer, "table");
		wire_write_str(writer, query->table);
		wire_write_str(writer, "keys");
		keys_write(writer, &query->keys, QUERY_KEY_LISTS);
		if (query->has_max_age) {
			wire_write_str(writer, "max_age_ms");
			wire_write_uint(writer, query->max_age_ms);
		}
		if (defaults) {
			wire_write_str(writer, "missing");
			wire_write_str(writer, "default");
		}
		if (query->history_half_life_ms != 0) {
			wire_write_str(writer, "history_half_life_ms");
			wire_write_uint(writer, query->history_half_life_ms);
		}
	}
	if (query->through_count > 0) {
		wire_write_str(writer, "through");
		wire_write_array(writer, query->through_count);
		for (size_t i = 0; i < query->through_count; i++) {
			wire_write_str(writer, query->through[i]);
		}
	}
	if (query->weights != NULL) {
		wire_write_str(writer, "weights");
		wire_write_bin(writer, query->weights, query->weights_count * sizeof(float));
	}
}

unsigned query_needs(const struct rep_query *query)
{
	return (query->missing == REP_MISSING_DEFAULT ? HELLO_FROM_MISSING : 0u) |
	       (query->history_half_life_ms != 0 ? HELLO_HISTORY : 0u);
}

bool query_read_defaulted(struct wire_value result, const struct rep_query *query,
	struct wire_bytes *out)
{
	*out = (struct wire_bytes){0};
	return query->missing != REP_MISSING_DEFAULT ||
	       (wire_bin(wire_get(result, "defaulted"), out) &&
		       out->len == (query->keys.count + 7u) / 8u);
}
