/* record.c - reads descriptions of releases, tables and tensors. */
#include "client/record.h"

#include "client/field.h"
#include "schema/spec.h"
#include "schema/tensor.h"

#include <assert.h>
#include <string.h>

static_assert(sizeof((struct rep_table_spec *)0)->name > LIMIT_TABLE_NAME_BYTES, "name");
static_assert(sizeof((struct rep_release *)0)->id == RECORD_RELEASE_BYTES, "id");
static_assert(sizeof((struct rep_release *)0)->id > LIMIT_NAME_BYTES, "id");
static_assert(sizeof((struct rep_release *)0)->model > LIMIT_LABEL_BYTES, "model");

/* An optional time: 0 when it is not there. */
static bool read_time(struct wire_value map, const char *name, int64_t *out)
{
	return wire_type(wire_get(map, name)) == WIRE_ABSENT || field_int(map, name, out);
}

/* A number that an older daemon does not send: 0 then. */
static bool read_later(struct wire_value map, const char *name, uint64_t *out)
{
	return wire_type(wire_get(map, name)) == WIRE_ABSENT || field_uint(map, name, out);
}

/* An older daemon does not say whether its rows are exact: those of a table without deltas are. */
static bool read_at_most(struct wire_value map, uint64_t deltas, uint64_t *out)
{
	const struct wire_value exact = wire_get(map, "rows_exact");
	bool is_exact = deltas == 0;
	if (wire_type(exact) != WIRE_ABSENT && !wire_bool(exact, &is_exact)) {
		return false;
	}
	*out = !is_exact;
	return true;
}

enum status record_read_release(struct wire_value map, void *out, struct error *err)
{
	struct rep_release release = {0};
	if (!field_text(map, "release", release.id, sizeof release.id) ||
		!field_text(map, "model", release.model, sizeof release.model) ||
		!field_text(map, "checkpoint", release.checkpoint, sizeof release.checkpoint) ||
		!field_text(map, "state", release.state, sizeof release.state) ||
		!field_uint(map, "number", &release.number) ||
		!field_int(map, "created_ms", &release.created_ms) ||
		!read_time(map, "sealed_ms", &release.sealed_ms) ||
		!read_time(map, "published_ms", &release.published_ms) ||
		!field_uint(map, "tables", &release.tables) ||
		!field_uint(map, "rows", &release.rows) ||
		!read_at_most(map, 0, &release.rows_at_most) ||
		!field_uint(map, "bytes", &release.bytes) ||
		!read_later(map, "tensors", &release.tensors) ||
		!read_later(map, "tensor_bytes", &release.tensor_bytes)) {
		return error_set(err, STATUS_PROTOCOL, "a release is described in an unknown way");
	}
	memcpy(out, &release, sizeof release);
	return STATUS_OK;
}

enum status record_read_table(struct wire_value map, void *out, struct error *err)
{
	struct table_spec spec = {0};
	struct rep_table table = {0};
	if (spec_read(map, SPEC_STORED, &spec, NULL) != STATUS_OK ||
		!field_uint(map, "rows", &table.rows) || !field_uint(map, "bytes", &table.bytes) ||
		!field_uint(map, "segments", &table.segments) ||
		!field_uint(map, "damaged", &table.damaged) ||
		!read_later(map, "pending", &table.pending) ||
		!read_later(map, "deltas", &table.deltas) ||
		!read_at_most(map, table.deltas, &table.rows_at_most) ||
		!read_later(map, "delta_bytes", &table.delta_bytes) ||
		!read_later(map, "image_bytes", &table.image_bytes) ||
		!read_later(map, "index_bytes", &table.index_bytes) ||
		!read_later(map, "index_build_ms", &table.index_build_ms)) {
		return error_set(err, STATUS_PROTOCOL, "a table is described in an unknown way");
	}
	memcpy(table.spec.name, spec.name.text, sizeof spec.name.text);
	table.spec.entity = (enum rep_entity)spec.entity;
	table.spec.kind = (enum rep_kind)spec.kind;
	table.spec.dtype = (enum rep_dtype)spec.dtype;
	table.spec.key_type = (enum rep_key_type)spec.key_type;
	table.spec.dim = spec.dim;
	table.spec.views = spec.views;
	table.spec.ttl_ms = spec.ttl_ms;
	table.spec.tags = spec.tags;
	table.spec.index = (enum rep_index)spec.index;
	table.spec.decay_events = spec.decay_events;
	table.spec.half_life_ms = spec.half_life_ms;
	table.spec.reading = (enum rep_reading)spec.reading;
	table.spec.state = (enum rep_state)spec.state;
	table.spec.default_kind = (enum rep_default)spec.default_kind;
	table.spec.history = spec.history;
	memcpy(out, &table, sizeof table);
	return STATUS_OK;
}

enum status record_read_tensor(struct wire_value map, void *out, struct error *err)
{
	struct tensor_spec spec;
	struct rep_tensor tensor = {0};
	if (tensor_spec_read(map, &spec, NULL) != STATUS_OK) {
		return error_set(err, STATUS_PROTOCOL, "a tensor is described in an unknown way");
	}
	memcpy(tensor.name, spec.name.text, sizeof spec.name.text);
	tensor.dtype = (enum rep_tensor_dtype)spec.dtype;
	tensor.dims = spec.dims;
	for (uint32_t i = 0; i < spec.dims; i++) {
		tensor.shape[i] = spec.shape[i];
	}
	tensor.bytes = tensor_bytes(&spec);
	memcpy(out, &tensor, sizeof tensor);
	return STATUS_OK;
}

void record_begin_table(rep_client *client, const char *release, const char *table)
{
	struct wire_writer *writer = client_begin(client, "table.show", release != NULL ? 2 : 1);
	if (release != NULL) {
		wire_write_str(writer, "release");
		wire_write_str(writer, release);
	}
	wire_write_str(writer, "table");
	wire_write_str(writer, table);
}

enum status record_show_table(rep_client *client, const char *release, const char *table,
	struct rep_table *out, char *resolved, struct error *err)
{
	record_begin_table(client, release, table);
	struct reply reply = {0};
	enum status status =
		client_call(client, CLIENT_REPEATABLE, client_deadline_ms(client), &reply, err);
	if (status == STATUS_OK) {
		status = record_read_table(reply.result, out, err);
	}
	if (status == STATUS_OK && resolved != NULL &&
		!field_text(reply.result, "release", resolved, RECORD_RELEASE_BYTES)) {
		status = error_set(err, STATUS_PROTOCOL, "an answer without its release");
	}
	reply_close(&reply);
	return status;
}
