/* listed.c - looks a block of keys up and scores the rows that are found. */
#include "daemon/search/listed.h"

#include <assert.h>
#include <stdlib.h>

enum status listed_scorer_init(struct scorer *scorer, const struct scorer_shape *shape,
	const struct query *query)
{
	const enum status status = scorer_init(scorer, shape, query->vectors, query->weights);
	if (status == STATUS_OK) {
		scorer->query_parts = query->taken;
		if (query->age_weights != NULL) {
			scorer_weigh(scorer, query->age_weights);
		}
	}
	return status;
}

enum status listed_begin(struct listed *listed, const struct lookup *lookup, struct scorer *scorer)
{
	const size_t count = scorer->rows_max;
	assert(count > 0 && scorer->shape.views == spec_row_views(&lookup->table->spec));
	const size_t row_bytes = (count * scorer_row_bytes(scorer) + 7) / 8 * 8;
	*listed = (struct listed){.lookup = lookup, .scorer = scorer};
	listed->rows = malloc(row_bytes + count * (8 + 4 + scorer->shape.queries * sizeof(float)) +
			      (count + 7) / 8);
	if (listed->rows == NULL) {
		return STATUS_NO_MEMORY;
	}
	listed->tags = (uint64_t *)(void *)(listed->rows + row_bytes);
	listed->scores = (float *)(listed->tags + count);
	listed->views = (uint32_t *)(void *)(listed->scores + count * scorer->shape.queries);
	listed->found = (uint8_t *)(listed->views + count);
	if (lookup->table->spec.history == 0) {
		listed->views = NULL;
	}
	if (!lookup->table->spec.tags) {
		listed->tags = NULL;
	}
	return STATUS_OK;
}

void listed_end(struct listed *listed)
{
	free(listed->rows);
	*listed = (struct listed){0};
}

enum status listed_next(struct listed *listed, struct error *err)
{
	const struct keys *keys = &listed->lookup->keys;
	listed->first += listed->count;
	assert(listed->first <= keys->count);
	const uint32_t left = keys->count - listed->first;
	listed->count = left < listed->scorer->rows_max ? left : listed->scorer->rows_max;
	if (listed->count == 0) {
		return STATUS_OK;
	}
	struct lookup some = {
		.table = listed->lookup->table,
		.keys = *keys,
		.dtype = listed_dtype(listed->scorer),
		.visible = listed->lookup->visible,
		.now_ms = listed->lookup->now_ms,
		.may_block = listed->lookup->may_block,
		.rows = listed->rows,
		.found = listed->found,
		.tags = (uint8_t *)listed->tags,
		.history_counts = (uint8_t *)listed->views,
	};
	some.keys.count = listed->count;
	if (keys->type == KEY_U64) {
		some.keys.packed += (size_t)listed->first * 8;
	} else {
		some.keys.at += listed->first;
	}
	const enum status status = table_lookup(&some, err);
	if (status == STATUS_OK) {
		for (uint32_t i = 0; listed->views != NULL && i < listed->count; i++) {
			listed->views[i] *= some.table->spec.views;
		}
		listed->scorer->row_views = listed->views;
		scorer_run(listed->scorer, listed->rows, listed->count, listed->scores);
	}
	return status;
}
