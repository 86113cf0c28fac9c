/* rows.c - blocks of rows: those of the memtable are copied side by side, those of the base files
 * stay where they are. */
#include "daemon/store/read/rows.h"

#include "daemon/store/base/base.h"
#include "daemon/store/memtable/generation.h"
#include "daemon/store/memtable/memtable_pin.h"
#include "daemon/store/snapshot/level.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* So many rows of a stream are read at once: they are still in the cache when they are copied. */
enum { STREAM_ROWS = 64 };

/* ---- ids: a row of the files has its number, one of the memtable its entry's address ---- */

static const struct memtable_entry *entry_of(uint64_t id)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): rows_id_of_entry made it. */
	return (const struct memtable_entry *)(uintptr_t)id;
}

static const struct rows_segment *segment_of(const struct rows *rows, uint64_t number)
{
	size_t from = 0;
	size_t behind = rows->segment_count;
	assert(rows->segments != NULL);
	while (behind - from > 1) {
		const size_t middle = from + (behind - from) / 2;
		if (rows->segments[middle].first <= number) {
			from = middle;
		} else {
			behind = middle;
		}
	}
	return &rows->segments[from];
}

/* The first segment of a file: those of a level stand in the order of its files. */
static struct rows_segment *first_segment(const struct rows *rows, size_t level, size_t file)
{
	const struct base_file_info *files = rows->table->levels[level]->files;
	size_t at = 0;
	assert(file < rows->table->levels[level]->file_count);
	for (size_t i = 0; i < level; i++) {
		at += rows->table->levels[i]->set->segment_count;
	}
	for (size_t i = 0; i < file; i++) {
		at += files[i].segment_count;
	}
	assert(at < rows->segment_count);
	return &rows->segments[at];
}

uint64_t rows_first_of(const struct rows *rows, size_t level, size_t file)
{
	return first_segment(rows, level, file)->first;
}

uint64_t rows_skip_file(struct rows *rows, size_t level, size_t file)
{
	struct rows_segment *first = first_segment(rows, level, file);
	for (size_t i = 0; i < rows->table->levels[level]->files[file].segment_count; i++) {
		first[i].is_skipped = true;
	}
	return first->first;
}

struct row_place rows_place(const struct rows *rows, uint64_t number)
{
	const struct rows_segment *segment = segment_of(rows, number);
	return (struct row_place){
		.view = &segment->set->segments[segment->number]->view,
		.row = (uint32_t)(number - segment->first),
		.level = segment->level,
	};
}

enum status rows_get(const struct rows *rows, uint64_t id, struct frame_row *out)
{
	*out = (struct frame_row){0};
	if (id < rows_first_base_id) {
		const struct memtable_entry *entry = entry_of(id);
		const struct row_version *version = entry_version(entry, rows->visible);
		assert(version != NULL); /* else the walk would not have brought the id */
		assert(!version->deleted);
		out->key = entry->key;
		out->key_len = entry->key_len;
		out->time_ms = version->time_ms;
		out->tags = version->tags;
		out->scale = version->scale;
		out->data = version->row;
		out->low = row_version_low(version, &rows->table->spec);
		return STATUS_OK;
	}
	const struct row_place place = rows_place(rows, id - rows_first_base_id);
	const struct segment *view = place.view;
	const uint32_t row = place.row;
	if (segment_is_deleted(view, row)) {
		return STATUS_NOT_FOUND;
	}
	if (!segment_key(view, row, &out->key, &out->key_len)) {
		return STATUS_CORRUPT;
	}
	out->time_ms = view->times[row];
	out->tags = view->tags == NULL ? 0 : view->tags[row];
	out->scale = view->scales == NULL ? 0 : view->scales[row];
	out->data = view->row_data + (size_t)row * view->row_bytes;
	out->low = segment_low(view, row);
	return STATUS_OK;
}

enum status rows_get_key(const struct rows *rows, uint64_t id, const uint8_t **key, size_t *len)
{
	if (id < rows_first_base_id) {
		*key = entry_of(id)->key;
		*len = entry_of(id)->key_len;
		return STATUS_OK;
	}
	const struct row_place place = rows_place(rows, id - rows_first_base_id);
	if (segment_is_deleted(place.view, place.row)) {
		return STATUS_NOT_FOUND;
	}
	return segment_key(place.view, place.row, key, len) ? STATUS_OK : STATUS_CORRUPT;
}

void rows_prefetch_key(const struct rows *rows, uint64_t id)
{
	if (id >= rows_first_base_id) {
		const struct row_place place = rows_place(rows, id - rows_first_base_id);
		const struct segment *view = place.view;
		if (view->keys != NULL) {
			__builtin_prefetch(&view->keys[place.row]);
		} else {
			__builtin_prefetch(&view->key_offsets[place.row]);
		}
	} else {
		__builtin_prefetch(entry_of(id));
	}
}

bool rows_is_superseded(const struct rows *rows, uint64_t id, const uint8_t *key, size_t len)
{
	if (!rows_may_be_superseded(rows, id)) {
		return false;
	}
	struct rows_asked asked = {.id = id, .key = key, .len = len};
	if (id >= rows_first_base_id) {
		asked.level = segment_of(rows, id - rows_first_base_id)->level;
		asked.hash = siphash(&rows->table->seed, key, len);
	}
	return rows_answer(rows, &asked);
}

enum status rows_ask(const struct rows *rows, uint64_t id, const struct row_place *place,
	struct rows_asked *out)
{
	const struct table *table = rows->table;
	*out = (struct rows_asked){.id = id};
	if (id < rows_first_base_id) {
		const struct memtable_entry *entry = entry_of(id);
		out->key = entry->key;
		out->len = entry->key_len;
		out->hash = entry->hash;
	} else if (segment_key(place->view, place->row, &out->key, &out->len)) {
		out->level = place->level;
		out->hash = siphash(&table->seed, out->key, out->len);
		table_prefetch_filter(table, out->hash);
	} else {
		return STATUS_CORRUPT;
	}
	memtable_prefetch_slot(&rows->memtable, out->hash);
	return STATUS_OK;
}

void rows_ask_entry(const struct rows *rows, const struct rows_asked *asked)
{
	memtable_prefetch_entry(&rows->memtable, asked->hash);
	if (asked->id >= rows_first_base_id) {
		table_prefetch_above(rows->table, asked->level, asked->hash);
	}
}

void rows_ask_version(const struct rows *rows, const struct rows_asked *asked)
{
	memtable_prefetch_version(&rows->memtable, asked->hash);
}

bool rows_answer(const struct rows *rows, const struct rows_asked *asked)
{
	const struct table *table = rows->table;
	if (asked->id < rows_first_base_id) {
		return memtable_stream_is_behind(&rows->stream, entry_of(asked->id));
	}
	return memtable_get(&rows->memtable, rows->visible, asked->hash, asked->key, asked->len) !=
		       NULL ||
	       table_is_above(table, asked->level, asked->hash, asked->key, asked->len);
}

bool rows_is_newest(const struct rows *rows, const struct memtable_entry *entry,
	const struct row_version *version)
{
	return entry_version(entry, rows->visible) == version;
}

int rows_compare_keys(const struct rows *rows, uint64_t a, uint64_t b)
{
	struct frame_row left;
	struct frame_row right;
	if (rows_get(rows, a, &left) != STATUS_OK || rows_get(rows, b, &right) != STATUS_OK) {
		return 0;
	}
	if (rows->table->spec.key_type == KEY_U64) {
		uint64_t x;
		uint64_t y;
		memcpy(&x, left.key, sizeof x);
		memcpy(&y, right.key, sizeof y);
		return (x > y) - (x < y);
	}
	const size_t len = left.key_len < right.key_len ? left.key_len : right.key_len;
	const int order = memcmp(left.key, right.key, len);
	return order != 0 ? order : (left.key_len > right.key_len) - (left.key_len < right.key_len);
}

/* ---- the memtable ---- */

/* Makes room for a block of rows of the memtable. */
static enum status make_room(struct rows *rows)
{
	const size_t count = rows->rows_max;
	const size_t row_bytes = (spec_row_bytes(&rows->table->spec) * count + 7) / 8 * 8;
	uint8_t *room = malloc(row_bytes + count * (8 + 8 + 8 + 4));
	if (room == NULL) {
		return STATUS_NO_MEMORY;
	}
	rows->data = room;
	rows->times = (int64_t *)(void *)(room + row_bytes);
	rows->tags = (uint64_t *)(rows->times + count);
	rows->ids = rows->tags + count;
	rows->scales = (float *)(rows->ids + count);
	if (rows->table->spec.index == INDEX_NONE) {
		return STATUS_OK;
	}
	rows->news.rows = malloc(STREAM_ROWS * sizeof *rows->news.rows);
	rows->news.capacity = STREAM_ROWS;
	return rows->news.rows == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

static void copy_row(struct rows *rows, const struct memtable_row *row)
{
	const size_t row_bytes = spec_row_bytes(&rows->table->spec);
	const struct row_version *version = row->version;
	const uint32_t i = rows->block.count++;
	memcpy(rows->data + i * row_bytes, version->row, row_bytes);
	rows->scales[i] = version->scale;
	rows->times[i] = version->time_ms;
	rows->tags[i] = version->tags;
	rows->ids[i] = rows_id_of_entry(row->entry);
}

struct memtable_stream *rows_stream(struct rows *rows)
{
	assert(rows->table->spec.index != INDEX_NONE);
	if (!rows->is_streaming && rows->part < MEMTABLE_BUCKETS) {
		memtable_stream_begin(&rows->memtable, rows->visible, &rows->stream);
		rows->is_streaming = true;
	}
	return &rows->stream;
}

/* Gets more rows of the memtable, if there are any. */
static enum status get_news(struct rows *rows)
{
	rows->news.count = 0;
	rows->news_at = 0;
	if (rows->table->spec.index == INDEX_NONE) {
		return memtable_gather(&rows->memtable, rows->part++, rows->visible, &rows->news);
	}
	rows->news.count =
		memtable_stream_next(rows_stream(rows), rows->news.rows, rows->news.capacity);
	rows->part = rows->news.count == 0 ? MEMTABLE_BUCKETS : 0;
	return STATUS_OK;
}

/* Fills a block with rows of the memtable; its count is 0 when none is left. */
static enum status next_news(struct rows *rows)
{
	const struct table_spec *spec = &rows->table->spec;
	rows->block = (struct row_block){
		.data = rows->data,
		.scales = spec->dtype == DTYPE_I8 ? rows->scales : NULL,
		.times = rows->times,
		.tags = spec->tags ? rows->tags : NULL,
		.ids = rows->ids,
	};
	while (rows->block.count < rows->rows_max) {
		if (rows->news_at < rows->news.count) {
			const struct memtable_row *row = &rows->news.rows[rows->news_at++];
			if (!row->version->deleted) {
				copy_row(rows, row);
			}
			continue;
		}
		if (rows->part == MEMTABLE_BUCKETS) {
			break;
		}
		const enum status status = get_news(rows);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

/* ---- the files ---- */

/* How many rows from `at` on are no tombstones, `most` at most; 0 only at the segment's end. Tombstones
 * in front of them are passed over. */
static uint32_t count_rows(const struct segment *view, uint32_t *at, uint32_t most)
{
	while (*at < view->rows && segment_is_deleted(view, *at)) {
		++*at;
	}
	const uint32_t left = view->rows - *at;
	const uint32_t count = left < most ? left : most;
	for (uint32_t i = 0; view->deleted != NULL && i < count; i++) {
		if (segment_is_deleted(view, *at + i)) {
			return i;
		}
	}
	return count;
}

static enum status next_base(struct rows *rows)
{
	rows->block = (struct row_block){0};
	while (rows->segment < rows->segment_count) {
		const struct rows_segment *on_walk = &rows->segments[rows->segment];
		if (on_walk->is_skipped) {
			rows->segment++;
			continue;
		}
		struct base_segment *segment = on_walk->set->segments[on_walk->number];
		const struct segment *view = &segment->view;
		if (rows->row == 0 && base_segment_state(segment) != BASE_READY &&
			base_segment_wait(on_walk->set, on_walk->number) != BASE_READY) {
			return STATUS_CORRUPT;
		}
		assert(view->rows == segment->info->rows); /* as list_segments took for granted */
		assert(rows->row <= view->rows);
		const uint32_t count = count_rows(view, &rows->row, rows->rows_max);
		if (count > 0) {
			const uint32_t at = rows->row;
			rows->block = (struct row_block){
				.count = count,
				.data = view->row_data + at * view->row_bytes,
				.scales = view->scales == NULL ? NULL : view->scales + at,
				.times = view->times + at,
				.tags = view->tags == NULL ? NULL : view->tags + at,
				.first_id = rows_first_base_id + on_walk->first + at,
			};
			rows->row += rows->block.count;
			return STATUS_OK;
		}
		rows->segment++;
		rows->row = 0;
	}
	return STATUS_OK;
}

/* ---- the walk ---- */

/* Lists the segments of all levels, with the number that the first row of each has. */
static enum status list_segments(struct rows *rows)
{
	const struct table *table = rows->table;
	const size_t count = table_segment_count(table);
	uint64_t first = 0;
	if (count == 0) {
		return STATUS_OK;
	}
	rows->segments = malloc(count * sizeof *rows->segments);
	if (rows->segments == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (uint32_t i = 0; i < table->level_count; i++) {
		struct base_set *set = table->levels[i]->set;
		for (uint32_t j = 0; j < set->segment_count; j++) {
			rows->segments[rows->segment_count++] =
				(struct rows_segment){first, set, j, i, false};
			first += set->segments[j]->info->rows;
		}
	}
	assert(rows->segment_count == count);
	return STATUS_OK;
}

enum status rows_begin(struct rows *rows, const struct table *table, uint64_t visible,
	uint32_t rows_max)
{
	assert(rows_max >= 1);
	*rows = (struct rows){.table = table, .visible = visible, .rows_max = rows_max};
	const enum status status = list_segments(rows);
	if (status != STATUS_OK) {
		return status;
	}
	memtable_see(table->memtable, &rows->memtable);
	if (memtable_is_empty(&rows->memtable)) {
		rows->part = MEMTABLE_BUCKETS;
		return STATUS_OK;
	}
	return make_room(rows);
}

void rows_end(struct rows *rows)
{
	free(rows->data);
	free(rows->segments);
	free(rows->news.rows);
	*rows = (struct rows){0};
}

enum status rows_next(struct rows *rows)
{
	assert(rows->news_at <= rows->news.count);
	if (rows->part < MEMTABLE_BUCKETS || rows->news_at < rows->news.count) {
		const enum status status = next_news(rows);
		assert(rows->block.count <= rows->rows_max); /* the room that there is */
		if (status != STATUS_OK || rows->block.count > 0) {
			return status;
		}
	}
	return next_base(rows);
}
