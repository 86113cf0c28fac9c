/* level_figures.c - adds up what is known of the segments of a level. */
#include "daemon/store/snapshot/level_figures.h"

#include "daemon/store/base/base.h"
#include "daemon/store/index/indexes.h"
#include "daemon/store/snapshot/level.h"

static void add_segment(const struct base_segment *segment, struct level_figures *out)
{
	const enum base_segment_state state = base_segment_state(segment);
	out->segments++;
	out->unchecked += state == BASE_UNCHECKED;
	out->away += state == BASE_AWAY;
	out->damaged += state == BASE_DAMAGED;
	out->segment_bytes += segment->info->bytes;
	out->resident_bytes += atomic_load_explicit(&segment->bytes_present, memory_order_relaxed);
	out->checked_bytes += atomic_load_explicit(&segment->bytes_checked, memory_order_relaxed);
}

static const struct indexes *indexes_in(const struct table *table, size_t level)
{
	return level == 0
		       ? atomic_load_explicit(&((struct table *)table)->index, memory_order_acquire)
		       : atomic_load_explicit(&table->levels[level]->images, memory_order_acquire);
}

void level_figures(const struct table *table, size_t level, struct level_figures *out)
{
	const struct level *from = table->levels[level];
	*out = (struct level_figures){
		.number = from->number,
		.files = from->file_count,
		.rows = from->rows,
		.deleted = from->deleted,
		.hides = from->hides,
		.is_counted = from->is_counted,
		.bytes = from->bytes,
		.index_bytes = indexes_sum(indexes_in(table, level)).bytes,
	};
	for (size_t i = 0; i < from->set->segment_count; i++) {
		add_segment(from->set->segments[i], out);
	}
}
