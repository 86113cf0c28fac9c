/* index_known.c - walks old and new files of a table side by side, and looks which rows
 * did not change. */
#include "daemon/store/indexing/index_known.h"

#include "daemon/store/base/base.h"
#include "daemon/store/index/indexes.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_range.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/snapshot/table_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A walk through all rows of a file, in the order of (hash, key). */
struct walk {
	const struct base_set *set;
	size_t segment;
	size_t end; /* behind the last segment of the file */
	uint32_t row;
	uint64_t number; /* of the row in the file */
	uint64_t hash;
	const uint8_t *key;
	size_t key_len;
};

/* Reads the row that the walk is at, if need be in the next segment; false behind the last. */
static bool read_walk(struct walk *walk)
{
	const struct segment *view = NULL;
	while (walk->segment < walk->end) {
		view = &walk->set->segments[walk->segment]->view;
		if (walk->row < view->rows) {
			break;
		}
		walk->segment++;
		walk->row = 0;
	}
	if (walk->segment == walk->end || view == NULL ||
		!segment_key(view, walk->row, &walk->key, &walk->key_len)) {
		return false;
	}
	walk->hash = siphash(&view->seed, walk->key, walk->key_len);
	return true;
}

static bool step(struct walk *walk)
{
	walk->row++;
	walk->number++;
	return read_walk(walk);
}

static int compare(const struct walk *a, const struct walk *b)
{
	if (a->hash != b->hash) {
		return a->hash < b->hash ? -1 : 1;
	}
	const size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
	const int order = memcmp(a->key, b->key, len);
	return order != 0 ? order : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static bool same_row(const struct walk *a, const struct walk *b)
{
	const struct segment *x = &a->set->segments[a->segment]->view;
	const struct segment *y = &b->set->segments[b->segment]->view;
	return memcmp(x->row_data + (size_t)a->row * x->row_bytes,
		       y->row_data + (size_t)b->row * y->row_bytes, x->row_bytes) == 0 &&
	       (x->scales == NULL || x->scales[a->row] == y->scales[b->row]);
}

/* Begins with the segment that has a hash, or behind it. False: there is no row. */
static bool begin_walk(struct walk *walk, const struct level *level, size_t file, uint64_t hash)
{
	size_t first = 0;
	for (size_t i = 0; i < file; i++) {
		first += level->files[i].segment_count;
	}
	*walk = (struct walk){
		.set = level->set,
		.segment = first,
		.end = first + level->files[file].segment_count,
	};
	for (; walk->segment + 1 < walk->end; walk->segment++) {
		if (walk->set->segments[walk->segment + 1]->info->prefix > hash) {
			break;
		}
		walk->number += walk->set->segments[walk->segment]->info->rows;
	}
	return read_walk(walk);
}

/* What index_known works on. */
struct knowing {
	const struct level *level; /* the file is of */
	size_t file;
	struct hash_range range; /* of the file */
	uint64_t rows;
	uint32_t *known;
	/* Of the files of the base before. */
	uint64_t old_rows;
	uint64_t old_changed;
};

/* Notes the balls of the rows that an old file has as they are in the new one. Returns how many these are. Errors:
 * NO_MEMORY. */
static enum status know_file(const struct knowing *knowing, const struct level *level, size_t file,
	const struct index *index, uint64_t *same)
{
	const uint64_t rows = index_file_rows(&level->files[file]);
	uint32_t *balls = malloc((rows + 1) * sizeof *balls);
	if (balls == NULL) {
		return STATUS_NO_MEMORY;
	}
	assert(index->balls.rows == rows);
	balls_members(&index->balls, balls);
	struct walk old;
	struct walk new;
	bool has_old = begin_walk(&old, level, file, knowing->range.first);
	bool has_new = begin_walk(&new, knowing->level, knowing->file, 0);
	while (has_old && has_new) {
		const int order = compare(&old, &new);
		if (order == 0 && same_row(&old, &new)) {
			assert(new.number < knowing->rows &&old.number < rows);
			knowing->known[new.number] = balls[old.number];
			++*same;
		}
		has_old = order <= 0 ? step(&old) : true;
		has_new = order >= 0 ? step(&new) : true;
	}
	free(balls);
	return STATUS_OK;
}

/* The same of the files of a level that have a part of the range. */
static enum status know_level(struct knowing *knowing, const struct index_before *before, size_t i,
	const struct index *lead, uint64_t *same)
{
	const struct level *level = before->table->levels[i];
	const struct indexes *of = i == 0 ? before->indexes : table_images(before->table, i);
	const struct hash_range *range = &knowing->range;
	enum status status = STATUS_OK;
	for (size_t j = 0; status == STATUS_OK && j < level->file_count; j++) {
		const struct hash_range has = range_of_file(&level->files[j]);
		const struct index *index = indexes_of(of, j);
		if (has.last < range->first || has.first > range->last) {
			continue;
		}
		if (index != NULL && index->axes == lead->axes) {
			status = know_file(knowing, level, j, index, same);
		}
		if (i == 0 && hash_range_has(range, has.first)) {
			const bool is_whole = hash_range_has(range, has.last);
			knowing->old_rows += is_whole ? index_file_rows(&level->files[j]) : 0;
			knowing->old_changed += index != NULL ? index->changed : 0;
		}
	}
	return status;
}

static uint64_t count_unknown(const struct knowing *knowing)
{
	uint64_t count = 0;
	for (uint64_t i = 0; i < knowing->rows; i++) {
		count += knowing->known[i] == UINT32_MAX;
	}
	return count;
}

enum status index_known(const struct table *table, size_t level, size_t file,
	const struct index_before *before, const struct index *lead, struct index_known *out)
{
	const struct base_file_info *info = &table->levels[level]->files[file];
	struct knowing knowing = {
		.level = table->levels[level],
		.file = file,
		.range = range_of_file(info),
		.rows = index_file_rows(info),
	};
	uint64_t kept = 0; /* of the base before */
	assert(before->table->number == table->number);
	knowing.known = malloc((knowing.rows + 1) * sizeof *knowing.known);
	enum status status = knowing.known == NULL ? STATUS_NO_MEMORY : STATUS_OK;
	if (status == STATUS_OK) {
		memset(knowing.known, 0xff, knowing.rows * sizeof *knowing.known);
	}
	for (size_t i = level; status == STATUS_OK && i < before->table->level_count; i++) {
		uint64_t same = 0;
		status = know_level(&knowing, before, i, lead, &same);
		kept = i == 0 ? same : kept;
	}
	if (status != STATUS_OK) {
		free(knowing.known);
		return status;
	}
	const uint64_t most = knowing.old_rows > knowing.rows ? knowing.old_rows : knowing.rows;
	*out = (struct index_known){
		.balls = knowing.known,
		.unknown = count_unknown(&knowing),
		.changed = level > 0 ? 0 : knowing.old_changed + most - kept,
	};
	return STATUS_OK;
}
