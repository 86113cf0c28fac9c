/* observe_ahead.c - finds the tables that a batch of samples is for, and has the pages of its keys read. */
#include "daemon/store/observe/observe_ahead.h"

#include "daemon/store/observe/observe.h"
#include "daemon/store/snapshot/layer.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/read_ahead.h"
#include "daemon/store/state/reader.h"

#include <stddef.h>

static bool is_fed(const struct release *release, const struct observation *given,
	const struct table *table)
{
	const struct table *named = NULL;
	return given->table == NULL
		       ? layer_has(table, given->layer)
		       : release_table(release, given->table, &named, NULL) == STATUS_OK &&
				 named == table;
}

/* The keys that the samples have for a table; NULL: none that it could have. */
static const struct keys *keys_of(const struct observation *given, const struct table *table)
{
	const struct keys *keys = table->spec.entity == ENTITY_USER ? &given->users : &given->items;
	return keys->type == table->spec.key_type ? keys : NULL;
}

/* Whether something of a table that the samples are for is not in memory. */
static bool is_cold(struct store *store, const struct observation *given)
{
	const struct release *release;
	const struct snapshot *snapshot = snapshot_begin(store);
	bool cold = false;
	if (snapshot_release(snapshot, given->release, &release, NULL) == STATUS_OK) {
		for (size_t i = 0; i < release->table_count && !cold; i++) {
			cold = is_fed(release, given, release->tables[i]) &&
			       !table_is_at_hand(release->tables[i]);
		}
	}
	snapshot_end(store);
	return cold;
}

void observe_read_ahead(struct store *store, const struct observation *given)
{
	const struct release *release;
	const struct snapshot *snapshot =
		is_cold(store, given) ? snapshot_begin_long(store, given->release) : NULL;
	if (snapshot == NULL) {
		return;
	}
	const uint64_t visible = store_visible(store);
	if (snapshot_release(snapshot, given->release, &release, NULL) == STATUS_OK) {
		for (size_t i = 0; i < release->table_count; i++) {
			const struct table *table = release->tables[i];
			const struct keys *keys = keys_of(given, table);
			if (keys != NULL && is_fed(release, given, table)) {
				table_read_ahead(table, keys, visible,
					FIND_ROWS | FIND_TIMES | FIND_TAGS | FIND_LOWS,
					given->stop);
			}
		}
	}
	snapshot_end(store);
}
