/* record.c - releases, tables, files and tensors as MessagePack maps. */
#include "daemon/store/catalog/record.h"

#include "daemon/store/log/positions.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/system/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool read_uint(struct wire_value map, const char *name, uint64_t *out)
{
	return wire_uint(wire_get(map, name), out);
}

static bool read_time(struct wire_value map, const char *name, int64_t *out)
{
	return wire_int(wire_get(map, name), out);
}

static bool read_text(struct wire_value map, const char *name, char *out, size_t size)
{
	struct wire_bytes text;
	if (!wire_str(wire_get(map, name), &text) || text.len >= size) {
		return false;
	}
	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
	return true;
}

static void write_uint(struct wire_writer *writer, const char *name, uint64_t value)
{
	wire_write_str(writer, name);
	wire_write_uint(writer, value);
}

/* ---- release ---- */

enum { POSITION_FIELDS = 4 };

/* The positions as they were at the last merge's cut: [layer, source, next, time] each. */
static void write_positions(struct wire_writer *writer, struct positions *positions)
{
	struct source_position *all = NULL;
	size_t count = 0;
	if (positions_list(positions, POSITION_MARKED, &all, &count) != STATUS_OK &&
		writer->status == STATUS_OK) {
		writer->status = STATUS_NO_MEMORY;
	}
	wire_write_str(writer, "positions");
	wire_write_array(writer, count);
	for (size_t i = 0; i < count; i++) {
		wire_write_array(writer, POSITION_FIELDS);
		wire_write_str(writer, all[i].layer.text);
		wire_write_str(writer, all[i].source.text);
		wire_write_uint(writer, all[i].next);
		wire_write_int(writer, all[i].time_ms);
	}
	free(all);
}

static void write_seed(struct wire_writer *writer, const struct key_seed *seed)
{
	uint8_t bytes[SIPHASH_SEED_BYTES];
	bytes_put_u64(bytes, seed->words[0]);
	bytes_put_u64(bytes + 8, seed->words[1]);
	wire_write_str(writer, "seed");
	wire_write_bin(writer, bytes, sizeof bytes);
}

void record_write_release(struct wire_writer *writer, const struct release *release)
{
	wire_write_map(writer, 13);
	wire_write_str(writer, "id");
	wire_write_str(writer, release->id.text);
	write_uint(writer, "number", release->number);
	write_seed(writer, &release->seed);
	wire_write_str(writer, "model");
	wire_write_str(writer, release->model);
	wire_write_str(writer, "checkpoint");
	wire_write_str(writer, release->checkpoint);
	write_uint(writer, "state", (uint64_t)release->state);
	wire_write_str(writer, "created_ms");
	wire_write_int(writer, release->created_ms);
	wire_write_str(writer, "sealed_ms");
	wire_write_int(writer, release->sealed_ms);
	wire_write_str(writer, "published_ms");
	wire_write_int(writer, release->published_ms);
	write_uint(writer, "next_table", release->next_table);
	write_uint(writer, "next_tensor", release->next_tensor);
	wire_write_str(writer, "layer");
	wire_write_str(writer, release->layer.text);
	write_positions(writer, release->positions);
}

static bool read_position(struct wire_value value, struct source_position *out)
{
	struct wire_bytes layer;
	struct wire_bytes source;
	return wire_size(value) == POSITION_FIELDS && wire_str(wire_item(value, 0), &layer) &&
	       fed_name_check((const char *)layer.data, layer.len, "layer", &out->layer, NULL) ==
		       STATUS_OK &&
	       wire_str(wire_item(value, 1), &source) &&
	       name_check((const char *)source.data, source.len, "source", &out->source, NULL) ==
		       STATUS_OK &&
	       wire_uint(wire_item(value, 2), &out->next) &&
	       wire_int(wire_item(value, 3), &out->time_ms);
}

static enum status read_positions(struct wire_value list, struct positions *positions)
{
	if (wire_type(list) != WIRE_ARRAY) {
		return STATUS_CORRUPT;
	}
	for (size_t i = 0; i < wire_size(list); i++) {
		struct source_position position = {.next = 0};
		if (!read_position(wire_item(list, i), &position)) {
			return STATUS_CORRUPT;
		}
		const enum status status = positions_raise(positions, &position);
		if (status != STATUS_OK) {
			return status;
		}
	}
	positions_mark(positions);
	return STATUS_OK;
}

static bool read_seed(struct wire_value map, struct key_seed *out)
{
	struct wire_bytes bytes;
	if (!wire_bin(wire_get(map, "seed"), &bytes) || bytes.len != SIPHASH_SEED_BYTES) {
		return false;
	}
	out->words[0] = bytes_get_u64(bytes.data);
	out->words[1] = bytes_get_u64(bytes.data + 8);
	return true;
}

/* "" means that no layer is chosen. */
static bool read_layer(struct wire_value map, struct name *out)
{
	struct wire_bytes text;
	return wire_str(wire_get(map, "layer"), &text) &&
	       (text.len == 0 || name_check((const char *)text.data, text.len, "layer", out,
					 NULL) == STATUS_OK);
}

enum status record_read_release(struct wire_value value, struct release *out)
{
	struct release release = *out;
	struct wire_bytes id;
	uint64_t state;
	if (!wire_str(wire_get(value, "id"), &id) ||
		release_name_check((const char *)id.data, id.len, &release.id, NULL) != STATUS_OK ||
		!read_uint(value, "number", &release.number) || release.number == 0 ||
		!read_seed(value, &release.seed) ||
		!read_text(value, "model", release.model, sizeof release.model) ||
		!read_text(value, "checkpoint", release.checkpoint, sizeof release.checkpoint) ||
		!read_uint(value, "state", &state) || state > RELEASE_SEALED ||
		!read_time(value, "created_ms", &release.created_ms) ||
		!read_time(value, "sealed_ms", &release.sealed_ms) ||
		!read_time(value, "published_ms", &release.published_ms) ||
		!read_uint(value, "next_table", &release.next_table) ||
		!read_uint(value, "next_tensor", &release.next_tensor) ||
		!read_layer(value, &release.layer)) {
		return STATUS_CORRUPT;
	}
	release.state = (enum release_state)state;
	*out = release;
	return read_positions(wire_get(value, "positions"), release.positions);
}

/* ---- table ---- */

enum { LOAD_FIELDS = 3 };

void record_write_table(struct wire_writer *writer, const struct table *table)
{
	const struct default_row *row = table->default_row;
	wire_write_map(writer,
		spec_fields(&table->spec) + 5 + (row != NULL ? DEFAULT_ROW_FIELDS : 0));
	spec_write(writer, &table->spec);
	if (row != NULL) {
		default_row_write(writer, row);
	}
	write_uint(writer, "folded", table->merged_to);
	write_uint(writer, "number", table->number);
	write_uint(writer, "rows", table->rows);
	write_uint(writer, "next_file", table->next_file);
	wire_write_str(writer, "loads"); /* [load, chunks, rows] each */
	wire_write_array(writer, table->ended_count);
	for (size_t i = 0; i < table->ended_count; i++) {
		wire_write_array(writer, LOAD_FIELDS);
		wire_write_str(writer, table->ended[i].load.text);
		wire_write_uint(writer, table->ended[i].chunks);
		wire_write_uint(writer, table->ended[i].rows);
	}
}

static bool read_ended(struct wire_value value, struct ended_load *out)
{
	struct wire_bytes name;
	return wire_size(value) == LOAD_FIELDS && wire_str(wire_item(value, 0), &name) &&
	       name_check((const char *)name.data, name.len, "load", &out->load, NULL) ==
		       STATUS_OK &&
	       wire_uint(wire_item(value, 1), &out->chunks) &&
	       wire_uint(wire_item(value, 2), &out->rows);
}

static enum status read_loads(struct wire_value loads, struct table *table)
{
	const size_t count = wire_size(loads);
	table->ended = calloc(count + 1, sizeof *table->ended);
	if (table->ended == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (; table->ended_count < count; table->ended_count++) {
		if (!read_ended(wire_item(loads, table->ended_count),
			    &table->ended[table->ended_count])) {
			return STATUS_CORRUPT;
		}
	}
	return STATUS_OK;
}

enum status record_read_old_table(struct wire_value value, struct table **out)
{
	struct table_spec spec;
	struct default_row row;
	uint64_t number;
	uint64_t rows;
	uint64_t merged_to;
	const struct wire_value loads = wire_get(value, "loads");
	if (spec_read(value, SPEC_STORED, &spec, NULL) != STATUS_OK ||
		default_row_read(value, &spec, DEFAULT_ROW_STORED, &row, NULL) != STATUS_OK ||
		!read_uint(value, "number", &number) || !read_uint(value, "rows", &rows) ||
		!read_uint(value, "folded", &merged_to) || wire_type(loads) != WIRE_ARRAY) {
		return STATUS_CORRUPT;
	}
	struct table *table = table_new(&spec, number);
	enum status status = table == NULL ? STATUS_NO_MEMORY : read_loads(loads, table);
	if (status == STATUS_OK) {
		status = table_set_default(table, row.row == NULL ? NULL : &row);
	}
	if (status != STATUS_OK) {
		table_drop(table);
		return status;
	}
	table->rows = rows;
	table->merged_to = merged_to;
	*out = table;
	return STATUS_OK;
}

enum status record_read_table(struct wire_value value, struct table **out)
{
	uint64_t next_file;
	if (!read_uint(value, "next_file", &next_file)) {
		return STATUS_CORRUPT;
	}
	const enum status status = record_read_old_table(value, out);
	if (status == STATUS_OK) {
		(*out)->next_file = next_file;
	}
	return status;
}

/* ---- file ---- */

enum { FILE_FIELDS = 4, DELTA_FIELDS = 2, SEGMENT_FIELDS = 8, SEGMENT_OLD_FIELDS = 6 };

/* Writes FILE_FIELDS entries into the caller's map. */
static void write_file(struct wire_writer *writer, const struct base_file_info *info)
{
	write_uint(writer, "number", info->number);
	write_uint(writer, "bytes", info->bytes);
	write_uint(writer, "outside_hash", info->outside_hash);
	/* [prefix, bits, rows, offset, bytes, hash, head bytes, hash of the head] each */
	wire_write_str(writer, "segments");
	wire_write_array(writer, info->segment_count);
	for (size_t i = 0; i < info->segment_count; i++) {
		const struct base_segment_info *segment = &info->segments[i];
		wire_write_array(writer, SEGMENT_FIELDS);
		wire_write_uint(writer, segment->prefix);
		wire_write_uint(writer, segment->prefix_bits);
		wire_write_uint(writer, segment->rows);
		wire_write_uint(writer, segment->offset);
		wire_write_uint(writer, segment->bytes);
		wire_write_uint(writer, segment->hash);
		wire_write_uint(writer, segment->head_bytes);
		wire_write_uint(writer, segment->head_hash);
	}
}

void record_write_file(struct wire_writer *writer, const struct base_file_info *info)
{
	const bool is_of_delta = info->delta != 0;
	const bool is_counted = is_of_delta && info->hides != BASE_HIDES_UNKNOWN;
	wire_write_map(writer,
		FILE_FIELDS + (is_of_delta ? DELTA_FIELDS : 0) + (is_counted ? 1u : 0u));
	write_file(writer, info);
	if (is_of_delta) {
		write_uint(writer, "delta", info->delta);
		write_uint(writer, "deleted", info->deleted);
	}
	if (is_counted) {
		write_uint(writer, "hides", info->hides);
	}
}

static bool read_segment(struct wire_value value, size_t field_count, uint64_t file_bytes,
	struct base_segment_info *out)
{
	uint64_t fields[SEGMENT_FIELDS] = {0};
	if (wire_size(value) != field_count) {
		return false;
	}
	for (size_t i = 0; i < field_count; i++) {
		if (!wire_uint(wire_item(value, i), &fields[i])) {
			return false;
		}
	}
	*out = (struct base_segment_info){
		.prefix = fields[0],
		.prefix_bits = (uint32_t)fields[1],
		.rows = (uint32_t)fields[2],
		.offset = fields[3],
		.bytes = fields[4],
		.hash = fields[5],
		.head_bytes = fields[6],
		.head_hash = fields[7],
	};
	return fields[1] <= SEGMENT_PREFIX_BITS_MAX && fields[2] < UINT32_MAX &&
	       out->offset <= file_bytes && out->bytes <= file_bytes - out->offset &&
	       out->head_bytes <= out->bytes;
}

/* A file of the base has none of these fields. */
static bool read_delta(struct wire_value value, struct base_file_info *out)
{
	const bool is_counted = wire_type(wire_get(value, "hides")) != WIRE_ABSENT;
	if (wire_type(wire_get(value, "delta")) == WIRE_ABSENT) {
		return !is_counted;
	}
	out->hides = BASE_HIDES_UNKNOWN;
	return read_uint(value, "delta", &out->delta) && out->delta != 0 &&
	       read_uint(value, "deleted", &out->deleted) &&
	       (!is_counted || read_uint(value, "hides", &out->hides));
}

static enum status read_file(struct wire_value value, size_t segment_fields,
	struct base_file_info *out)
{
	struct base_file_info info = {0};
	const struct wire_value segments = wire_get(value, "segments");
	if (!read_uint(value, "number", &info.number) || !read_uint(value, "bytes", &info.bytes) ||
		!read_uint(value, "outside_hash", &info.outside_hash) ||
		wire_type(segments) != WIRE_ARRAY || !read_delta(value, &info)) {
		return STATUS_CORRUPT;
	}
	const size_t count = wire_size(segments);
	info.segments = calloc(count + 1, sizeof *info.segments);
	if (info.segments == NULL) {
		return STATUS_NO_MEMORY;
	}
	info.segment_count = count;
	uint64_t rows = 0;
	for (size_t i = 0; i < count; i++) {
		if (!read_segment(wire_item(segments, i), segment_fields, info.bytes,
			    &info.segments[i])) {
			base_file_info_fini(&info);
			return STATUS_CORRUPT;
		}
		rows += info.segments[i].rows;
	}
	if (info.hides != BASE_HIDES_UNKNOWN && info.hides > rows) {
		base_file_info_fini(&info);
		return STATUS_CORRUPT;
	}
	*out = info;
	return STATUS_OK;
}

enum status record_read_file(struct wire_value value, struct base_file_info *out)
{
	return read_file(value, SEGMENT_FIELDS, out);
}

enum status record_read_old_file(struct wire_value value, struct base_file_info *out)
{
	return read_file(value, SEGMENT_OLD_FIELDS, out);
}

/* ---- tensor ---- */

void record_write_tensor(struct wire_writer *writer, const struct tensor *tensor)
{
	wire_write_map(writer, TENSOR_SPEC_FIELDS + FILE_FIELDS);
	tensor_spec_write(writer, &tensor->spec);
	write_file(writer, &tensor->file);
}

static enum status read_tensor(struct wire_value value, size_t segment_fields, struct tensor **out)
{
	struct tensor_spec spec;
	struct base_file_info file;
	if (tensor_spec_read(value, &spec, NULL) != STATUS_OK) {
		return STATUS_CORRUPT;
	}
	const enum status status = read_file(value, segment_fields, &file);
	if (status != STATUS_OK) {
		return status;
	}
	struct tensor *tensor = tensor_new(&spec, file.number);
	if (tensor == NULL || file.segment_count != 1 ||
		file.segments[0].bytes != tensor_bytes(&spec)) {
		base_file_info_fini(&file);
		const bool refused = tensor == NULL;
		tensor_drop(tensor);
		return refused ? STATUS_NO_MEMORY : STATUS_CORRUPT;
	}
	tensor->file = file;
	*out = tensor;
	return STATUS_OK;
}

enum status record_read_tensor(struct wire_value value, struct tensor **out)
{
	return read_tensor(value, SEGMENT_FIELDS, out);
}

enum status record_read_old_tensor(struct wire_value value, struct tensor **out)
{
	return read_tensor(value, SEGMENT_OLD_FIELDS, out);
}

/* ---- state ---- */

uint64_t record_count(const struct snapshot *snapshot)
{
	uint64_t count = snapshot->release_count;
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		count += release->table_count + release->tensor_count;
		for (size_t j = 0; j < release->table_count; j++) {
			count += table_file_count(release->tables[j]);
		}
	}
	return count;
}

void record_write_state(struct wire_writer *writer, const struct snapshot *snapshot)
{
	assert(snapshot->history_count <= SNAPSHOT_HISTORY_MAX);
	wire_write_map(writer, 7);
	write_uint(writer, "log_first_file", snapshot->log_first_file);
	write_uint(writer, "written", snapshot->written);
	write_uint(writer, "records", record_count(snapshot));
	write_uint(writer, "sequence", snapshot->sequence);
	write_uint(writer, "next_release", snapshot->next_release);
	write_uint(writer, "live", snapshot->live == NULL ? 0 : snapshot->live->number);
	wire_write_str(writer, "history");
	wire_write_array(writer, snapshot->history_count);
	for (size_t i = 0; i < snapshot->history_count; i++) {
		wire_write_uint(writer, snapshot->history[i]);
	}
}

enum status record_read_state(struct wire_value value, struct snapshot *out,
	struct record_state *state)
{
	const struct wire_value history = wire_get(value, "history");
	const size_t count = wire_size(history);
	if (!read_uint(value, "sequence", &out->sequence) ||
		!read_uint(value, "next_release", &out->next_release) ||
		!read_uint(value, "live", &state->live) ||
		!read_uint(value, "log_first_file", &out->log_first_file) ||
		!read_uint(value, "written", &out->written) ||
		!read_uint(value, "records", &state->records) || wire_type(history) != WIRE_ARRAY ||
		count > SNAPSHOT_HISTORY_MAX) {
		return STATUS_CORRUPT;
	}
	for (size_t i = 0; i < count; i++) {
		if (!wire_uint(wire_item(history, i), &out->history[i])) {
			return STATUS_CORRUPT;
		}
	}
	out->history_count = count;
	return STATUS_OK;
}
