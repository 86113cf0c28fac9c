/* inspection.c - walks over all segments of all tables: first over what a look-up needs besides rows, then over rows. */
#include "daemon/store/inspection/inspection.h"

#include "daemon/store/base/base.h"
#include "daemon/store/base/find_cold.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/level_filter.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/background.h"
#include "daemon/store/state/memory_fit.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/grace.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* Of what does not fit in memory it reads about so much a second, and the rest later. */
enum { LOOK_BYTES = 128 << 20 };

/* ---- tables ---- */

/* A place in the walk over all tables of all releases. */
struct walk {
	size_t release;
	size_t table;
};

/* Holds the next table that has files; NULL at the end of the walk. */
static struct table *next_table(struct store *store, struct walk *walk)
{
	struct table *found = NULL;
	store_lock_admin(store);
	const struct snapshot *snapshot = store_current(store);
	while (found == NULL && walk->release < snapshot->release_count) {
		const struct release *release = snapshot->releases[walk->release];
		if (walk->table >= release->table_count) {
			walk->release++;
			walk->table = 0;
			continue;
		}
		struct table *table = release->tables[walk->table++];
		if (table->bases != NULL) {
			assert(table->refs > 0);
			table->refs++;
			found = table;
		}
	}
	store_unlock_admin(store);
	return found;
}

/* An index that has failed is built anew. */
static void look_at_index(struct store *store, const struct table *table)
{
	grace_enter();
	const bool lacks = table_index_is_partial(table);
	grace_leave();
	if (lacks) {
		bell_ring(&store->index_bell);
	}
}

/* ---- segments ---- */

/* A look at all tables. */
struct look {
	struct inspection *inspection;
	struct memory_fit fit;
	bool measures;
	uint64_t left; /* bytes that may be read, but for keys that were never read */
	uint64_t damaged;
	char where[256]; /* the last one that is: its table and file, for the journal */
};

static void begin_to_read(struct inspection *inspection)
{
	inspection->read_ns = clock_monotonic_ns();
	inspection->cold = find_cold_begun();
}

/* Waits as long as the last piece took, if requests have read from the disk meanwhile. False: the store is to close. */
static bool make_way(void *arg, uint64_t bytes)
{
	enum { LONGEST_MS = 200 };
	struct inspection *inspection = arg;
	if (find_cold_begun() != inspection->cold) {
		const uint64_t ms = (clock_monotonic_ns() - inspection->read_ns) / 1000000 + 1;
		inspection->pause(inspection->arg, ms < LONGEST_MS ? ms : LONGEST_MS);
	}
	inspection->bytes += bytes;
	begin_to_read(inspection);
	return !atomic_load(&inspection->store->stop);
}

/* Reads a segment in and checks it. Rows that do not fit in memory are the first to be taken again, so that they
 * drive nothing out that is asked for. Returns false if it was not done. */
static bool check(const struct look *look, struct base_set *set, size_t i)
{
	begin_to_read(look->inspection);
	if (!base_segment_read(set, i, BASE_PART_ALL, make_way, look->inspection)) {
		return false;
	}
	(void)base_segment_wait(set, i);
	if (!look->fit.all) {
		base_segment_let_go(set, i);
	}
	return true;
}

static void count_read(struct look *look, uint64_t bytes)
{
	look->left -= bytes < look->left ? bytes : look->left;
}

/* Reads in what a look-up needs besides rows, and again what the system has taken of that. */
static bool walk_keys(struct look *look, struct base_set *set)
{
	struct inspection *inspection = look->inspection;
	bool go_on = true;
	begin_to_read(inspection);
	for (size_t i = 0; go_on && i < set->segment_count; i++) {
		const enum base_segment_state state = base_segment_state(set->segments[i]);
		const uint64_t before = inspection->bytes;
		if (state == BASE_READY || (state == BASE_AWAY && look->left == 0)) {
			continue;
		}
		go_on = base_segment_read(set, i, BASE_PART_KEYS, make_way, inspection) &&
			inspection->go_on(inspection->arg);
		if (state == BASE_AWAY) {
			count_read(look, inspection->bytes - before);
		}
	}
	return go_on;
}

static void count_damaged(struct look *look, const struct base_set *set, size_t i)
{
	char name[64];
	base_file_name(name, sizeof name, set->owner.table, base_set_file_of(set, i));
	(void)snprintf(look->where, sizeof look->where, "table=%s file=releases/%" PRIu64 "/%s",
		set->owner.spec.name.text, set->owner.release, name);
	look->damaged++;
}

/* Checks the segments that are not checked yet, and looks whether the others are in memory. */
static bool walk_rows(struct look *look, struct base_set *set)
{
	const struct inspection *inspection = look->inspection;
	bool go_on = true;
	base_set_look(set);
	for (size_t i = 0; go_on && i < set->segment_count; i++) {
		if (base_segment_state(set->segments[i]) == BASE_UNCHECKED && look->left > 0) {
			go_on = check(look, set, i) && inspection->go_on(inspection->arg);
			count_read(look, set->segments[i]->info->bytes);
		} else if (base_segment_look(set, i) == STATUS_UNSUPPORTED) {
			store_call_refused(inspection->store, STORE_CALL_MINCORE);
		}
		if (base_segment_state(set->segments[i]) == BASE_DAMAGED) {
			count_damaged(look, set, i);
		}
		if (look->measures) {
			base_segment_measure(set, i);
		}
	}
	return go_on;
}

/* ---- the walk ---- */

/* Before any rows, so that soon after a start each key costs one page. */
static bool look_at_keys(struct look *look, struct table *table)
{
	bool go_on = true;
	for (size_t i = table->level_count; go_on && i > 0; i--) {
		go_on = walk_keys(look, table->levels[i - 1]->set);
	}
	return go_on;
}

/* A table with deltas gets its filter, if it has none since it was opened. */
static bool look_at_rows(struct look *look, struct table *table)
{
	bool go_on = true;
	look_at_index(look->inspection->store, table);
	for (size_t i = table->level_count; go_on && i > 0; i--) {
		go_on = walk_rows(look, table->levels[i - 1]->set);
		if (go_on && i == 2) {
			(void)level_filter_make(table); /* all deltas were looked at */
		}
	}
	return go_on;
}

static bool walk_tables(struct look *look, bool (*look_at)(struct look *look, struct table *table))
{
	struct store *store = look->inspection->store;
	struct walk walk = {0};
	struct table *table;
	bool go_on = true;
	while (go_on && (table = next_table(store, &walk)) != NULL) {
		go_on = look_at(look, table);
		background_let_go(store, table);
	}
	return go_on;
}

bool inspection_run(struct inspection *inspection, bool measures)
{
	struct look look = {.inspection = inspection,
		.fit = store_memory_fit(inspection->store),
		.measures = measures};
	look.left = look.fit.all ? UINT64_MAX : LOOK_BYTES;
	if ((look.fit.keys && !walk_tables(&look, look_at_keys)) ||
		!walk_tables(&look, look_at_rows)) {
		return false;
	}
	if (look.damaged > inspection->damaged) {
		store_event(inspection->store, "event=damage segments=%" PRIu64 " %s", look.damaged,
			look.where);
	}
	inspection->damaged = look.damaged;
	return true;
}
