/* local_figures.h - what a reader counts: calls of its methods, and keys of its tables.
 *
 * Threads: any. Each handle counts in memory of its own, by its slot, which whoever reads the figures adds up.
 */
#ifndef DAEMON_LOCAL_LOCAL_FIGURES_H
#define DAEMON_LOCAL_LOCAL_FIGURES_H

#include "daemon/local/local.h"
#include "daemon/store/system/slot.h"

struct local_state;
struct method;

/* Of the threads of one slot, and of one of local_methods. */
struct local_calls {
	_Atomic uint64_t errors;
	struct histogram times; /* in LOCAL_TIMES_NS */
};

struct local_calls_slot {
	struct local_calls methods[LOCAL_METHODS];
	uint8_t apart[SLOT_LINE_BYTES];
};

/* Counts a call that has ended, of a method of local_methods. */
void local_figures_count(struct local_state *state, const struct method *method, bool failed,
	uint64_t ns);

void local_figures(const struct local_state *state, struct local_stats *out);
size_t local_figures_methods(const struct local_state *state,
	struct local_method_stats out[LOCAL_METHODS]);
enum status local_figures_tables(const struct local_state *state, struct local_table_stats **out,
	size_t *count);

#endif
