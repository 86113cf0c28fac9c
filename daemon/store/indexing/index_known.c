/* index_known.c - walks the old and the new base files of a table side by side, and looks which rows
 * did not change. */
#include "daemon/store/indexing/index_known.h"

#include "daemon/store/base/base.h"
#include "daemon/store/index/index.h"
#include "daemon/store/snapshot/snapshot.h"

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

enum status index_known(const struct table *table, const struct table *before,
	const struct index *index, struct index_known *out)
{
	uint32_t *balls = malloc((before->rows + 1) * sizeof *balls);
	assert(index != NULL);
	assert(index->balls.rows == before->rows);
	uint32_t *known = malloc((table->rows + 1) * sizeof *known);
	if (balls == NULL || known == NULL) {
		free(balls);
		free(known);
		return STATUS_NO_MEMORY;
	}
	balls_members(&index->balls, balls);
	memset(known, 0xff, table->rows * sizeof *known);
	struct walk old = {.set = before->bases};
	struct walk new = {.set = table->bases};
	uint64_t same = 0;
	bool has_old = read_walk(&old);
	bool has_new = read_walk(&new);
	while (has_old && has_new) {
		const int order = compare(&old, &new);
		if (order == 0 && same_row(&old, &new)) {
			assert(new.number < table->rows);
			known[new.number] = balls[old.number];
			same++;
		}
		has_old = order <= 0 ? step(&old) : true;
		has_new = order >= 0 ? step(&new) : true;
	}
	free(balls);
	*out = (struct index_known){known, table->rows - same, before->rows - same};
	return STATUS_OK;
}
