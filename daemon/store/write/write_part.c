/* write_part.c - the rows of one table on their way into the log and the memtable. */
#include "daemon/store/write/write_part.h"

#include "daemon/store/base/base.h"
#include "daemon/store/base/find.h"
#include "daemon/store/row/age.h"
#include "daemon/store/row/stored.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_range.h"
#include "daemon/store/system/mapfault.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BASE_ABSENT INT64_MIN

/* ---- checks ---- */

enum status write_part_check_table(const struct table *table, struct error *err)
{
	return table_is_damaged(table)
		       ? error_set(err, STATUS_CORRUPT,
				 "table: a segment of '%s' is damaged, so nothing can be merged into it",
				 table->spec.name.text)
		       : STATUS_OK;
}

static enum status find_table(struct write_part *part, const struct release *release,
	struct error *err)
{
	const enum status status = release_table(release, part->given->table, &part->table, err);
	return status == STATUS_OK ? write_part_check_table(part->table, err) : status;
}

static enum status check_keys(const struct write_part *part, struct error *err)
{
	const struct table_spec *spec = &part->table->spec;
	const struct keys *keys = &part->given->batch.keys;
	return keys->type == spec->key_type
		       ? STATUS_OK
		       : error_set(err, STATUS_BAD_REQUEST, "keys: %s given, table '%s' has %s",
				 key_type_name(keys->type), spec->name.text,
				 key_type_name(spec->key_type));
}

/* Converts the rows to the table's dtype, unless they came in it. Their memory is bounded by what
 * apply_take has counted. */
static enum status convert(struct write_part *part, struct error *err)
{
	const struct row_batch *batch = &part->given->batch;
	const struct table_spec *spec = &part->table->spec;
	const size_t count = batch->keys.count;
	enum status status = batch_check(batch, spec, err);
	part->rows = batch->rows;
	part->scales = batch->scales;
	if (status != STATUS_OK || stored_is_given(spec, batch) || count == 0) {
		return status;
	}
	const size_t scales_bytes = spec->dtype == DTYPE_I8 ? count * sizeof(float) : 0;
	part->kept = malloc(scales_bytes + count * spec_stored_bytes(spec));
	if (part->kept == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "rows: no memory for %zu", count);
	}
	part->rows = part->kept + scales_bytes;
	part->scales = part->kept;
	stored_take(spec, batch, part->kept + scales_bytes, (float *)(void *)part->kept);
	return batch_check_stored(batch, spec, part->kept + scales_bytes,
		(const float *)(const void *)part->kept, err);
}

/* ---- what is there ---- */

/* The time of a row that is there, of what the memtable has or else of what a file has. */
static int64_t time_of(const struct row_version *version, const struct found_row *found)
{
	if (version != NULL) {
		return version->deleted ? BASE_ABSENT : version->time_ms;
	}
	return found->segment == NULL || found_is_deleted(found)
		       ? BASE_ABSENT
		       : found->segment->view.times[found->row];
}

/* Keys that the memtable has need no row of the base. What it has is kept for those too: a merge may take it out, once
 * the base has it, before the rows are linked. */
static enum status look_at_base(struct write_part *part)
{
	const struct keys *keys = &part->given->batch.keys;
	const struct row_version *versions[FIND_BLOCK];
	struct found_row rows[FIND_BLOCK];
	uint64_t hashes[FIND_BLOCK];
	const struct memtable_question question = {
		.keys = keys,
		.hashes = hashes,
		.visible = UINT64_MAX, /* as memtable_newest */
		.row_bytes = spec_stored_bytes(&part->table->spec),
	};
	const struct find find = {
		.keys = keys,
		.hashes = hashes,
		.known = versions,
		.wants = FIND_TIMES,
		.may_block = true,
	};
	for (uint32_t first = 0; first < keys->count; first += FIND_BLOCK) {
		const uint32_t left = keys->count - first;
		const uint32_t count = left < FIND_BLOCK ? left : FIND_BLOCK;
		keys_hash(keys, &part->table->seed, first, count, hashes);
		memtable_find(part->table->memtable, &question, first, count, versions);
		const enum status status = table_find_rows(part->table, &find, first, count, rows);
		if (status != STATUS_OK) {
			return status;
		}
		for (uint32_t i = 0; i < count; i++) {
			if (rows[i].row == (uint32_t)FIND_CORRUPT) {
				return STATUS_CORRUPT;
			}
			part->base_times[first + i] = time_of(versions[i], &rows[i]);
		}
	}
	return STATUS_OK;
}

/* Whether it depends on the rows of the base which rows are wanted. */
static bool needs_base(const struct write_part *part)
{
	return part->table->bases != NULL && (part->kind == FRAME_DELETE || part->if_newer);
}

/* Takes the times of the rows that are there, if they are needed. */
static enum status read_base(struct write_part *part, struct error *err)
{
	const uint32_t count = part->given->batch.keys.count;
	if (!needs_base(part)) {
		return STATUS_OK;
	}
	part->base_times = malloc((size_t)count * sizeof *part->base_times + 1);
	if (part->base_times == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for %" PRIu32 " keys", count);
	}
	enum status status;
	unsigned faults;
	do {
		faults = mapfault_count();
		status = look_at_base(part);
	} while (status == STATUS_OK && mapfault_count() != faults);
	return status == STATUS_OK
		       ? status
		       : error_set(err, status,
				 "table: a segment of '%s' that has some of the keys is damaged",
				 part->table->spec.name.text);
}

/* Whether key i has a row that has not expired, and its time. */
static bool is_there(const struct write_part *part, uint32_t i, uint64_t hash, int64_t *time_ms)
{
	size_t len;
	const uint8_t *key = keys_bytes(&part->given->batch.keys, i, &len);
	const struct row_version *newest = memtable_newest(part->table->memtable, hash, key, len);
	if (newest != NULL) {
		*time_ms = newest->time_ms;
	} else {
		*time_ms = part->base_times == NULL ? BASE_ABSENT : part->base_times[i];
	}
	return *time_ms != BASE_ABSENT && (newest == NULL || !newest->deleted) &&
	       !age_is_over(*time_ms, part->now_ms, part->table->spec.ttl_ms);
}

/* ---- rows ---- */

static struct frame_row row_of(const struct write_part *part, uint32_t i)
{
	const struct row_batch *batch = &part->given->batch;
	const struct table_spec *spec = &part->table->spec;
	struct frame_row row = {.time_ms = part->now_ms};
	row.key = keys_bytes(&batch->keys, i, &row.key_len);
	if (part->kind == FRAME_DELETE) {
		return row;
	}
	row.time_ms = batch_time(batch, i, part->now_ms);
	row.tags = batch_tags(batch, i);
	row.data = part->rows + i * spec_stored_bytes(spec);
	row.low = spec_low_behind(spec, row.data);
	if (spec->dtype == DTYPE_I8) {
		memcpy(&row.scale, part->scales + (size_t)i * 4, 4);
	}
	return row;
}

static bool is_wanted(const struct write_part *part, uint32_t i, uint64_t hash,
	const struct frame_row *row)
{
	int64_t time_ms;
	if (part->kind == FRAME_PUT) {
		return !part->if_newer || !is_there(part, i, hash, &time_ms) ||
		       row->time_ms > time_ms;
	}
	return is_there(part, i, hash, &time_ms);
}

/* What one row of the part needs. */
struct link {
	const struct write_part *part;
	const struct memtable_change *change;
	uint8_t *end;
	uint32_t rows;
};

/* Links one row and writes it into the frame, if it is wanted. */
static enum status link_row(struct link *link, uint32_t i, uint64_t hash)
{
	const struct write_part *part = link->part;
	const struct frame_row row = row_of(part, i);
	assert((row.data == NULL) == (part->kind == FRAME_DELETE));
	if (!is_wanted(part, i, hash, &row)) {
		return STATUS_OK;
	}
	const enum status status = memtable_put(part->table->memtable, link->change, hash, &row);
	if (status == STATUS_OK) {
		link->end = frame_put_row(link->end, &part->table->spec, part->kind, &row);
		link->rows++;
	}
	return status;
}

static enum status link_rows(struct link *link)
{
	const struct write_part *part = link->part;
	const struct keys *keys = &part->given->batch.keys;
	uint64_t hashes[FIND_BLOCK];
	assert(keys->type == part->table->spec.key_type);
	assert(part->base_times != NULL || !needs_base(part)); /* write_part_prepare came before */
	for (uint32_t first = 0; first < keys->count; first += FIND_BLOCK) {
		const uint32_t left = keys->count - first;
		const uint32_t count = left < FIND_BLOCK ? left : FIND_BLOCK;
		keys_hash(keys, &part->table->seed, first, count, hashes);
		memtable_prefetch(part->table->memtable, hashes, count);
		for (uint32_t i = 0; i < count; i++) {
			const enum status status = link_row(link, first + i, hashes[i]);
			if (status != STATUS_OK) {
				return status;
			}
		}
	}
	return STATUS_OK;
}

/* Links the rows of a table and makes them a part of the frame. */
static enum status link_part(const struct write_part *part, const struct memtable_change *change,
	uint8_t **end, uint32_t *rows)
{
	struct link link = {.part = part, .change = change, .end = *end + FRAME_PART_BYTES};
	assert(frame_is_of_table(part->kind));
	const enum status status = link_rows(&link);
	*rows = link.rows;
	if (link.rows > 0) {
		const struct frame_part head = {
			.kind = part->kind,
			.rows = link.rows,
			.table = part->table->number,
		};
		*end = frame_end_part(*end, link.end, &head);
	}
	return status;
}

enum status write_part_link(const struct write_part *part, const struct memtable_change *change,
	uint8_t **end, uint32_t *rows, struct error *err)
{
	const enum status status = part->kind == FRAME_SAMPLES
					   ? memtable_room_link(part->room, rows)
					   : link_part(part, change, end, rows);
	assert(*rows <= part->given->batch.keys.count);
	return status == STATUS_OK ? status
				   : error_set(err, status, "keys: no memory for %" PRIu32 " rows",
					     part->given->batch.keys.count);
}

/* ---- the part ---- */

enum status write_part_find(struct write_part *part, const struct release *release,
	struct error *err)
{
	const enum status status = find_table(part, release, err);
	return status == STATUS_OK ? check_keys(part, err) : status;
}

enum status write_part_prepare(struct write_part *part, struct error *err)
{
	const enum status status = part->kind == FRAME_PUT ? convert(part, err) : STATUS_OK;
	return status == STATUS_OK ? read_base(part, err) : status;
}

size_t write_part_bytes_max(const struct write_part *part)
{
	const struct keys *keys = &part->given->batch.keys;
	size_t bytes = 0;
	for (uint32_t i = 0; i < keys->count; i++) {
		size_t len;
		(void)keys_bytes(keys, i, &len);
		bytes += len;
	}
	return frame_part_bytes_max(&part->table->spec, part->kind, keys->count, bytes);
}

void write_part_end(struct write_part *part)
{
	if (part->room != NULL) {
		memtable_room_end(part->room);
	}
}

void write_part_fini(struct write_part *part)
{
	free(part->base_times);
	free(part->kept);
}
