/* fullness.c - the bounds of the log and the memtables. */
#include "daemon/store/write/fullness.h"

#include "daemon/store/state/options.h"
#include "daemon/store/state/state.h"

unsigned fullness_of(const struct store *store)
{
	const struct write_options *options = &store->options.write;
	const struct memtable_usage *usage = &store->usage;
	const uint64_t log = atomic_load_explicit(&usage->log_bytes, memory_order_relaxed);
	const uint64_t rows = atomic_load_explicit(&usage->rows, memory_order_relaxed);
	const uint64_t bytes = atomic_load_explicit(&usage->bytes, memory_order_relaxed);
	uint64_t most = log * 1000 / options->log_bytes;
	const uint64_t by_rows = rows * 1000 / options->memtable_rows;
	const uint64_t by_bytes = bytes * 1000 / options->memtable_bytes;
	most = by_rows > most ? by_rows : most;
	most = by_bytes > most ? by_bytes : most;
	return (unsigned)most;
}

bool fullness_must_hurry(const struct store *store)
{
	return fullness_of(store) >= FULLNESS_HURRY;
}
