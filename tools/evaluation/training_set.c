/* training_set.c - lays the output out, copies the samples' columns into it, and walks through them. */
#include "tools/evaluation/training_set.h"

#include "tools/evaluation/sample_order.h"
#include "tools/evaluation/training_walk.h"
#include "tools/format/npz_map.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A part has at least a share of the keys that is not one key alone. */
enum { PARTS_MAX = 1 << 16 };

/* The arrays of the output before those of tables, and how many a table has. */
enum { OUT_USERS, OUT_ITEMS, OUT_TIMES, OUT_COLUMNS, OUT_OF_TABLE = 4 };

/* Of a table, behind its rows, weights and ages. */
enum { OUT_ENTITY = 3, ENTITY_BYTES = 4 };

/* What is made. */
struct set {
	const struct training_request *request;
	struct sample_arrays samples; /* owned */
	struct npz_map out;           /* owned */
	struct sample_order order;    /* owned */
	struct training_report report;
};

/* ---- tables ---- */

static enum status check_table(const struct set *set, const struct training_table *table,
	struct error *err)
{
	const struct sample_layer *layer = &set->samples.layers[table->layer];
	const bool users = table->spec.entity == ENTITY_USER;
	const struct array *keys = users ? &set->samples.users : &set->samples.items;
	const bool strings = sample_keys_are_strings(keys);
	if (table->spec.dim != 0 &&
		(table->spec.dim != layer->vectors.dim || table->spec.views != 1)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"table '%s' is %" PRIu32 " x %" PRIu32
			", but vectors of --layer %s have %" PRIu32 " elements",
			table->spec.name.text, table->spec.views, table->spec.dim,
			layer->vectors.name.text, layer->vectors.dim);
	}
	if (table->spec.key_type != KEY_NONE && (table->spec.key_type == KEY_BYTES) != strings) {
		return error_set(err, STATUS_BAD_REQUEST,
			"keys of table '%s' are %s, but '%s' has %s", table->spec.name.text,
			strings ? "integers" : "byte strings", keys->name,
			strings ? "byte strings" : "integers");
	}
	return STATUS_OK;
}

static enum status check_tables(const struct set *set, struct error *err)
{
	enum status status = STATUS_OK;
	for (size_t i = 0; i < set->request->table_count && status == STATUS_OK; i++) {
		status = check_table(set, &set->request->tables[i], err);
	}
	return status;
}

/* ---- output ---- */

static enum status add_keys(struct set *set, const char *name, const struct array *keys,
	struct error *err)
{
	char descr[24] = "<u8";
	const size_t key_bytes = sample_key_bytes(keys);
	if (sample_keys_are_strings(keys)) {
		snprintf(descr, sizeof descr, "|S%zu", key_bytes);
	}
	return npz_map_add(&set->out, name, descr, &set->samples.count, 1, err);
}

static enum status add_table(struct set *set, const struct training_table *table, struct error *err)
{
	char name[NPZ_MAP_NAME_BYTES];
	static const uint64_t one = 1;
	const uint64_t count = set->samples.count;
	const uint32_t dim = set->samples.layers[table->layer].vectors.dim;
	const uint64_t shape[2] = {count, dim};
	enum status status = npz_map_add(&set->out, table->spec.name.text, "<f4", shape, 2, err);
	if (status == STATUS_OK) {
		snprintf(name, sizeof name, "%s.weight", table->spec.name.text);
		status = npz_map_add(&set->out, name, "<f8", &count, 1, err);
	}
	if (status == STATUS_OK) {
		snprintf(name, sizeof name, "%s.age", table->spec.name.text);
		status = npz_map_add(&set->out, name, "<i8", &count, 1, err);
	}
	if (status == STATUS_OK) {
		snprintf(name, sizeof name, "%s.entity", table->spec.name.text);
		status = npz_map_add(&set->out, name, "|S4", &one, 1, err);
	}
	return status;
}

static enum status create_output(struct set *set, struct error *err)
{
	const struct training_request *request = set->request;
	enum status status = add_keys(set, "users", &set->samples.users, err);
	if (status == STATUS_OK) {
		status = add_keys(set, "items", &set->samples.items, err);
	}
	if (status == STATUS_OK) {
		status = npz_map_add(&set->out, "times", "<i8", &set->samples.count, 1, err);
	}
	for (size_t i = 0; i < request->table_count && status == STATUS_OK; i++) {
		status = add_table(set, &request->tables[i], err);
	}
	status = status == STATUS_OK ? npz_map_create(&set->out, request->out, err) : status;
	for (size_t i = 0; i < request->table_count && status == STATUS_OK; i++) {
		/* "user" or "item": four letters. */
		memcpy(set->out.arrays[OUT_COLUMNS + OUT_OF_TABLE * i + OUT_ENTITY].data,
			entity_name(request->tables[i].spec.entity), ENTITY_BYTES);
	}
	return status;
}

/* Copies the columns into the output, looks at all vectors, and finds the order. */
static enum status take_samples(struct set *set, struct error *err)
{
	struct sample_arrays *samples = &set->samples;
	struct training_report *report = &set->report;
	uint8_t *times = set->out.arrays[OUT_TIMES].data;
	enum status status = sample_copy_times(samples, times, &report->in_order, err);
	if (status == STATUS_OK) {
		status = sample_copy_keys(&samples->users, set->out.arrays[OUT_USERS].data, err);
	}
	if (status == STATUS_OK) {
		status = sample_copy_keys(&samples->items, set->out.arrays[OUT_ITEMS].data, err);
	}
	for (size_t i = 0; i < samples->layer_count && status == STATUS_OK; i++) {
		status = sample_take_vectors(&samples->layers[i], &set->out.output, err);
	}
	if (status == STATUS_OK && !report->in_order) {
		status = sample_order_make(times, samples->count, &set->out.output, &set->order,
			err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	const uint64_t last = sample_order_row(&set->order, samples->count - 1);
	report->samples = samples->count;
	memcpy(&report->first_ms, times + sample_order_row(&set->order, 0) * sizeof(int64_t),
		sizeof report->first_ms);
	memcpy(&report->last_ms, times + last * sizeof(int64_t), sizeof report->last_ms);
	return STATUS_OK;
}

/* ---- walks ---- */

/* Makes the tables of one side; those of one layer stand side by side. */
static enum status walk_init(struct set *set, enum entity entity, struct walk *out,
	struct error *err)
{
	const struct training_request *request = set->request;
	const bool users = entity == ENTITY_USER;
	const struct array *keys = users ? &set->samples.users : &set->samples.items;
	*out = (struct walk){
		.request = request,
		.what = users ? "user" : "item",
		.tables = calloc(request->table_count, sizeof *out->tables),
		.samples = set->samples.count,
		.order = &set->order,
		.times = set->out.arrays[OUT_TIMES].data,
		.keys = set->out.arrays[users ? OUT_USERS : OUT_ITEMS].data,
		.key_bytes = sample_key_bytes(keys),
		.strings = sample_keys_are_strings(keys),
		.done = users ? 0 : set->samples.count,
		.total = 2 * set->samples.count,
	};
	if (out->tables == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for tables");
	}
	for (size_t layer = 0; layer < set->samples.layer_count; layer++) {
		for (size_t i = 0; i < request->table_count; i++) {
			const struct training_table *table = &request->tables[i];
			const struct npz_array *arrays =
				&set->out.arrays[OUT_COLUMNS + OUT_OF_TABLE * i];
			if (table->layer != layer || table->spec.entity != entity) {
				continue;
			}
			struct walk_table *each = &out->tables[out->table_count++];
			*each = (struct walk_table){
				.number = i,
				.layer = &set->samples.layers[layer].vectors,
				.spec = table->spec,
				.rows = arrays[0].data,
				.weights = arrays[1].data,
				.ages = arrays[2].data,
			};
			each->spec.dim = each->layer->dim;
			each->spec.views = 1;
		}
	}
	return STATUS_OK;
}

static enum status refuse_memory(const struct walk *walk, struct error *err)
{
	return error_set(err, STATUS_TOO_LARGE,
		"--memory: %" PRIu64 " bytes given, too few for one of %d parts of the %ss",
		walk->request->memory_bytes, PARTS_MAX, walk->what);
}

/* Walks through the samples once for each part of the keys. Where a part needs too much memory, all
 * begin again with twice as many parts. */
static enum status walk_parts(struct set *set, struct walk *walk, uint64_t *keys, struct error *err)
{
	uint64_t parts = 1;
	enum status status = STATUS_OK;
	for (uint64_t part = 0; part < parts && status == STATUS_OK; part++) {
		walk->part_mask = parts - 1;
		walk->part = part;
		status = training_walk_run(walk, err);
		set->report.passes++;
		if (status == STATUS_AGAIN && parts == PARTS_MAX) {
			return refuse_memory(walk, err);
		}
		if (status == STATUS_AGAIN) {
			parts *= 2;
			part = UINT64_MAX; /* the first one comes next */
			status = STATUS_OK;
			*keys = 0;
			walk->late = 0;
			for (size_t i = 0; i < walk->table_count; i++) {
				walk->tables[i].count = (struct training_count){0};
			}
			continue;
		}
		*keys += walk->key_count;
		set->report.memory_bytes = walk->bytes > set->report.memory_bytes
						   ? walk->bytes
						   : set->report.memory_bytes;
	}
	return status;
}

/* Refuses states that may hold the samples. */
static enum status check_late(const struct set *set, const struct walk *walk, struct error *err)
{
	int64_t time_ms = 0;
	if (walk->late == 0 || set->request->skip_late) {
		return STATUS_OK;
	}
	memcpy(&time_ms, walk->times + walk->late_row * sizeof time_ms, sizeof time_ms);
	return error_set(err, STATUS_CONFLICT,
		"%" PRIu64
		" rows would be read from states that are not older than their samples, so "
		"they may hold them: sample %" PRIu64 " is of %" PRId64
		", the state of its %s in '%s' is of %" PRId64
		"; states from before the samples are allowed, or --skip-late, which leaves these "
		"rows out",
		walk->late, walk->late_row, time_ms, walk->what, walk->late_table,
		walk->late_state_ms);
}

static enum status walk_side(struct set *set, enum entity entity, uint64_t *keys, struct error *err)
{
	struct walk walk;
	enum status status = walk_init(set, entity, &walk, err);
	if (status == STATUS_OK && walk.table_count > 0) {
		status = walk_parts(set, &walk, keys, err);
	}
	if (status == STATUS_OK) {
		status = check_late(set, &walk, err);
	}
	for (size_t i = 0; status == STATUS_OK && i < walk.table_count; i++) {
		set->report.tables[walk.tables[i].number] = walk.tables[i].count;
	}
	free(walk.tables);
	return status;
}

static enum status make(struct set *set, struct error *err)
{
	struct training_report *report = &set->report;
	const struct sample_paths *paths = &set->request->samples;
	enum status status = sample_paths_keep(paths, set->request->out, err);
	if (status == STATUS_OK) {
		status = sample_arrays_open(paths, set->request->out, &set->samples, err);
	}
	if (status == STATUS_OK) {
		status = check_tables(set, err);
	}
	if (status == STATUS_OK) {
		status = create_output(set, err);
	}
	if (status == STATUS_OK) {
		status = take_samples(set, err);
	}
	if (status == STATUS_OK) {
		status = walk_side(set, ENTITY_USER, &report->users, err);
	}
	if (status == STATUS_OK) {
		status = walk_side(set, ENTITY_ITEM, &report->items, err);
	}
	if (status == STATUS_OK) {
		status = mapping_check(err);
	}
	return status == STATUS_OK ? npz_map_commit(&set->out, err) : status;
}

enum status training_set_make(const struct training_request *request, struct training_report *out,
	struct error *err)
{
	struct set set = {.request = request};
	assert(request->table_count > 0 && request->samples.layer_count > 0);
	set.report.tables = calloc(request->table_count, sizeof *set.report.tables);
	enum status status = set.report.tables != NULL
				     ? make(&set, err)
				     : error_set(err, STATUS_NO_MEMORY, "no memory for tables");
	sample_order_close(&set.order);
	sample_arrays_close(&set.samples);
	npz_map_close(&set.out);
	if (status != STATUS_OK) {
		training_report_fini(&set.report);
		return status;
	}
	*out = set.report;
	return STATUS_OK;
}

void training_report_fini(struct training_report *report)
{
	free(report->tables);
	*report = (struct training_report){0};
}
