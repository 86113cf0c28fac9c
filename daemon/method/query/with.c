/* with.c - looks the keys up in each table; the rows go straight into the reply. */
#include "daemon/method/query/with.h"

#include <assert.h>

#include "daemon/method/call/call.h"
#include "daemon/method/call/reply.h"
#include "daemon/search/expect.h"
#include "daemon/store/read/lookup.h"

enum {
	/* What a map has beside its bins: at most 8 names of at most 6 bytes, the name of a table,
	 * heads and numbers. */
	TABLE_HEAD_BYTES = 384,
};

/* Finds table i by its name, and checks that it can come along. */
static void find_table(struct with *with, struct params *params, const struct query_place *place,
	size_t i, const char *name)
{
	const struct table_spec *items = &place->at.items->spec;
	struct error reason;
	const enum status status = release_table(place->release, name, &with->tables[i], &reason);
	if (status != STATUS_OK) {
		params->status = error_set(params->err, status, "with[%zu]: %s", i, reason.text);
		return;
	}
	const struct table_spec *spec = &with->tables[i]->spec;
	if (spec->key_type != items->key_type) {
		params_fail(params, STATUS_BAD_REQUEST, "with",
			"table '%s' has %s for keys, '%s' has %s", spec->name.text,
			key_type_name(spec->key_type), items->name.text,
			key_type_name(items->key_type));
	} else if (spec->history != 0) {
		params_fail(params, STATUS_BAD_REQUEST, "with",
			"table '%s' has histories, which fetch brings", spec->name.text);
	}
}

enum status with_read(struct with *with, struct params *params, const struct query_place *place)
{
	*with = (struct with){0};
	struct wire_value names = params_value(params, "with", PARAM_OPTIONAL);
	if (params->status != STATUS_OK || names.object == NULL) {
		return params->status;
	}
	const size_t count = wire_size(names);
	if (wire_type(names) != WIRE_ARRAY || count > LIMIT_WITH) {
		params_fail(params, STATUS_BAD_REQUEST, "with",
			"an array of at most %u names of tables expected", LIMIT_WITH);
	}
	for (size_t i = 0; i < count && params->status == STATUS_OK; i++) {
		struct wire_bytes text;
		struct table_name name;
		if (!wire_str(wire_item(names, i), &text)) {
			params_fail(params, STATUS_BAD_REQUEST, "with", "entry %zu is no str", i);
			break;
		}
		params->status = table_name_check((const char *)text.data, text.len, "with", &name,
			params->err);
		if (params->status == STATUS_OK) {
			find_table(with, params, place, i, name.text);
		}
		with->count = i + 1;
		assert(with->count <= LIMIT_WITH);
	}
	return params->status;
}

static size_t stride_of(const struct table *table)
{
	return dtype_row_bytes(table->spec.dtype, table->spec.dim, table->spec.views);
}

uint64_t with_cost(const struct with *with, uint64_t keys)
{
	uint64_t ns = 0;
	for (size_t i = 0; i < with->count; i++) {
		const struct table *table = with->tables[i];
		ns += COST_PART_NS + expect_rows_ns(table, table->spec.dtype, keys);
	}
	return ns;
}

size_t with_bytes(const struct with *with, uint32_t keys)
{
	size_t bytes = 16;
	for (size_t i = 0; i < with->count; i++) {
		const struct table *table = with->tables[i];
		const size_t scale = table->spec.dtype == DTYPE_I8 ? sizeof(float) : 0;
		bytes += TABLE_HEAD_BYTES + keys * (stride_of(table) + scale) + (keys + 7) / 8;
	}
	return bytes;
}

static enum status write_table(const struct table *table, const struct query_place *place,
	const struct keys *keys)
{
	enum { ALWAYS = 8 };
	struct wire_writer *out = place->call->out;
	const struct table_spec *spec = &table->spec;
	const bool has_scales = spec->dtype == DTYPE_I8;
	struct lookup lookup = {
		.table = table,
		.keys = *keys,
		.dtype = spec->dtype,
		.visible = place->at.visible,
		.now_ms = place->at.now_ms,
		.may_block = place->call->may_block,
		.stop = call_stop(place->call),
	};
	wire_write_map(out, ALWAYS + (has_scales ? 1u : 0u));
	reply_str(out, "table", spec->name.text);
	reply_uint(out, "n", keys->count);
	reply_uint(out, "dim", spec->dim);
	reply_uint(out, "views", spec->views);
	reply_str(out, "dtype", dtype_name(spec->dtype));
	reply_uint(out, "stride", stride_of(table));
	wire_write_str(out, "found");
	lookup.found = wire_write_bin_space(out, (keys->count + 7u) / 8u);
	wire_write_str(out, "rows");
	lookup.rows = wire_write_bin_space(out, keys->count * stride_of(table));
	if (has_scales) {
		wire_write_str(out, "scales");
		lookup.scales = wire_write_bin_space(out, keys->count * sizeof(float));
	}
	return out->status == STATUS_OK ? table_lookup(&lookup, &place->call->error)
					: reply_end(place->call);
}

enum status with_write(const struct with *with, const struct query_place *place,
	const struct keys *keys)
{
	enum status status = STATUS_OK;
	const size_t before = place->call->out->len;
	wire_write_array(place->call->out, with->count);
	for (size_t i = 0; status == STATUS_OK && i < with->count; i++) {
		status = write_table(with->tables[i], place, keys);
	}
	assert(status != STATUS_OK ||
		place->call->out->len - before <= with_bytes(with, keys->count));
	return status;
}
