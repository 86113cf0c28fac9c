/* spec.c - reads, checks and writes what a table is. */
#include "schema/spec.h"

#include "schema/default_row.h"
#include "schema/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A number of a spec, and its bounds. */
struct number_field {
	const char *name;
	uint64_t least;
	uint64_t most;
};

static const struct number_field dim_field = {"dim", 1, LIMIT_DIM};
static const struct number_field views_field = {"views", 1, LIMIT_VIEWS};
static const struct number_field history_field = {"history", 1, LIMIT_HISTORY};
static const struct number_field ttl_field = {"ttl_ms", 0, LIMIT_TTL_MS};
static const struct number_field half_life_field = {"half_life_ms", 0, LIMIT_TTL_MS};

static enum entity entity_of(struct wire_bytes name)
{
	if (wire_bytes_are(name, "user")) {
		return ENTITY_USER;
	}
	return wire_bytes_are(name, "item") ? ENTITY_ITEM : ENTITY_NONE;
}

static enum kind kind_of(struct wire_bytes name)
{
	if (wire_bytes_are(name, "ur")) {
		return KIND_UR;
	}
	if (wire_bytes_are(name, "ir")) {
		return KIND_IR;
	}
	return wire_bytes_are(name, "cr") ? KIND_CR : KIND_NONE;
}

static enum reading reading_of(struct wire_bytes name)
{
	static const enum reading all[] = {READING_SUM, READING_MEAN, READING_LAYER_NORM};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (wire_bytes_are(name, reading_name(all[i]))) {
			return all[i];
		}
	}
	return READING_NONE;
}

/* "dim: str given, 1..65536 allowed" */
static enum status wrong_type(struct error *err, const char *field, struct wire_value value,
	const char *allowed)
{
	enum wire_type type = wire_type(value);
	return error_set(err, STATUS_BAD_REQUEST, "%s: %s given, %s allowed", field,
		wire_type_name(type), allowed);
}

/* "kind: 'ad' given, one of ur, ir, cr allowed" */
static enum status wrong_word(struct error *err, const char *field, struct wire_bytes given,
	const char *allowed)
{
	char quote[ERROR_QUOTE_BYTES];
	return error_set(err, STATUS_BAD_REQUEST, "%s: '%s' given, %s allowed", field,
		error_quote(quote, given.data, given.len), allowed);
}

/* Reads one of some words; text->data stays NULL if it is not there. */
static enum status read_text(struct wire_value map, const char *field, const char *allowed,
	struct wire_bytes *text, struct error *err)
{
	const struct wire_value value = wire_get(map, field);
	*text = (struct wire_bytes){0};
	return wire_type(value) == WIRE_ABSENT || wire_str(value, text)
		       ? STATUS_OK
		       : wrong_type(err, field, value, allowed);
}

static enum status read_number(struct wire_value map, const struct number_field *field,
	uint64_t *out, struct error *err)
{
	char allowed[64];
	snprintf(allowed, sizeof allowed, "%" PRIu64 "..%" PRIu64, field->least, field->most);
	struct wire_value value = wire_get(map, field->name);
	int64_t negative;
	if (wire_type(value) == WIRE_INT && wire_int(value, &negative)) {
		return error_set(err, STATUS_BAD_REQUEST, "%s: %" PRId64 " given, %s allowed",
			field->name, negative, allowed);
	}
	uint64_t number;
	if (!wire_uint(value, &number)) {
		return wrong_type(err, field->name, value, allowed);
	}
	if (number < field->least || number > field->most) {
		return error_set(err, STATUS_BAD_REQUEST, "%s: %" PRIu64 " given, %s allowed",
			field->name, number, allowed);
	}
	*out = number;
	return STATUS_OK;
}

static bool is_given(struct wire_value map, const char *field)
{
	return wire_type(wire_get(map, field)) != WIRE_ABSENT;
}

static enum status read_name(struct wire_value map, struct table_spec *spec, struct error *err)
{
	struct wire_value value = wire_get(map, "table");
	struct wire_bytes text;
	if (!wire_str(value, &text)) {
		return wrong_type(err, "table", value, "str");
	}
	return table_name_check((const char *)text.data, text.len, "table", &spec->name, err);
}

static enum status read_entity(struct wire_value map, struct table_spec *spec, struct error *err)
{
	static const char allowed[] = "one of user, item";
	struct wire_value value = wire_get(map, "entity");
	struct wire_bytes text;
	if (!wire_str(value, &text)) {
		return wrong_type(err, "entity", value, allowed);
	}
	spec->entity = entity_of(text);
	return spec->entity == ENTITY_NONE ? wrong_word(err, "entity", text, allowed) : STATUS_OK;
}

static enum status read_kind(struct wire_value map, struct table_spec *spec, struct error *err)
{
	static const char allowed[] = "one of ur, ir, cr";
	struct wire_value value = wire_get(map, "kind");
	struct wire_bytes text;
	if (!wire_str(value, &text)) {
		return wrong_type(err, "kind", value, allowed);
	}
	spec->kind = kind_of(text);
	if (spec->kind == KIND_NONE) {
		return wrong_word(err, "kind", text, allowed);
	}
	enum entity entity = spec->kind == KIND_UR ? ENTITY_USER : ENTITY_ITEM;
	if (spec->kind != KIND_CR && spec->entity != entity) {
		return error_set(err, STATUS_BAD_REQUEST,
			"entity: '%s' given, %s allowed for kind %s", entity_name(spec->entity),
			entity_name(entity), kind_name(spec->kind));
	}
	return STATUS_OK;
}

static enum status read_dtype(struct wire_value map, struct table_spec *spec, struct error *err)
{
	static const char allowed[] = "one of f32, f16, bf16, i8, bit";
	struct wire_bytes text;
	spec->dtype = DTYPE_F32;
	const enum status status = read_text(map, "dtype", allowed, &text, err);
	if (status != STATUS_OK || text.data == NULL) {
		return status;
	}
	spec->dtype = dtype_of_name((const char *)text.data, text.len);
	return dtype_is_of_tables(spec->dtype) ? STATUS_OK
					       : wrong_word(err, "dtype", text, allowed);
}

static enum status read_key(struct wire_value map, struct table_spec *spec, struct error *err)
{
	static const char allowed[] = "one of u64, bytes";
	struct wire_bytes text;
	spec->key_type = KEY_U64;
	const enum status status = read_text(map, "key", allowed, &text, err);
	if (status != STATUS_OK || text.data == NULL) {
		return status;
	}
	spec->key_type = key_type_of_name((const char *)text.data, text.len);
	return spec->key_type == KEY_NONE ? wrong_word(err, "key", text, allowed) : STATUS_OK;
}

/* Reads how sums are kept, if it is said. Needs the kind, and whether there is a history. */
static enum status read_state(struct wire_value map, struct table_spec *spec, struct error *err)
{
	static const char allowed[] = "one of f32, f32x2";
	struct wire_bytes text;
	if (!spec_aggregates(spec)) {
		spec->state = STATE_NONE;
		return STATUS_OK; /* refuse_decay sees to what was given */
	}
	const enum status status = read_text(map, "state", allowed, &text, err);
	if (status != STATUS_OK || text.data == NULL) {
		return status;
	}
	if (wire_bytes_are(text, "f32")) {
		spec->state = STATE_F32;
	} else if (wire_bytes_are(text, "f32x2")) {
		spec->state = STATE_F32X2;
	} else {
		return wrong_word(err, "state", text, allowed);
	}
	return STATUS_OK;
}

/* Reads how many vectors a history keeps. Needs kind, dtype and views. */
static enum status read_history(struct wire_value map, struct table_spec *spec, struct error *err)
{
	uint64_t history = 0;
	if (!is_given(map, "history")) {
		return STATUS_OK;
	}
	if (read_number(map, &history_field, &history, err) != STATUS_OK) {
		return STATUS_BAD_REQUEST;
	}
	if (spec->kind == KIND_IR) {
		return error_set(err, STATUS_BAD_REQUEST,
			"history: given, allowed for kinds ur and cr, not for %s",
			kind_name(spec->kind));
	}
	if (spec->dtype == DTYPE_I8 || spec->dtype == DTYPE_BIT) {
		return error_set(err, STATUS_BAD_REQUEST,
			"dtype: %s given, f32, f16 or bf16 allowed with a history: it is read in any",
			dtype_name(spec->dtype));
	}
	if (history * spec->views > LIMIT_VIEWS) {
		return error_set(err, STATUS_BAD_REQUEST,
			"history: %" PRIu64 " places of %" PRIu32
			" views given, up to %u vectors of a row allowed",
			history, spec->views, LIMIT_VIEWS);
	}
	spec->history = (uint32_t)history;
	struct name fed;
	return fed_name_check(spec->name.text, strlen(spec->name.text), "table", &fed, err);
}

/* Reads dim, views and history, each within its bounds. Needs the kind and the dtype. */
static enum status read_shape(struct wire_value map, struct table_spec *spec, struct error *err)
{
	uint64_t dim = 0;
	uint64_t views = 1;
	enum status status = read_number(map, &dim_field, &dim, err);
	if (status == STATUS_OK && is_given(map, "views")) {
		status = read_number(map, &views_field, &views, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	spec->dim = (uint32_t)dim;
	spec->views = (uint32_t)views;
	return read_history(map, spec, err);
}

/* Checks the size of a row, which depends on shape and state. */
static enum status check_row(struct wire_value map, struct table_spec *spec, struct error *err)
{
	(void)map;
	const size_t row_bytes = spec_stored_bytes(spec);
	return row_bytes <= LIMIT_ROW_BYTES ? STATUS_OK
					    : error_set(err, STATUS_BAD_REQUEST,
						      "dim: %" PRIu32 " of %" PRIu32
						      " views given, a row of %zu bytes in %s, "
						      "up to %u allowed",
						      spec->dim, spec_row_views(spec), row_bytes,
						      dtype_name(spec->dtype), LIMIT_ROW_BYTES);
}

static enum status read_extras(struct wire_value map, struct table_spec *spec, struct error *err)
{
	struct wire_value tags = wire_get(map, "tags");
	if (wire_type(tags) != WIRE_ABSENT && !wire_bool(tags, &spec->tags)) {
		return wrong_type(err, "tags", tags, "true or false");
	}
	return is_given(map, "ttl_ms") ? read_number(map, &ttl_field, &spec->ttl_ms, err)
				       : STATUS_OK;
}

static enum status read_index(struct wire_value map, struct table_spec *spec, struct error *err)
{
	static const char allowed[] = "one of none, balls";
	struct wire_bytes text;
	const enum status status = read_text(map, "index", allowed, &text, err);
	if (status != STATUS_OK || text.data == NULL) {
		return status;
	}
	if (wire_bytes_are(text, "balls")) {
		spec->index = INDEX_BALLS;
	} else if (!wire_bytes_are(text, "none")) {
		return wrong_word(err, "index", text, allowed);
	}
	if (spec->index != INDEX_NONE && spec->history != 0) {
		return error_set(err, STATUS_BAD_REQUEST,
			"index: 'balls' given, 'none' allowed with a history: balls are of single vectors");
	}
	if (spec->index != INDEX_NONE && (spec->dtype == DTYPE_BIT || spec->views != 1)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"index: 'balls' given, 'none' allowed for %" PRIu32
			" views of %s: balls are of "
			"single vectors of numbers",
			spec->views, dtype_name(spec->dtype));
	}
	return STATUS_OK;
}

/* ---- tables that aggregate ---- */

double spec_decay_default(uint64_t half_life_ms)
{
	return half_life_ms == 0 ? 0.99 : 1;
}

static enum status read_decay_events(struct wire_value map, struct table_spec *spec,
	struct error *err)
{
	static const char allowed[] = "above 0, up to 1";
	struct wire_value value = wire_get(map, "decay_events");
	if (wire_type(value) == WIRE_ABSENT) {
		spec->decay_events = spec_decay_default(spec->half_life_ms);
		return STATUS_OK;
	}
	uint64_t one = 0;
	if (wire_uint(value, &one)) {
		spec->decay_events = (double)one;
	} else if (!wire_float(value, &spec->decay_events)) {
		return wrong_type(err, "decay_events", value, allowed);
	}
	/* NaN is refused too, since it compares as false. */
	return spec->decay_events > 0 && spec->decay_events <= 1
		       ? STATUS_OK
		       : error_set(err, STATUS_BAD_REQUEST, "decay_events: %g given, %s allowed",
				 spec->decay_events, allowed);
}

static enum status read_reading(struct wire_value map, struct table_spec *spec, struct error *err)
{
	static const char allowed[] = "one of sum, mean, layer_norm";
	struct wire_bytes text;
	spec->reading = READING_LAYER_NORM;
	const enum status status = read_text(map, "read", allowed, &text, err);
	if (status != STATUS_OK || text.data == NULL) {
		return status;
	}
	spec->reading = reading_of(text);
	return spec->reading == READING_NONE ? wrong_word(err, "read", text, allowed) : STATUS_OK;
}

/* Refuses the fields that only sums have. */
static enum status refuse_decay(struct wire_value map, const struct table_spec *spec,
	struct error *err)
{
	static const char *const fields[] = {"decay_events", "half_life_ms", "read", "state"};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (is_given(map, fields[i])) {
			return error_set(err, STATUS_BAD_REQUEST,
				"%s: given, allowed for kind cr only, not for %s%s", fields[i],
				kind_name(spec->kind),
				spec->history != 0 ? " with a history, which sums nothing" : "");
		}
	}
	return STATUS_OK;
}

static enum status read_decay(struct wire_value map, struct table_spec *spec, struct error *err)
{
	if (spec_takes_samples(spec) && table_name_layer(&spec->name) == NULL) {
		return error_set(err, STATUS_BAD_REQUEST,
			"table: '%s' given, name@layer allowed for kind cr", spec->name.text);
	}
	if (!spec_aggregates(spec)) {
		return refuse_decay(map, spec, err);
	}
	if (spec->dtype != DTYPE_F32) {
		return error_set(err, STATUS_BAD_REQUEST,
			"dtype: %s given, f32 allowed for kind cr: sums are kept in it, and read in "
			"any",
			dtype_name(spec->dtype));
	}
	enum status status = STATUS_OK;
	if (is_given(map, "half_life_ms")) {
		status = read_number(map, &half_life_field, &spec->half_life_ms, err);
	}
	if (status == STATUS_OK) {
		status = read_decay_events(map, spec, err);
	}
	return status == STATUS_OK ? read_reading(map, spec, err) : status;
}

/* ---- what stands in for a row that is not there ---- */

static enum status read_default(struct wire_value map, struct table_spec *spec, struct error *err)
{
	static const char allowed[] = "one of none, zeros, mean, row";
	static const enum default_kind all[] = {DEFAULT_NONE, DEFAULT_ZEROS, DEFAULT_MEAN,
		DEFAULT_ROW};
	struct wire_bytes text;
	const enum status status = read_text(map, "default", allowed, &text, err);
	if (status != STATUS_OK || text.data == NULL) {
		return status;
	}
	size_t i = 0;
	while (i < sizeof all / sizeof *all && !wire_bytes_are(text, default_kind_name(all[i]))) {
		i++;
	}
	if (i == sizeof all / sizeof *all) {
		return wrong_word(err, "default", text, allowed);
	}
	const enum default_kind kind = all[i];
	if (kind != DEFAULT_NONE && spec->history != 0) {
		return error_set(err, STATUS_BAD_REQUEST,
			"default: '%s' given, none allowed with a history: that of a key without a row "
			"has no vectors",
			default_kind_name(kind));
	}
	if (kind == DEFAULT_MEAN && (spec->dtype == DTYPE_BIT || spec_aggregates(spec))) {
		return error_set(err, STATUS_BAD_REQUEST,
			"default: 'mean' given, zeros or row allowed for %s",
			spec->dtype == DTYPE_BIT
				? "bit: a mean of bits is no row of bits"
				: "kind cr: its rows come from samples after the seal");
	}
	spec->default_kind = kind;
	if (default_row_bytes(spec) > LIMIT_DEFAULT_BYTES) {
		return error_set(err, STATUS_BAD_REQUEST,
			"default: '%s' given, which takes %zu bytes here, up to %u allowed; zeros take none",
			default_kind_name(kind), default_row_bytes(spec), LIMIT_DEFAULT_BYTES);
	}
	return STATUS_OK;
}

enum status spec_read(struct wire_value map, enum spec_origin origin, struct table_spec *out,
	struct error *err)
{
	static enum status (*const steps[])(struct wire_value, struct table_spec *,
		struct error *) = {read_name, read_entity, read_kind, read_dtype, read_shape,
		read_state, check_row, read_key, read_extras, read_index, read_decay, read_default};
	struct table_spec spec = {.state = origin == SPEC_STORED ? STATE_F32 : STATE_F32X2};
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		enum status status = steps[i](map, &spec, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	assert(spec.entity != ENTITY_NONE);
	assert(spec.kind != KIND_NONE);
	assert(spec.dtype != DTYPE_NONE);
	assert(spec.key_type != KEY_NONE);
	assert(spec_row_bytes(&spec) > 0);
	assert(spec_aggregates(&spec) == (spec.reading != READING_NONE));
	assert(spec_aggregates(&spec) == (spec.state != STATE_NONE));
	*out = spec;
	return STATUS_OK;
}

size_t spec_fields(const struct table_spec *spec)
{
	enum { ALL = 10, OF_DECAY = 4 };
	return ALL + (spec_aggregates(spec) ? OF_DECAY : 0) + (spec->history != 0 ? 1 : 0) +
	       (spec->default_kind != DEFAULT_NONE ? 1 : 0);
}

void spec_write(struct wire_writer *writer, const struct table_spec *spec)
{
	wire_write_str(writer, "table");
	wire_write_str(writer, spec->name.text);
	wire_write_str(writer, "entity");
	wire_write_str(writer, entity_name(spec->entity));
	wire_write_str(writer, "kind");
	wire_write_str(writer, kind_name(spec->kind));
	wire_write_str(writer, "dim");
	wire_write_uint(writer, spec->dim);
	wire_write_str(writer, "views");
	wire_write_uint(writer, spec->views);
	wire_write_str(writer, "dtype");
	wire_write_str(writer, dtype_name(spec->dtype));
	wire_write_str(writer, "key");
	wire_write_str(writer, key_type_name(spec->key_type));
	wire_write_str(writer, "ttl_ms");
	wire_write_uint(writer, spec->ttl_ms);
	wire_write_str(writer, "tags");
	wire_write_bool(writer, spec->tags);
	wire_write_str(writer, "index");
	wire_write_str(writer, index_kind_name(spec->index));
	if (spec_aggregates(spec)) {
		wire_write_str(writer, "decay_events");
		wire_write_float(writer, spec->decay_events);
		wire_write_str(writer, "half_life_ms");
		wire_write_uint(writer, spec->half_life_ms);
		wire_write_str(writer, "read");
		wire_write_str(writer, reading_name(spec->reading));
		wire_write_str(writer, "state");
		wire_write_str(writer, state_kind_name(spec->state));
	}
	if (spec->history != 0) {
		wire_write_str(writer, "history");
		wire_write_uint(writer, spec->history);
	}
	if (spec->default_kind != DEFAULT_NONE) {
		wire_write_str(writer, "default");
		wire_write_str(writer, default_kind_name(spec->default_kind));
	}
}
