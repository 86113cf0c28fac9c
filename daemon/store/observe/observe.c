/* observe.c - a batch of samples into the aggregating tables of its layer, each sample once. */
#include "daemon/store/observe/observe.h"
#include "daemon/store/fold/fold.h"
#include "daemon/store/log/frame_samples.h"
#include "daemon/store/observe/observe_ahead.h"
#include "daemon/store/snapshot/layer.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/write/apply.h"
#include "schema/times.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A batch on its way. */
struct observe {
	const struct observation *given;
	struct table_name table; /* the one that the samples are for; "": all of the layer */
	const char *fed;         /* whose positions are asked: the layer, or that table */
	const char *what;        /* "layer" or "table" */
	struct layer_shape shape;
	float *rows;       /* owned: the samples in f32; NULL: they were given in it */
	uint32_t skipped;  /* samples that were counted before */
	struct keys users; /* of the others, as the next two */
	struct keys items;
	struct samples samples;
	struct frame_position position;
	/* Of part i of the write: what it adds, what it is given, and the number of its table. */
	struct fold folds[LIMIT_PARTS];
	struct table_write writes[LIMIT_PARTS];
	uint64_t tables[LIMIT_PARTS];
	struct frame_samples frame; /* the samples as they go into the log */
};

/* ---- checks ---- */

static enum status check_keys(const struct observe *observe, const struct keys *keys,
	enum key_type wanted, const char *of_layer, struct error *err)
{
	const char *name = observe->given->table != NULL ? "keys" : of_layer;
	const uint32_t count = observe->given->count;
	if (wanted == KEY_NONE) {
		return STATUS_OK; /* no table asks for them */
	}
	if (keys->type == KEY_NONE) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%s: missing, layer '%s' has tables of them", name, observe->fed);
	}
	if (keys->type != wanted) {
		return error_set(err, STATUS_BAD_REQUEST, "%s: %s given, %s '%s' has %s", name,
			key_type_name(keys->type), observe->what, observe->fed,
			key_type_name(wanted));
	}
	return keys->count == count
		       ? STATUS_OK
		       : error_set(err, STATUS_BAD_REQUEST,
				 "%s: %" PRIu32 " given, %" PRIu32 " allowed: as many as times",
				 name, keys->count, count);
}

/* Checks that the batch fits its tables. */
static enum status check_shape(const struct observe *observe, struct error *err)
{
	const struct observation *given = observe->given;
	const struct layer_shape *shape = &observe->shape;
	const size_t row_bytes = dtype_row_bytes(given->dtype, shape->dim, shape->views);
	if (given->rows_bytes != row_bytes * given->count) {
		return error_set(err, STATUS_BAD_REQUEST,
			"rows: %zu bytes given, %zu expected: %" PRIu32
			" samples of %zu bytes (%s '%s' has dim %" PRIu32 ", views %" PRIu32
			", %s)",
			given->rows_bytes, row_bytes * given->count, given->count, row_bytes,
			observe->what, observe->fed, shape->dim, shape->views,
			dtype_name(given->dtype));
	}
	const enum status status =
		check_keys(observe, &given->users, shape->user_key, "users", err);
	return status == STATUS_OK
		       ? check_keys(observe, &given->items, shape->item_key, "items", err)
		       : status;
}

/* Converts the samples to f32 and checks that all are finite. They take at most four times the bytes
 * of their message: when they came as i8. */
static enum status take_rows(struct observe *observe, struct error *err)
{
	const struct observation *given = observe->given;
	const size_t elements = (size_t)observe->shape.dim * observe->shape.views;
	const size_t count = elements * given->count;
	observe->samples.rows = (const float *)(const void *)given->rows;
	if (given->dtype != DTYPE_F32 || (uintptr_t)given->rows % sizeof(float) != 0) {
		observe->rows = malloc(count * sizeof *observe->rows + 1);
		if (observe->rows == NULL) {
			return error_set(err, STATUS_NO_MEMORY,
				"rows: no memory for %" PRIu32 " samples", given->count);
		}
		const struct dtype_rows to = {.dtype = DTYPE_F32, .rows = observe->rows};
		const struct dtype_rows from = {
			.dtype = given->dtype,
			.rows = (void *)given->rows,
			.scales = (void *)given->scales,
		};
		dtype_convert(&to, &from, given->count, observe->shape.dim, observe->shape.views);
		observe->samples.rows = observe->rows;
	}
	const size_t at = dtype_first_nonfinite(DTYPE_F32, observe->samples.rows, count);
	return at == count ? STATUS_OK
			   : error_set(err, STATUS_BAD_REQUEST,
				     "rows: sample %zu, element %zu is not finite", at / elements,
				     at % elements);
}

/* ---- positions ---- */

/* Finds out which of the samples are to be counted, and what the position becomes. */
static enum status find_position(struct observe *observe, const struct release *release,
	struct error *err)
{
	const struct observation *given = observe->given;
	struct frame_position *position = &observe->position;
	if (given->source == NULL) {
		return STATUS_OK;
	}
	enum status status = fed_name_check(observe->fed, strlen(observe->fed), observe->what,
		&position->to.layer, err);
	if (status == STATUS_OK) {
		status = name_check(given->source, strlen(given->source), "source",
			&position->to.source, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	uint64_t next = given->position;
	position->is_first =
		!positions_next(release->positions, observe->fed, given->source, &next);
	if (position->is_first && positions_count(release->positions) >= LIMIT_SOURCES) {
		return error_set(err, STATUS_TOO_LARGE,
			"source: '%s' is one more than the %u that release '%s' has room for: "
			"forget some that send no more (positions.forget, repstore positions "
			"--forget)",
			given->source, LIMIT_SOURCES, release->id.text);
	}
	if (position->is_first && !given->first && given->position != 0) {
		return error_set(err, STATUS_GAP,
			"position: %" PRIu64 " given, nothing of source '%s' is counted in %s "
			"'%s' of release '%s' yet: begin at 0, or say first (--first), and what is "
			"before is not counted there",
			given->position, given->source, observe->what, observe->fed,
			release->id.text);
	}
	if (given->position > next) {
		return error_set(err, STATUS_GAP,
			"position: %" PRIu64 " given, source '%s' is counted up to %" PRIu64
			" in %s '%s': that is the next",
			given->position, given->source, next, observe->what, observe->fed);
	}
	if (given->count > UINT64_MAX - given->position) {
		return error_set(err, STATUS_BAD_REQUEST,
			"position: %" PRIu64 " given, and %" PRIu32 " samples lead beyond 64 bits",
			given->position, given->count);
	}
	assert(next >= given->position);
	const uint64_t behind = given->position + given->count;
	const uint64_t known = next - given->position;
	observe->skipped = known < given->count ? (uint32_t)known : given->count;
	position->before = next;
	position->to.next = behind > next ? behind : next;
	assert(position->to.next >= position->before);
	assert(position->to.next - position->before == given->count - observe->skipped);
	return STATUS_OK;
}

static void skip_keys(const struct keys *from, uint32_t skipped, struct keys *to)
{
	*to = *from;
	to->count = from->count - skipped;
	if (from->type == KEY_BYTES) {
		to->at = from->at + skipped;
	} else if (from->type == KEY_U64) {
		to->packed = from->packed + (size_t)skipped * 8;
	}
}

static void skip_samples(struct observe *observe)
{
	const struct observation *given = observe->given;
	const uint32_t skipped = observe->skipped;
	assert(skipped <= given->count);
	const size_t elements = (size_t)observe->shape.dim * observe->shape.views;
	skip_keys(&given->users, skipped, &observe->users);
	skip_keys(&given->items, skipped, &observe->items);
	observe->samples.count = given->count - skipped;
	observe->samples.rows += skipped * elements;
	observe->samples.times = given->times + (size_t)skipped * 8;
}

/* ---- the batch ---- */

/* Lists the keys of the table's side, unless the fold of another table has. */
static enum status init_fold(struct observe *observe, size_t i, const struct table *table,
	struct error *err)
{
	const enum entity entity = table->spec.entity;
	for (size_t j = 0; j < i; j++) {
		if (observe->folds[j].table->spec.entity == entity) {
			fold_init_like(&observe->folds[i], table, &observe->folds[j]);
			return STATUS_OK;
		}
	}
	return fold_init(&observe->folds[i], table,
		entity == ENTITY_USER ? &observe->users : &observe->items, err);
}

static enum status fold_table(struct observe *observe, struct apply *apply,
	const struct table *table, struct error *err)
{
	lock_assert_held(&apply->writer->apply_lock);
	assert(apply->part_count < LIMIT_PARTS); /* layer_check_table bounds a layer's tables */
	const size_t i = apply->part_count++;
	struct fold *fold = &observe->folds[i]; /* zeroed, should the table be refused */
	struct table_write *write = &observe->writes[i];
	struct write_part *part = &apply->parts[i];
	observe->tables[i] = table->number;
	write->table = table->spec.name.text;
	*part = (struct write_part){.given = write,
		.kind = FRAME_SAMPLES,
		.table = table,
		.now_ms = observe->given->now_ms};
	enum status status = write_part_check_table(table, err);
	if (status == STATUS_OK) {
		status = init_fold(observe, i, table, err);
	}
	write->batch.keys = fold->keys;
	part->room = &fold->room;
	if (status == STATUS_OK) {
		status = apply_take(apply, part, err);
	}
	if (status == STATUS_OK) {
		const struct memtable_change change = apply_change(apply, table);
		status = fold_run(fold, &change, &observe->samples, observe->given->now_ms, err);
	}
	return status;
}

/* The keys of one side of the samples, if its tables have them; *bytes: their size. */
static struct keys side_keys(const struct keys *keys, bool are_wanted, size_t *bytes)
{
	*bytes = 0;
	if (!are_wanted) {
		return (struct keys){.type = KEY_NONE};
	}
	return (struct keys){
		.type = keys->type,
		.count = keys->count,
		.packed = keys_piece(keys, bytes),
	};
}

/* Says what the log gets of the batch. */
static void log_samples(struct observe *observe, struct apply *apply)
{
	const struct layer_shape *shape = &observe->shape;
	struct frame_samples *frame = &observe->frame;
	*frame = (struct frame_samples){
		.count = observe->samples.count,
		.elements = shape->dim * shape->views,
		.times = observe->samples.times,
		.rows = observe->samples.rows,
		.table_count = (uint32_t)apply->part_count,
		.tables = (const uint8_t *)observe->tables,
	};
	frame->users = side_keys(&observe->users, shape->user_key != KEY_NONE, &frame->user_bytes);
	frame->items = side_keys(&observe->items, shape->item_key != KEY_NONE, &frame->item_bytes);
	apply->samples = frame;
}

/* Finds out what the tables that take the samples have in common. */
static enum status find_shape(struct observe *observe, const struct release *release,
	struct error *err)
{
	const struct observation *given = observe->given;
	observe->what = given->table != NULL ? "table" : "layer";
	observe->fed = given->layer;
	if (given->table == NULL) {
		return layer_find(release, given->layer, &observe->shape, err);
	}
	const struct table *table;
	const enum status status = release_table(release, given->table, &table, err);
	if (status != STATUS_OK) {
		return status;
	}
	const struct table_spec *spec = &table->spec;
	const bool of_users = spec->entity == ENTITY_USER;
	observe->table = spec->name;
	observe->fed = observe->table.text;
	observe->shape = (struct layer_shape){
		.dim = spec->dim,
		.views = spec->views,
		.user_key = of_users ? spec->key_type : KEY_NONE,
		.item_key = of_users ? KEY_NONE : spec->key_type,
		.tables = 1,
	};
	return spec->history != 0
		       ? STATUS_OK
		       : error_set(err, STATUS_BAD_REQUEST,
				 "table: '%s' has no histories to append to (%s is for it)",
				 spec->name.text, spec_takes_samples(spec) ? "observe" : "put");
}

static bool takes(const struct observe *observe, const struct table *table)
{
	return observe->given->table != NULL
		       ? strcmp(table->spec.name.text, observe->table.text) == 0
		       : layer_has(table, observe->given->layer);
}

static enum status prepare(struct observe *observe, struct apply *apply, struct error *err)
{
	const struct release *release = apply->release;
	enum status status = find_shape(observe, release, err);
	if (status == STATUS_OK) {
		status = check_shape(observe, err);
	}
	if (status == STATUS_OK) {
		status = take_rows(observe, err);
	}
	if (status == STATUS_OK) {
		status = find_position(observe, release, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	skip_samples(observe);
	if (observe->samples.count == 0) {
		return STATUS_OK;
	}
	apply->position = observe->given->source == NULL ? NULL : &observe->position;
	for (size_t i = 0; status == STATUS_OK && i < release->table_count; i++) {
		if (takes(observe, release->tables[i])) {
			status = fold_table(observe, apply, release->tables[i], err);
		}
	}
	log_samples(observe, apply);
	return status;
}

/* Counts the samples for their tables. */
static void count_samples(struct store *store, const struct observe *observe,
	const struct name *release_id)
{
	const struct snapshot *snapshot = snapshot_begin(store);
	const struct release *release = NULL;
	(void)snapshot_release(snapshot, release_id->text, &release, NULL);
	for (size_t i = 0; release != NULL && i < release->table_count; i++) {
		struct table_counts *counts = release->tables[i]->counts;
		if (counts != NULL && takes(observe, release->tables[i])) {
			counter_add(&counts->samples[TABLE_SAMPLES_COUNTED],
				observe->samples.count);
			counter_add(&counts->samples[TABLE_SAMPLES_REPEATED], observe->skipped);
		}
	}
	snapshot_end(store);
}

enum status store_observe(struct store *store, const struct observation *samples,
	struct observe_result *out, struct write_ticket **ticket, struct error *err)
{
	enum status status =
		times_check(samples->times, samples->count, TIMES_ANY, 0, "sample", err);
	if (status != STATUS_OK) {
		return status;
	}
	struct apply apply;
	const struct write_ahead ahead = observe_ahead(samples);
	const struct apply_given given = {samples->release, samples->now_ms, samples->stop, &ahead};
	status = apply_begin(&apply, store, &given, err);
	if (status != STATUS_OK) {
		return status;
	}
	apply.write = WRITE_KIND_OBSERVE;
	struct observe observe;
	memset(&observe, 0, sizeof observe);
	observe.given = samples;
	status = prepare(&observe, &apply, err);
	const size_t folds = apply.part_count;
	status = apply_end(&apply, status, &out->write, ticket, err);
	if (status == STATUS_OK) {
		assert(folds > 0 || observe.samples.count == 0); /* a layer has tables */
		out->write.count = observe.samples.count;
		out->next = observe.position.to.next;
		count_samples(store, &observe, &out->write.release);
	}
	for (size_t i = 0; i < folds; i++) {
		fold_fini(&observe.folds[i]);
	}
	free(observe.rows);
	return status;
}
