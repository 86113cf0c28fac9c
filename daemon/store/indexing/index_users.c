/* index_users.c - takes rows of base files at even distances, and what the memtable has beside them. */
#include "daemon/store/indexing/index_users.h"

#include "daemon/retrieval/building/balls_build.h"
#include "daemon/store/base/base.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/read/rows.h"
#include "daemon/store/row/stored.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/reader.h"

#include <assert.h>
#include <stdlib.h>

enum {
	/* With fewer queries the error of a calibration is too large. */
	USERS_MIN = 32,
	BLOCK_ROWS = 64,
};

/* Some queries, as they are gathered. */
struct gathered {
	const struct table *users;
	struct stored_reader reader;
	float *rows;
	uint32_t count;
};

/* Whether the rows of one table can be queries for the other. */
static bool can_be_asked(const struct table *users, const struct table *items)
{
	return users->spec.entity == ENTITY_USER && users->spec.dim == items->spec.dim &&
	       users->spec.views == 1 && users->spec.dtype != DTYPE_BIT;
}

static uint64_t rows_of(const struct table *table)
{
	return table->rows + memtable_rows(table->memtable);
}

static bool is_better(const struct table *a, const struct table *b)
{
	const bool is_ur = a->spec.kind == KIND_UR;
	return is_ur == (b->spec.kind == KIND_UR) ? rows_of(a) > rows_of(b) : is_ur;
}

struct table *index_users_find(const struct release *release, const struct table *items,
	bool *later)
{
	struct table *best = NULL;
	for (size_t i = 0; i < release->table_count; i++) {
		struct table *users = release->tables[i];
		if (!can_be_asked(users, items)) {
			continue;
		}
		if (rows_of(users) < USERS_MIN) {
			*later = true;
		} else if (best == NULL || is_better(users, best)) {
			best = users;
		}
	}
	return best;
}

static void take(struct gathered *gathered, const uint8_t *row, const float *scale)
{
	float *to = gathered->rows + (size_t)gathered->count * gathered->users->spec.dim;
	const struct stored_row stored = {.data = row, .scale = scale};
	stored_read(&gathered->reader, &stored, (uint8_t *)to, NULL);
	gathered->count++;
}

/* Leaves room for rows of the memtable, if there are any. */
static void take_of_base(struct gathered *gathered, const struct rows *rows)
{
	const struct table *users = gathered->users;
	const uint64_t news = memtable_rows(users->memtable);
	const uint64_t wanted = users->rows < BALLS_QUERIES_MAX ? users->rows : BALLS_QUERIES_MAX;
	const uint64_t count = news == 0                        ? wanted
			       : wanted < BALLS_QUERIES_MAX / 2 ? wanted
								: BALLS_QUERIES_MAX / 2;
	for (uint64_t i = 0; i < count; i++) {
		struct frame_row row;
		if (rows_get(rows, rows_first_base_id + users->rows * i / count, &row) ==
			STATUS_OK) {
			take(gathered, row.data, &row.scale);
		}
	}
}

static void take_of_memtable(struct gathered *gathered, struct rows *rows)
{
	const size_t row_bytes = spec_row_bytes(&gathered->users->spec);
	while (gathered->count < BALLS_QUERIES_MAX && rows_next(rows) == STATUS_OK &&
		rows->block.ids != NULL && rows->block.count > 0) {
		const struct row_block *block = &rows->block;
		for (uint32_t i = 0; i < block->count && gathered->count < BALLS_QUERIES_MAX; i++) {
			take(gathered, block->data + i * row_bytes,
				block->scales == NULL ? NULL : &block->scales[i]);
		}
	}
}

static bool are_ready(const struct table *users, const _Atomic bool *stop)
{
	bool ready = true;
	for (size_t i = 0; i < users->level_count; i++) {
		struct base_set *set = users->levels[i]->set;
		for (size_t j = 0; j < set->segment_count; j++) {
			ready = ready && !atomic_load(stop) &&
				base_segment_wait(set, j) == BASE_READY;
		}
	}
	return ready;
}

uint32_t index_users_read(struct store *store, const struct table *users, const _Atomic bool *stop,
	float **out)
{
	struct rows rows = {0};
	struct gathered gathered = {.users = users};
	*out = NULL;
	if (users == NULL || !are_ready(users, stop)) {
		return 0;
	}
	gathered.rows = malloc((size_t)BALLS_QUERIES_MAX * users->spec.dim * sizeof(float));
	if (gathered.rows == NULL ||
		stored_reader_init(&gathered.reader, &users->spec, DTYPE_F32, false) != STATUS_OK) {
		free(gathered.rows);
		return 0;
	}
	(void)snapshot_begin(store); /* rows of the memtable stay */
	if (rows_begin(&rows, users, store_visible(store), BLOCK_ROWS) == STATUS_OK) {
		if (users->bases != NULL) {
			take_of_base(&gathered, &rows);
		}
		take_of_memtable(&gathered, &rows);
	}
	rows_end(&rows);
	snapshot_end(store);
	stored_reader_fini(&gathered.reader);
	assert(gathered.count <= BALLS_QUERIES_MAX);
	if (gathered.count < USERS_MIN) {
		free(gathered.rows);
		return 0;
	}
	*out = gathered.rows;
	return gathered.count;
}
