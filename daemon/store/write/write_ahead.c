/* write_ahead.c - finds the tables that a write needs rows of, and has the pages of its keys read. */
#include "daemon/store/write/write_ahead.h"

#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/read_ahead.h"
#include "daemon/store/state/reader.h"

bool write_is_cold(struct store *store, const struct write_ahead *ahead)
{
	const struct release *release;
	struct write_ahead_part part;
	const struct snapshot *snapshot = snapshot_begin(store);
	bool cold = false;
	if (snapshot_release(snapshot, ahead->release, &release, NULL) == STATUS_OK) {
		for (size_t i = 0; !cold && ahead->at(ahead->write, release, i, &part); i++) {
			cold = part.table != NULL && !table_is_at_hand(part.table);
		}
	}
	snapshot_end(store);
	return cold;
}

void write_read_ahead(struct store *store, const struct write_ahead *ahead)
{
	const struct release *release;
	struct write_ahead_part part;
	const struct snapshot *snapshot = snapshot_begin_long(store, ahead->release);
	if (snapshot == NULL) {
		return;
	}
	const uint64_t visible = store_visible(store);
	if (snapshot_release(snapshot, ahead->release, &release, NULL) == STATUS_OK) {
		for (size_t i = 0; ahead->at(ahead->write, release, i, &part); i++) {
			if (part.table != NULL) {
				table_read_ahead(part.table, part.keys, visible, ahead->wants,
					ahead->stop);
			}
		}
	}
	snapshot_end(store);
}
