/* memory_fit.c - adds up the files of all releases. */
#include "daemon/store/state/memory_fit.h"

#include "daemon/store/state/state.h"
#include "daemon/store/system/memory.h"

bool store_fits_in_memory(struct store *store)
{
	const uint64_t limit = memory_limit_bytes();
	uint64_t bytes = 0;
	store_lock_admin(store);
	const struct snapshot *snapshot = store_current(store);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			bytes += release->tables[j]->bytes;
		}
	}
	store_unlock_admin(store);
	return limit == 0 || bytes <= limit / 4 * 3;
}
