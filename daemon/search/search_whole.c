/* search_whole.c - takes one block of rows after the other: chooses the rows that may be found,
 * converts them, scores them, keeps the best. */
#include "daemon/search/search_whole.h"

#include <assert.h>
#include <string.h>

#include "daemon/aggregate/history.h"
#include "daemon/search/search_rules.h"
#include "daemon/store/row/stored.h"

/* Whether a chosen row may be found; NONE: nobody has asked yet. */
enum verdict { VERDICT_NONE, VERDICT_PASSES, VERDICT_DROPPED };

/* Chooses the rows of a block that may be found by their age and tags. */
static uint32_t choose(struct search *search, const struct row_block *block)
{
	uint32_t count = 0;
	assert(block->count <= search->scorer.rows_max);
	for (uint32_t i = 0; i < block->count; i++) {
		search->chosen[count] = i;
		count += search_passes(search, block->times + i,
			block->tags == NULL ? NULL : block->tags + i);
	}
	return count;
}

/* Converts the chosen rows into what the scorer takes. */
static const void *convert(struct search *search, const struct row_block *block, uint32_t count)
{
	const struct table_spec *spec = search_spec(search);
	const enum dtype dtype =
		metric_is_of_bits(search->scorer.shape.metric) ? DTYPE_BIT : DTYPE_F32;
	const size_t row_bytes = spec_row_bytes(spec);
	const bool is_plain = !spec_aggregates(spec) && spec->history == 0;
	if (is_plain && count == block->count) {
		if (spec->dtype == dtype) {
			return block->data;
		}
		const struct dtype_rows to = {.dtype = dtype, .rows = search->converted};
		const struct dtype_rows from = {
			.dtype = spec->dtype,
			.rows = (void *)block->data,
			.scales = (void *)block->scales,
		};
		dtype_convert(&to, &from, count, spec->dim, spec->views);
		return search->converted;
	}
	/* This reader converts to f32, or copies bits: it allocates nothing and needs no fini. */
	struct stored_reader reader;
	(void)stored_reader_init(&reader, spec, dtype, false);
	search->scorer.row_views = spec->history != 0 ? search->views : NULL;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t row = search->chosen[i];
		const struct stored_row stored = {
			.data = block->data + row * row_bytes,
			.scale = block->scales == NULL ? NULL : &block->scales[row],
		};
		if (spec->history != 0) {
			search->views[i] = history_count(spec, stored.data) * spec->views;
		}
		stored_read(&reader, &stored,
			search->converted + i * scorer_row_bytes(&search->scorer), NULL);
	}
	return search->converted;
}

static enum status push_scores(struct search *search, const struct row_block *block, uint32_t count,
	uint32_t query)
{
	struct topk *top = &search->tops[query];
	const float *scores = search->scores + (size_t)query * search->scorer.rows_max;
	for (uint32_t i = 0; i < count; i++) {
		if (!(scores[i] >= topk_threshold(top))) {
			continue;
		}
		const uint64_t id = row_block_id(block, search->chosen[i]);
		if (search->verdicts[i] == VERDICT_NONE) {
			bool is_dropped;
			const enum status status = search_is_dropped(search, id, &is_dropped);
			if (status != STATUS_OK) {
				return status;
			}
			search->verdicts[i] = is_dropped ? VERDICT_DROPPED : VERDICT_PASSES;
		}
		if (search->verdicts[i] == VERDICT_PASSES) {
			topk_push(top, scores[i], id);
		}
	}
	return STATUS_OK;
}

enum status search_block(struct search *search)
{
	const struct row_block *block = &search->rows.block;
	const uint32_t count = choose(search, block);
	if (count == 0) {
		return STATUS_OK;
	}
	assert(count <= block->count);
	scorer_run(&search->scorer, convert(search, block, count), count, search->scores);
	search->compared += count;
	memset(search->verdicts, VERDICT_NONE, count);
	enum status status = STATUS_OK;
	for (uint32_t i = 0; status == STATUS_OK && i < search->options.query->count; i++) {
		status = push_scores(search, block, count, i);
	}
	return status;
}

enum status search_whole(struct search *search, struct error *err)
{
	assert(search->tops != NULL && search->rows.table == NULL); /* search_restart */
	enum status status = rows_begin(&search->rows, search->options.place->items,
		search->options.place->visible, search->scorer.rows_max);
	while (status == STATUS_OK) {
		status = search_check_time(search, err);
		if (status != STATUS_OK) {
			return status;
		}
		status = rows_next(&search->rows);
		if (status != STATUS_OK || search->rows.block.count == 0) {
			break;
		}
		status = search_block(search);
	}
	if (status != STATUS_OK) {
		return error_set(err, status, "table '%s': %s", search_spec(search)->name.text,
			status == STATUS_CORRUPT ? "a damaged segment" : "no memory for a search");
	}
	return STATUS_OK;
}
