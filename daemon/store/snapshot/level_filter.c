/* level_filter.c - fills the filter of a table from the slots of its deltas. */
#include "daemon/store/snapshot/level_filter.h"

#include "daemon/store/base/pages.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_range.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Buckets of each row. With 12 a key that no delta has goes in vain to one of them in 8 of 100
 * cases. */
enum { BUCKETS_OF_ROW = 12, BUCKETS_MIN = 64 };

static uint32_t count_buckets(const struct table *table)
{
	uint64_t rows = 0;
	for (size_t i = 1; i < table->level_count; i++) {
		rows += table->levels[i]->rows + table->levels[i]->deleted;
	}
	const uint64_t buckets = rows * BUCKETS_OF_ROW + BUCKETS_MIN;
	return buckets < UINT32_MAX ? (uint32_t)buckets : UINT32_MAX;
}

static void add_all(struct level_filter *filter, uint8_t bit)
{
	for (uint32_t i = 0; i < filter->buckets; i++) {
		filter->bytes[i] |= bit;
	}
}

/* Reads the slots of a segment, and no other page. False: they are damaged. */
static bool add_segment(struct level_filter *filter, struct base_segment *segment, uint8_t bit)
{
	const struct segment *view = &segment->view;
	if (segment->pages == NULL) {
		return false;
	}
	const struct base_pages pages =
		base_pages_of(segment, view->slots, view->slot_count * sizeof view->slots[0]);
	base_pages_read(&pages, 1);
	for (uint32_t slot = 0; slot < view->slot_count; slot++) {
		if (view->slots[slot].row_plus_one != 0) {
			const uint64_t tag = view->slots[slot].tag;
			filter->bytes[(tag * filter->buckets) >> 32] |= bit;
		}
	}
	/* A page that could not be read has given zeros, and is marked since. */
	return base_pages_state(&pages) != BASE_PAGE_DAMAGED;
}

/* Adds what a level has in a range. */
static void add_level(struct level_filter *filter, const struct table *table, size_t level,
	const struct hash_range *range)
{
	const struct base_set *set = table->levels[level]->set;
	const uint8_t bit = (uint8_t)(1u << level);
	bool is_whole = true;
	for (size_t i = 0; is_whole && i < set->segment_count; i++) {
		struct base_segment *segment = set->segments[i];
		is_whole = !hash_range_has(range, segment->info->prefix) ||
			   add_segment(filter, segment, bit);
	}
	if (!is_whole) {
		add_all(filter, bit);
	}
}

bool level_filter_renew(struct table *table, const struct table *from, size_t level,
	const struct hash_range *range)
{
	const struct level_filter *before = atomic_load(&((struct table *)from)->filter);
	bool is_same = before != NULL && table->level_count == from->level_count;
	for (size_t i = 0; is_same && i < table->level_count; i++) {
		is_same = table->levels[i]->number == from->levels[i]->number;
	}
	struct level_filter *filter = is_same ? malloc(sizeof *filter + before->buckets) : NULL;
	if (filter == NULL) {
		return false;
	}
	assert(atomic_load(&table->filter) == NULL); /* no snapshot has the table yet */
	memcpy(filter, before, sizeof *filter + before->buckets);
	if (level > 0) {
		add_level(filter, table, level, range);
	}
	atomic_store(&table->filter, filter);
	return true;
}

enum status level_filter_make(struct table *table)
{
	const uint32_t buckets = count_buckets(table);
	struct level_filter *none = NULL;
	if (table->level_count < 2 || atomic_load(&table->filter) != NULL) {
		return STATUS_OK;
	}
	struct level_filter *filter = calloc(1, sizeof *filter + buckets);
	if (filter == NULL) {
		return STATUS_NO_MEMORY;
	}
	filter->buckets = buckets;
	for (size_t i = 1; i < table->level_count; i++) {
		add_level(filter, table, i, &hash_range_all);
	}
	if (!atomic_compare_exchange_strong(&table->filter, &none, filter)) {
		free(filter);
	}
	return STATUS_OK;
}
