/* admin.c - releases, tables, and the list of tensors. */
#include "client/client.h"
#include "client/clock.h"
#include "client/field.h"
#include "client/record.h"
#include "client/reserved.h"
#include "schema/default_row.h"
#include "schema/limits.h"
#include "schema/spec.h"

#include <stdlib.h>
#include <string.h>

/* Writes an optional string. */
static void write_text(struct wire_writer *writer, const char *name, const char *text)
{
	if (text != NULL) {
		wire_write_str(writer, name);
		wire_write_str(writer, text);
	}
}

/* Begins a request whose map holds the release, or nothing for the live one. */
static void begin_release(rep_client *client, const char *method, const char *release)
{
	struct wire_writer *writer = client_begin(client, method, release != NULL);
	write_text(writer, "release", release);
}

/* The same, of what takes as long as the work takes. */
static void begin_long(rep_client *client, const char *method, const char *release)
{
	struct wire_writer *writer = client_begin_long(client, method, release != NULL);
	write_text(writer, "release", release);
}

/* ---- releases ---- */

enum rep_status rep_release_create(rep_client *client, const char *release, const char *model,
	const char *checkpoint, struct rep_error *err)
{
	struct wire_writer *writer = client_begin(client, "release.create",
		1 + (size_t)(model != NULL) + (size_t)(checkpoint != NULL));
	wire_write_str(writer, "release");
	wire_write_str(writer, release);
	write_text(writer, "model", model);
	write_text(writer, "checkpoint", checkpoint);
	return (enum rep_status)client_call_plain(client, CLIENT_ONCE, client_deadline_ms(client),
		client_error(err));
}

/* An array in an answer, and how its elements are read. */
struct list {
	const char *name;
	size_t element_bytes;
	record_read *read;
};

static const struct list release_list = {"releases", sizeof(struct rep_release),
	record_read_release};
static const struct list table_list = {"tables", sizeof(struct rep_table), record_read_table};
static const struct list tensor_list = {"tensors", sizeof(struct rep_tensor), record_read_tensor};

/* Reads a list into malloc'ed elements; NULL after a failure. */
static void *read_list(struct wire_value result, const struct list *list, size_t *count,
	enum status *status, struct error *err)
{
	struct wire_value array = wire_get(result, list->name);
	if (wire_type(array) != WIRE_ARRAY) {
		*status = error_set(err, STATUS_PROTOCOL, "an answer without its '%s'", list->name);
		return NULL;
	}
	size_t n = wire_size(array);
	uint8_t *elements = calloc(n > 0 ? n : 1, list->element_bytes);
	if (elements == NULL) {
		*status = error_set(err, STATUS_NO_MEMORY, "no memory for %zu %s", n, list->name);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		*status = list->read(wire_item(array, i), elements + i * list->element_bytes, err);
		if (*status != STATUS_OK) {
			free(elements);
			return NULL;
		}
	}
	*count = n;
	return elements;
}

/* Sends the request begun and hands out the list of its answer. */
static enum status call_list(rep_client *client, const struct list *list, void **out, size_t *count,
	struct error *err)
{
	struct reply reply = {0};
	enum status status =
		client_call(client, CLIENT_REPEATABLE, client_deadline_ms(client), &reply, err);
	if (status == STATUS_OK) {
		void *elements = read_list(reply.result, list, count, &status, err);
		if (elements != NULL) {
			*out = elements;
		}
	}
	reply_close(&reply);
	return status;
}

enum rep_status rep_release_list(rep_client *client, struct rep_release **out, size_t *count,
	struct rep_error *err)
{
	void *list = NULL;
	(void)client_begin(client, "release.list", 0);
	enum status status = call_list(client, &release_list, &list, count, client_error(err));
	if (status == STATUS_OK) {
		*out = list;
	}
	return (enum rep_status)status;
}

enum rep_status rep_release_show(rep_client *client, const char *release, struct rep_release *out,
	struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	begin_release(client, "release.show", release);
	enum status status =
		client_call(client, CLIENT_REPEATABLE, client_deadline_ms(client), &reply, err);
	if (status == STATUS_OK) {
		status = record_read_release(reply.result, out, err);
	}
	reply_close(&reply);
	return (enum rep_status)status;
}

enum rep_status rep_release_seal(rep_client *client, const char *release, struct rep_error *err)
{
	begin_long(client, "release.seal", release);
	return (enum rep_status)client_call_plain(client, CLIENT_ONCE, CLOCK_NEVER_MS,
		client_error(err));
}

enum rep_status rep_release_publish(rep_client *client, const char *release, struct rep_error *err)
{
	begin_long(client, "release.publish", release);
	return (enum rep_status)client_call_plain(client, CLIENT_ONCE, CLOCK_NEVER_MS,
		client_error(err));
}

enum rep_status rep_release_rollback(rep_client *client, char *now, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	begin_long(client, "release.rollback", NULL);
	enum status status = client_call(client, CLIENT_ONCE, CLOCK_NEVER_MS, &reply, err);
	struct rep_release release;
	if (status == STATUS_OK && now != NULL) {
		if (field_text(reply.result, "release", release.id, sizeof release.id)) {
			memcpy(now, release.id, sizeof release.id);
		} else {
			status = error_set(err, STATUS_PROTOCOL, "an answer without its release");
		}
	}
	reply_close(&reply);
	return (enum rep_status)status;
}

enum rep_status rep_release_drop(rep_client *client, const char *release, struct rep_error *err)
{
	begin_release(client, "release.drop", release);
	return (enum rep_status)client_call_plain(client, CLIENT_ONCE, client_deadline_ms(client),
		client_error(err));
}

/* ---- tables ---- */

/* Whether the row is one of the table is left to the daemon. */
static enum status check_default(const struct rep_table_spec *spec, struct error *err)
{
	const bool has_row = spec->default_row != NULL;
	if ((unsigned)spec->default_kind > REP_DEFAULT_ROW) {
		return error_set(err, STATUS_BAD_REQUEST,
			"rep_table_spec: default_kind: %d given, %d to %d allowed",
			(int)spec->default_kind, REP_DEFAULT_NONE, REP_DEFAULT_ROW);
	}
	if (spec->history != 0 && (spec->decay_events != 0 || spec->half_life_ms != 0 ||
					  spec->reading != 0 || spec->state != 0)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"rep_table_spec: decay_events, half_life_ms, reading and state are of sums, and a "
			"table with a history has none");
	}
	if (has_row != (spec->default_kind == REP_DEFAULT_ROW) ||
		has_row != (spec->default_row_bytes != 0) ||
		(!has_row && spec->default_scale != 0)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"rep_table_spec: default_row, default_row_bytes and, of i8, default_scale "
			"go with REP_DEFAULT_ROW, and it goes with them");
	}
	return STATUS_OK;
}

enum rep_status rep_table_create(rep_client *client, const char *release,
	const struct rep_table_spec *spec, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct table_spec wire_spec = {
		.entity = (enum entity)spec->entity,
		.kind = (enum kind)spec->kind,
		.dtype = spec->dtype != REP_DTYPE_TABLE ? (enum dtype)spec->dtype : DTYPE_F32,
		.key_type = spec->key_type != 0 ? (enum key_type)spec->key_type : KEY_U64,
		.dim = spec->dim,
		.views = spec->views != 0 ? spec->views : 1,
		.ttl_ms = spec->ttl_ms,
		.tags = spec->tags,
		.index = (enum index_kind)spec->index,
		.history = spec->history > LIMIT_HISTORY ? UINT32_MAX : (uint32_t)spec->history,
		.decay_events = spec->decay_events != 0 ? spec->decay_events
							: spec_decay_default(spec->half_life_ms),
		.half_life_ms = spec->half_life_ms,
		.reading = spec->reading != 0 ? (enum reading)spec->reading : READING_LAYER_NORM,
		.state = spec->kind != REP_CR ? STATE_NONE
			 : spec->state != 0   ? (enum state_kind)spec->state
					      : STATE_F32X2,
		.default_kind = (enum default_kind)spec->default_kind,
	};
	enum status status = RESERVED_CHECK("rep_table_spec", spec, err);
	if (status == STATUS_OK) {
		status = check_default(spec, err);
	}
	if (status == STATUS_OK) {
		status = table_name_check(spec->name, strnlen(spec->name, sizeof spec->name),
			"table", &wire_spec.name, err);
	}
	if (status != STATUS_OK) {
		return (enum rep_status)status;
	}
	const bool has_row = spec->default_row != NULL;
	struct wire_writer *writer = client_begin(client, "table.create",
		1 + spec_fields(&wire_spec) + (has_row ? DEFAULT_ROW_FIELDS : 0));
	if (spec->default_kind != REP_DEFAULT_NONE) {
		client->request.needs |= HELLO_DEFAULT_ROW;
	}
	client->request.needs |= spec->history != 0 ? HELLO_HISTORY : 0;
	wire_write_str(writer, "release");
	wire_write_str(writer, release);
	spec_write(writer, &wire_spec);
	if (has_row) {
		const struct default_row row = {.scale = spec->default_scale,
			.bytes = spec->default_row_bytes,
			.row = spec->default_row};
		default_row_write(writer, &row);
	}
	return (enum rep_status)client_call_plain(client, CLIENT_ONCE, client_deadline_ms(client),
		err);
}

enum rep_status rep_table_list(rep_client *client, const char *release, struct rep_table **out,
	size_t *count, struct rep_error *err)
{
	void *list = NULL;
	begin_release(client, "table.list", release);
	enum status status = call_list(client, &table_list, &list, count, client_error(err));
	if (status == STATUS_OK) {
		*out = list;
	}
	return (enum rep_status)status;
}

enum rep_status rep_table_show(rep_client *client, const char *release, const char *table,
	struct rep_table *out, struct rep_error *rep_err)
{
	return (enum rep_status)record_show_table(client, release, table, out, NULL,
		client_error(rep_err));
}

static enum status read_default(struct wire_value map, struct rep_default_row *out,
	struct error *err)
{
	struct table_spec spec = {0};
	struct default_row row = {0};
	if (spec_read(map, SPEC_STORED, &spec, NULL) != STATUS_OK ||
		default_row_read(map, &spec, DEFAULT_ROW_STORED, &row, NULL) != STATUS_OK) {
		return error_set(err, STATUS_PROTOCOL, "a table is described in an unknown way");
	}
	*out = (struct rep_default_row){.kind = (enum rep_default)spec.default_kind};
	if (row.row == NULL) {
		return STATUS_OK;
	}
	out->row = malloc(row.bytes);
	if (out->row == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for a row of %zu bytes",
			row.bytes);
	}
	memcpy(out->row, row.row, row.bytes);
	out->row_bytes = row.bytes;
	out->dtype = (enum rep_dtype)row.dtype;
	out->scale = row.scale;
	return STATUS_OK;
}

enum rep_status rep_table_default(rep_client *client, const char *release, const char *table,
	struct rep_default_row *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	record_begin_table(client, release, table);
	enum status status =
		client_call(client, CLIENT_REPEATABLE, client_deadline_ms(client), &reply, err);
	if (status == STATUS_OK) {
		status = read_default(reply.result, out, err);
	}
	reply_close(&reply);
	return (enum rep_status)status;
}

/* ---- tensors ---- */

enum rep_status rep_tensor_list(rep_client *client, const char *release, struct rep_tensor **out,
	size_t *count, struct rep_error *err)
{
	void *list = NULL;
	begin_release(client, "tensor.list", release);
	enum status status = call_list(client, &tensor_list, &list, count, client_error(err));
	if (status == STATUS_OK) {
		*out = list;
	}
	return (enum rep_status)status;
}
