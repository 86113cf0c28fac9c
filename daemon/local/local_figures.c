/* local_figures.c - counts calls, and adds up what was counted. */
#include "daemon/local/local_figures.h"

#include "daemon/local/local_methods.h"
#include "daemon/local/local_state.h"
#include "daemon/store/snapshot/table_counts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof((struct local_stats *)NULL)->keys / sizeof(uint64_t) == WHY_COUNT,
	"a count for each result");
static_assert(sizeof((struct local_table_stats *)NULL)->keys / sizeof(uint64_t) == TABLE_RESULTS,
	"a count for each result");
static_assert((int)LOCAL_TIMES == (int)HISTOGRAM_BUCKETS, "one number a bucket");

void local_figures_count(struct local_state *state, const struct method *method, bool failed,
	uint64_t ns)
{
	struct local_calls *calls =
		&state->calls[slot_own].methods[(size_t)(method - local_methods)];
	slot_add_value(slot_own, &calls->times, ns, LOCAL_TIMES_NS);
	if (failed) {
		slot_add(slot_own, &calls->errors, 1);
	}
}

void local_figures(const struct local_state *state, struct local_stats *out)
{
	struct service_figures figures;
	service_figures(&state->service, &figures);
	out->sequence = atomic_load(&state->applied);
	out->lag_ms = local_state_lag(state, &out->is_alive);
	out->is_full = atomic_load(&state->is_full);
	out->frames = atomic_load(&state->frames);
	out->log_bytes = atomic_load(&state->log_bytes);
	out->rows = atomic_load(&state->store->usage.rows);
	out->memory_bytes = atomic_load(&state->store->usage.bytes);
	out->images = atomic_load(&state->imaging.made);
	out->snapshots = atomic_load(&state->snapshots);
	out->replays = atomic_load(&state->replays);
	out->retries = atomic_load(&state->retries);
	for (unsigned i = 0; i < WHY_COUNT; i++) {
		out->keys[i] = figures.fetch_counts[i];
	}
}

size_t local_figures_methods(const struct local_state *state,
	struct local_method_stats out[LOCAL_METHODS])
{
	size_t count = 0;
	for (size_t i = 0; i < local_method_count; i++) {
		struct histogram_figures times = {0};
		uint64_t errors = 0;
		for (size_t slot = 0; slot < SLOT_COUNT; slot++) {
			const struct local_calls *calls = &state->calls[slot].methods[i];
			errors += counter_read(&calls->errors);
			histogram_read(&calls->times, &times);
		}
		const uint64_t calls = histogram_count(&times);
		if (calls > 0) {
			out[count] = (struct local_method_stats){
				.name = local_methods[i].name,
				.calls = calls,
				.errors = errors,
				.ns = times.sum,
			};
			memcpy(out[count].times, times.counts, sizeof out[count].times);
			count++;
		}
	}
	return count;
}

enum status local_figures_tables(const struct local_state *state, struct local_table_stats **out,
	size_t *count)
{
	struct store *store = state->store;
	const struct link *list = &store->table_counts;
	store_lock_admin(store);
	size_t most = 1;
	for (const struct link *at = list->next; at != list; at = at->next) {
		most++;
	}
	struct local_table_stats *tables = calloc(most, sizeof *tables);
	*count = 0;
	for (const struct link *at = list->next; tables != NULL && at != list; at = at->next) {
		const struct table_counts *of = LINK_OWNER(at, struct table_counts, all);
		struct local_table_stats *table = &tables[*count];
		table->name = of->name;
		uint64_t sum = 0;
		for (unsigned i = 0; i < TABLE_RESULTS; i++) {
			table->keys[i] = table_counts_result(of, i);
			sum += table->keys[i];
		}
		*count += sum > 0 ? 1 : 0;
	}
	store_unlock_admin(store);
	*out = tables;
	return tables != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}
