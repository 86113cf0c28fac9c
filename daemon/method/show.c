/* show.c - writes the description of a release and of a table. */
#include "daemon/method/show.h"

#include "daemon/method/call/cost.h"
#include "daemon/method/call/reply.h"
#include "daemon/store/base/base.h"
#include "daemon/store/figures.h"
#include "daemon/store/index/index.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/tensor/tensor.h"

/* The entries of a map, at most. */
enum { RELEASE_ENTRIES = 16, TABLE_ENTRIES = 29 };

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
	uint64_t rows = 0;
	uint64_t bytes = 0;
	for (size_t i = 0; i < release->table_count; i++) {
		rows += release->tables[i]->rows;
		bytes += release->tables[i]->bytes;
	}
	uint64_t tensor_total = 0;
	for (size_t i = 0; i < release->tensor_count; i++) {
		tensor_total += tensor_bytes(&release->tensors[i]->spec);
	}
	enum { ALWAYS = 11 };
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
	reply_uint(out, "bytes", bytes);
	reply_uint(out, "tensors", release->tensor_count);
	reply_uint(out, "tensor_bytes", tensor_total);
}

static void show_segments(struct wire_writer *out, const struct table *table)
{
	uint64_t damaged = 0;
	uint64_t resident = 0;
	for (size_t i = 0; i < table->level_count; i++) {
		const struct base_set *set = table->levels[i]->set;
		for (size_t j = 0; j < set->segment_count; j++) {
			const struct base_segment *segment = set->segments[j];
			damaged += base_segment_state(segment) == BASE_DAMAGED;
			resident +=
				atomic_load_explicit(&segment->bytes_present, memory_order_relaxed);
		}
	}
	reply_uint(out, "segments", table_segment_count(table));
	reply_uint(out, "damaged", damaged);
	reply_uint(out, "resident_bytes", resident);
}

static void show_deltas(struct wire_writer *out, const struct table *table)
{
	uint64_t rows = 0;
	uint64_t deleted = 0;
	uint64_t bytes = 0;
	for (size_t i = 1; i < table->level_count; i++) {
		rows += table->levels[i]->rows;
		deleted += table->levels[i]->deleted;
		bytes += table->levels[i]->bytes;
	}
	reply_uint(out, "deltas", table->level_count == 0 ? 0 : table->level_count - 1);
	reply_uint(out, "delta_rows", rows);
	reply_uint(out, "delta_deleted", deleted);
	reply_uint(out, "delta_bytes", bytes);
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
	enum { BESIDE_SPEC = 13 };
	wire_write_map(out, spec_fields(&table->spec) + BESIDE_SPEC + more);
	spec_write(out, &table->spec);
	reply_uint(out, "rows", table->rows);
	reply_uint(out, "bytes", table->bytes);
	reply_uint(out, "pending", memtable_rows(table->memtable));
	show_segments(out, table);
	show_deltas(out, table);
	const struct index *index =
		atomic_load_explicit(&((struct table *)table)->index, memory_order_acquire);
	const bool indexed = index != NULL && index_is_sound(index);
	reply_uint(out, "index_bytes", indexed ? index->bytes : 0);
	reply_uint(out, "index_build_ms", indexed ? index->build_ms : 0);
	reply_str(out, "index_state", store_index_state(store, table));
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
