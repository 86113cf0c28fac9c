/* live_figures.c - copies what is known of the live release out of its snapshot, so that whoever makes a
 * text of it keeps nobody waiting. */
#include "daemon/store/live_figures.h"

#include "daemon/store/base/base.h"
#include "daemon/store/figures.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"

#include <stdlib.h>
#include <string.h>

static void add_level(const struct table *table, size_t number, struct live_table *out)
{
	struct level_figures *level = &out->levels[out->level_count++];
	level_figures(table, number, level);
	out->segments += level->segments;
	out->unchecked += level->unchecked;
	out->damaged += level->damaged;
	out->segment_bytes += level->segment_bytes;
	out->present += level->resident_bytes;
	if (number == 0) {
		out->index_bytes = level->index_bytes;
		out->has_index = level->index_bytes > 0;
	} else {
		out->deltas++;
		out->delta_bytes += level->bytes;
		out->images += level->index_bytes > 0;
		out->image_bytes += level->index_bytes;
	}
}

static void read_counts(const struct table_counts *counts, struct live_table *out)
{
	for (unsigned i = 0; i < TABLE_RESULTS; i++) {
		out->results[i] = table_counts_result(counts, i);
	}
	for (unsigned i = 0; i < WRITE_KIND_COUNT; i++) {
		out->written[i] = counter_read(&counts->written[i]);
	}
	for (unsigned i = 0; i < TABLE_SAMPLES_COUNT; i++) {
		out->samples[i] = counter_read(&counts->samples[i]);
	}
}

static void read_table(struct store *store, const struct release *release,
	const struct table *table, struct live_table *out)
{
	const int64_t written_ms =
		atomic_load_explicit(&table->memtable->written_ms, memory_order_relaxed);
	*out = (struct live_table){
		.name = table->spec.name,
		.bytes = table->bytes,
		.pending = memtable_rows(table->memtable),
		.written_ms = written_ms > release->sealed_ms ? written_ms : release->sealed_ms,
		.wants_index = table->spec.index != INDEX_NONE,
		.index_state = store_index_state(store, table),
	};
	out->rows = table_count_rows(table, &out->rows_exact);
	for (size_t i = 0; i < table->level_count; i++) {
		add_level(table, i, out);
	}
	read_counts(table->counts, out);
}

static void read_release(const struct snapshot *snapshot, const struct release *release,
	struct release_figures *out)
{
	const bool is_open = release->state == RELEASE_OPEN;
	*out = (struct release_figures){
		.id = release->id,
		.number = release->number,
		.state = release == snapshot->live ? "live"
			 : is_open                 ? "open"
						   : "sealed",
		.layer = release->layer,
		.created_ms = release->created_ms,
		.sealed_ms = release->sealed_ms,
		.published_ms = release->published_ms,
		.tables = release->table_count,
	};
	memcpy(out->model, release->model, sizeof out->model);
	memcpy(out->checkpoint, release->checkpoint, sizeof out->checkpoint);
	out->rows = release_count_rows(release, &out->rows_exact);
	for (size_t i = 0; i < release->table_count; i++) {
		out->bytes += release->tables[i]->bytes;
	}
}

static enum status read_all(struct store *store, const struct snapshot *snapshot,
	struct live_figures *out)
{
	const struct release *live = snapshot->live;
	out->releases = calloc(snapshot->release_count + 1, sizeof *out->releases);
	out->tables = calloc((live == NULL ? 0 : live->table_count) + 1, sizeof *out->tables);
	if (out->releases == NULL || out->tables == NULL) {
		return STATUS_NO_MEMORY;
	}
	const uint64_t before =
		snapshot->history_count > 0 ? snapshot->history[snapshot->history_count - 1] : 0;
	for (size_t i = 0; i < snapshot->release_count; i++) {
		struct release_figures *release = &out->releases[out->release_count++];
		read_release(snapshot, snapshot->releases[i], release);
		if (snapshot->releases[i] == live) {
			out->live = release;
		} else if (release->number == before) {
			out->rollback = release;
		}
	}
	for (size_t i = 0; live != NULL && i < live->table_count; i++) {
		read_table(store, live, live->tables[i], &out->tables[out->table_count++]);
	}
	return STATUS_OK;
}

enum status store_live_figures(struct store *store, struct live_figures *out)
{
	*out = (struct live_figures){0};
	const enum status status = read_all(store, snapshot_begin(store), out);
	snapshot_end(store);
	if (status != STATUS_OK) {
		live_figures_fini(out);
	}
	return status;
}

void live_figures_fini(struct live_figures *figures)
{
	free(figures->releases);
	free(figures->tables);
	*figures = (struct live_figures){0};
}
