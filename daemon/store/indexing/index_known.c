/* index_known.c - walks old and new files of a table side by side, and looks which rows
 * did not change. */
#include "daemon/store/indexing/index_known.h"

#include "daemon/store/base/base.h"
#include "daemon/store/index/index.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/snapshot/table_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A walk through all rows of base files, in the order of (hash, key). */
struct walk {
	const struct base_set *set;
	size_t segment;
	uint32_t row;
	uint64_t number; /* of the row, counted through all segments */
	uint64_t hash;
	const uint8_t *key;
	size_t key_len;
};

/* Reads the row that the walk is at, if need be in the next segment; false behind the last. */
static bool read_walk(struct walk *walk)
{
	const struct segment *view = NULL;
	while (walk->segment < walk->set->segment_count) {
		view = &walk->set->segments[walk->segment]->view;
		if (walk->row < view->rows) {
			break;
		}
		walk->segment++;
		walk->row = 0;
	}
	if (walk->segment == walk->set->segment_count || view == NULL ||
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

/* What index_known works on. */
struct knowing {
	const struct base_set *set; /* of the new level */
	uint64_t rows;
	uint32_t *known;
};

/* Notes the balls of the rows that an old level has as they are in the new one. Returns how many these are. Errors:
 * NO_MEMORY. */
static enum status know_level(const struct knowing *knowing, const struct level *level,
	const struct index *index, uint64_t *same)
{
	uint32_t *balls = malloc((level_file_rows(level) + 1) * sizeof *balls);
	if (balls == NULL) {
		return STATUS_NO_MEMORY;
	}
	assert(index->balls.rows == level_file_rows(level));
	balls_members(&index->balls, balls);
	struct walk old = {.set = level->set};
	struct walk new = {.set = knowing->set};
	*same = 0;
	bool has_old = read_walk(&old);
	bool has_new = read_walk(&new);
	while (has_old && has_new) {
		const int order = compare(&old, &new);
		if (order == 0 && same_row(&old, &new)) {
			assert(new.number < knowing->rows);
			knowing->known[new.number] = balls[old.number];
			++*same;
		}
		has_old = order <= 0 ? step(&old) : true;
		has_new = order >= 0 ? step(&new) : true;
	}
	free(balls);
	return STATUS_OK;
}

static uint64_t count_unknown(const struct knowing *knowing)
{
	uint64_t count = 0;
	for (uint64_t i = 0; i < knowing->rows; i++) {
		count += knowing->known[i] == UINT32_MAX;
	}
	return count;
}

enum status index_known(const struct table *table, size_t level, const struct table *before,
	const struct index *index, struct index_known *out)
{
	struct knowing knowing = {
		.set = table->levels[level]->set,
		.rows = level_file_rows(table->levels[level]),
	};
	uint64_t changed = 0;
	assert(index != NULL);
	knowing.known = malloc((knowing.rows + 1) * sizeof *knowing.known);
	enum status status = knowing.known == NULL ? STATUS_NO_MEMORY : STATUS_OK;
	if (status == STATUS_OK) {
		memset(knowing.known, 0xff, knowing.rows * sizeof *knowing.known);
	}
	for (size_t i = level; status == STATUS_OK && i < before->level_count; i++) {
		const struct index *of = i == 0 ? index : table_image(before, i);
		uint64_t same = 0;
		if (of != NULL && of->axes == index->axes) {
			status = know_level(&knowing, before->levels[i], of, &same);
		}
		if (i == 0) {
			const uint64_t rows = before->levels[0]->rows;
			changed = (rows > knowing.rows ? rows : knowing.rows) - same;
		}
	}
	if (status != STATUS_OK) {
		free(knowing.known);
		return status;
	}
	*out = (struct index_known){knowing.known, count_unknown(&knowing), changed};
	return STATUS_OK;
}
