/* memory_fit.c - adds up the files of all releases. */
#include "daemon/store/state/memory_fit.h"

#include "daemon/store/state/state.h"
#include "daemon/store/system/memory.h"

struct memory_fit store_memory_fit(struct store *store)
{
	const uint64_t limit = memory_limit_bytes();
	uint64_t bytes = 0;
	uint64_t keys = 0;
	store_lock_admin(store);
	const struct snapshot *snapshot = store_current(store);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			const struct table *table = release->tables[j];
			const uint64_t rows = table->rows * spec_stored_bytes(&table->spec);
			bytes += table->bytes;
			keys += table->bytes > rows ? table->bytes - rows : 0;
		}
	}
	store_unlock_admin(store);
	return (struct memory_fit){
		.all = limit == 0 || bytes <= limit / 4 * 3,
		.keys = limit == 0 || keys <= limit / 4,
	};
}
