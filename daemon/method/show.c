/* show.c - writes the description of a release and of a table. */
#include "daemon/method/show.h"

#include "daemon/method/call/cost.h"
#include "daemon/method/call/reply.h"
#include "daemon/store/base/base.h"
#include "daemon/store/index/indexes.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_figures.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/tensor/tensor.h"

/* The entries of a map, at most. */
enum { RELEASE_ENTRIES = 17, TABLE_ENTRIES = 32, LEVEL_ENTRIES = 12 };

static const char *state_name(const struct snapshot *snapshot, const struct release *release)
{
	if (release == snapshot->live) {
		return "live";
	}
	switch (release->state) {
	case RELEASE_OPEN:
		return "open";
	case RELEASE_SEALED:
		break;
	}
	return "sealed";
}

uint64_t show_release_cost(const struct release *release)
{
	return (uint64_t)RELEASE_ENTRIES * COST_ENTRY_NS +
	       (release->table_count + release->tensor_count) * COST_TABLE_NS;
}

void show_release(struct wire_writer *out, const struct snapshot *snapshot,
	const struct release *release, size_t more)
{
	bool exact;
	const uint64_t rows = release_count_rows(release, &exact);
	uint64_t bytes = 0;
	for (size_t i = 0; i < release->table_count; i++) {
		bytes += release->tables[i]->bytes;
	}
	uint64_t tensor_total = 0;
	for (size_t i = 0; i < release->tensor_count; i++) {
		tensor_total += tensor_bytes(&release->tensors[i]->spec);
	}
	enum { ALWAYS = 12 };
	wire_write_map(out, ALWAYS + (release->sealed_ms != 0 ? 1u : 0u) +
				    (release->published_ms != 0 ? 1u : 0u) + more);
	reply_str(out, "release", release->id.text);
	reply_uint(out, "number", release->number);
	/* Daemons before this one have kept any bytes. */
	reply_text(out, "model", release->model);
	reply_text(out, "checkpoint", release->checkpoint);
	reply_str(out, "state", state_name(snapshot, release));
	reply_int(out, "created_ms", release->created_ms);
	if (release->sealed_ms != 0) {
		reply_int(out, "sealed_ms", release->sealed_ms);
	}
	if (release->published_ms != 0) {
		reply_int(out, "published_ms", release->published_ms);
	}
	reply_uint(out, "tables", release->table_count);
	reply_uint(out, "rows", rows);
	reply_flag(out, "rows_exact", exact);
	reply_uint(out, "bytes", bytes);
	reply_uint(out, "tensors", release->tensor_count);
	reply_uint(out, "tensor_bytes", tensor_total);
}

/* Those of all levels together, and of the deltas. */
static void show_sums(struct wire_writer *out, const struct table *table)
{
	struct level_figures all = {0};
	struct level_figures deltas = {0};
	uint64_t images = 0;
	for (size_t i = 0; i < table->level_count; i++) {
		struct level_figures level;
		level_figures(table, i, &level);
		all.damaged += level.damaged;
		all.resident_bytes += level.resident_bytes;
		if (i > 0) {
			deltas.rows += level.rows;
			deltas.deleted += level.deleted;
			deltas.bytes += level.bytes;
			deltas.index_bytes += level.index_bytes;
			images += level.index_bytes > 0;
		}
	}
	reply_uint(out, "segments", table_segment_count(table));
	reply_uint(out, "damaged", all.damaged);
	reply_uint(out, "resident_bytes", all.resident_bytes);
	reply_uint(out, "deltas", table->level_count == 0 ? 0 : table->level_count - 1);
	reply_uint(out, "delta_rows", deltas.rows);
	reply_uint(out, "delta_deleted", deltas.deleted);
	reply_uint(out, "delta_bytes", deltas.bytes);
	reply_uint(out, "images", images);
	reply_uint(out, "image_bytes", deltas.index_bytes);
}

uint64_t show_table_cost(const struct table *table)
{
	return (uint64_t)TABLE_ENTRIES * COST_ENTRY_NS +
	       table_segment_count(table) * COST_SEGMENT_NS;
}

uint64_t show_tables_cost(const struct release *release)
{
	uint64_t ns = 0;
	for (size_t i = 0; i < release->table_count; i++) {
		ns += show_table_cost(release->tables[i]);
	}
	return ns;
}

void show_table(struct wire_writer *out, struct store *store, const struct table *table,
	size_t more)
{
	enum { BESIDE_SPEC = 16 };
	bool exact;
	const uint64_t rows = table_count_rows(table, &exact);
	wire_write_map(out, spec_fields(&table->spec) + BESIDE_SPEC + more);
	spec_write(out, &table->spec);
	reply_uint(out, "rows", rows);
	reply_flag(out, "rows_exact", exact);
	reply_uint(out, "bytes", table->bytes);
	reply_uint(out, "pending", memtable_rows(table->memtable));
	show_sums(out, table);
	const struct indexes_sums index = indexes_sum(
		atomic_load_explicit(&((struct table *)table)->index, memory_order_acquire));
	reply_uint(out, "index_bytes", index.bytes);
	reply_uint(out, "index_build_ms", index.build_ms);
	reply_str(out, "index_state", store_index_state(store, table));
}

/* ---- levels ---- */

uint64_t show_levels_cost(const struct table *table)
{
	return (uint64_t)table->level_count * LEVEL_ENTRIES * COST_ENTRY_NS +
	       table_segment_count(table) * COST_SEGMENT_NS;
}

static void show_level(struct wire_writer *out, const struct level_figures *level)
{
	const bool has_hides = level->number > 0 && level->is_counted;
	wire_write_map(out, LEVEL_ENTRIES - (has_hides ? 0u : 1u));
	reply_uint(out, "number", level->number);
	reply_uint(out, "files", level->files);
	reply_uint(out, "rows", level->rows);
	reply_uint(out, "deleted", level->deleted);
	if (has_hides) {
		reply_uint(out, "hides", level->hides);
	}
	reply_uint(out, "bytes", level->bytes);
	reply_uint(out, "segments", level->segments);
	reply_uint(out, "damaged", level->damaged);
	reply_uint(out, "segment_bytes", level->segment_bytes);
	reply_uint(out, "resident_bytes", level->resident_bytes);
	reply_uint(out, "checked_bytes", level->checked_bytes);
	reply_uint(out, "index_bytes", level->index_bytes);
}

void show_levels(struct wire_writer *out, const struct table *table)
{
	wire_write_str(out, "levels");
	wire_write_array(out, table->level_count);
	for (size_t i = 0; i < table->level_count; i++) {
		struct level_figures level;
		level_figures(table, i, &level);
		show_level(out, &level);
	}
}

void show_tables(struct wire_writer *out, struct store *store, const char *name,
	const struct release *release)
{
	wire_write_str(out, name);
	wire_write_array(out, release->table_count);
	for (size_t i = 0; i < release->table_count; i++) {
		show_table(out, store, release->tables[i], 0);
	}
}
