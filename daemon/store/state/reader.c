/* reader.c - begins and ends the snapshot of a reader: a short one stays inside the grace periods, a
 * long one counts itself in what it uses. */
#include "daemon/store/state/reader.h"

#include "daemon/store/memtable/memtable_pin.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/grace.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* What a long reader holds, and the snapshot that it sees: that of its beginning with one release,
 * whose tables have the generations of then for their memtables. So merges may go on, and the code
 * that reads need not know how its snapshot was begun. */
struct pin {
	struct pin *next;
	const struct snapshot *of; /* held: the janitor does not free it */
	uint64_t visible;
	struct snapshot snapshot;
	struct release release;
	struct release *releases[1];
	struct memtable *memtables; /* in the memory of the pin, as the next two */
	struct table **tables;
	struct table *table_data;
};

static_assert(sizeof(struct pin) % _Alignof(struct table) == 0, "tables stand behind a pin");
static_assert(_Alignof(struct table) >= _Alignof(struct memtable), "and memtables behind tables");

/* Of the thread; NULL: its reader is a short one. */
static _Thread_local struct pin *own;

/* ---- short readers ---- */

const struct snapshot *snapshot_begin(struct store *store)
{
	assert(!grace_is_inside());
	grace_enter();
	return atomic_load_explicit(&store->current, memory_order_acquire);
}

uint64_t store_visible(struct store *store)
{
	assert(grace_is_inside()); /* the snapshot comes first */
	return own != NULL ? own->visible
			   : atomic_load_explicit(&store->visible, memory_order_acquire);
}

/* ---- long readers ---- */

static struct pin *pin_new(size_t tables)
{
	const size_t each = sizeof(struct table) + sizeof(struct memtable) + sizeof(struct table *);
	struct pin *pin = calloc(1, sizeof *pin + tables * each);
	if (pin != NULL) {
		pin->table_data = (struct table *)(pin + 1);
		pin->memtables = (struct memtable *)(pin->table_data + tables);
		pin->tables = (struct table **)(pin->memtables + tables);
	}
	return pin;
}

/* Makes what the reader sees. It is inside, so all of it is there. */
static void fill(struct pin *pin, const struct snapshot *snapshot, const struct release *release)
{
	memcpy(&pin->release, release, offsetof(struct release, refs));
	pin->release.tables = pin->tables;
	for (size_t i = 0; i < release->table_count; i++) {
		const struct table *table = release->tables[i];
		struct table *copy = &pin->table_data[i];
		memcpy(copy, table, offsetof(struct table, index));
		atomic_init(&copy->index, table_index_hold(table));
		atomic_init(&copy->filter, atomic_load(&table->filter));
		memtable_pin(table->memtable, &pin->memtables[i]);
		copy->memtable = &pin->memtables[i];
		pin->tables[i] = copy;
	}
	pin->releases[0] = &pin->release;
	pin->snapshot = *snapshot;
	pin->snapshot.releases = pin->releases;
	pin->snapshot.release_count = 1;
	pin->snapshot.live = snapshot->live == release ? &pin->release : NULL;
}

static void list_pin(struct store *store, struct pin *pin)
{
	lock_take(&store->pin_lock);
	pin->next = store->pins;
	store->pins = pin;
	lock_release(&store->pin_lock);
}

struct pin *store_hold(struct store *store)
{
	struct pin *pin = pin_new(0);
	lock_assert_held(&store->admin_lock); /* so that the snapshot is not retired before */
	if (pin != NULL) {
		pin->of = store_current(store);
		list_pin(store, pin);
	}
	return pin;
}

const struct snapshot *snapshot_begin_long(struct store *store, const char *id)
{
	const struct snapshot *snapshot = snapshot_begin(store);
	const struct release *release;
	assert(own == NULL);
	if (snapshot_release(snapshot, id, &release, NULL) != STATUS_OK) {
		return snapshot;
	}
	struct pin *pin = pin_new(release->table_count);
	if (pin == NULL) {
		snapshot_end(store);
		return NULL;
	}
	pin->of = snapshot;
	pin->visible = store_visible(store);
	fill(pin, snapshot, release); /* after `visible` */
	list_pin(store, pin);
	own = pin;
	grace_pin();
	return &pin->snapshot;
}

static void unpin(struct store *store, struct pin *pin)
{
	for (size_t i = 0; i < pin->release.table_count; i++) {
		memtable_unpin(&pin->memtables[i]);
		table_index_let_go(atomic_load(&pin->table_data[i].index));
	}
	lock_take(&store->pin_lock);
	struct pin **at = &store->pins;
	while (*at != pin) {
		at = &(*at)->next;
	}
	*at = pin->next;
	lock_release(&store->pin_lock);
	free(pin);
}

void store_let_go(struct store *store, struct pin *pin)
{
	if (pin != NULL) {
		unpin(store, pin);
	}
}

void snapshot_end(struct store *store)
{
	assert(grace_is_inside());
	if (own != NULL) {
		grace_unpin();
		unpin(store, own);
		own = NULL;
	} else {
		grace_leave();
	}
}

bool store_is_pinned(struct store *store, const struct snapshot *snapshot)
{
	bool found = false;
	lock_take(&store->pin_lock);
	for (const struct pin *pin = store->pins; pin != NULL && !found; pin = pin->next) {
		found = pin->of == snapshot;
	}
	lock_release(&store->pin_lock);
	return found;
}

unsigned store_count_pins(struct store *store)
{
	unsigned count = 0;
	lock_take(&store->pin_lock);
	for (const struct pin *pin = store->pins; pin != NULL; pin = pin->next) {
		count++;
	}
	lock_release(&store->pin_lock);
	return count;
}

const char *store_index_state(struct store *store, const struct table *table)
{
	if (table->spec.index == INDEX_NONE) {
		return "none";
	}
	if (table_has_index(table) && !table_index_is_partial(table)) {
		return "ready";
	}
	if (table->rows > 0 && !table_wants_index(table, store->options.sizes.index_rows_min)) {
		return "few_rows";
	}
	return atomic_load(&store->indexing) == table ? "building" : "waiting";
}
