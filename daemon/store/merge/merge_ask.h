/* merge_ask.h - who waits for a merge, and what of: all tables, or some of one release.
 *
 * An ask is in the order in which it came. All that are for every table are served together, by one merge; one that is
 * for some tables is served alone. Whoever asked may leave before it is done; it is done all the same, but for one of some tables that
 * was not begun.
 *
 * Threads: any asks; the merger's thread serves.
 */
#ifndef DAEMON_STORE_MERGE_MERGE_ASK_H
#define DAEMON_STORE_MERGE_MERGE_ASK_H

#include "daemon/store/merge/merge.h"
#include "daemon/store/merge/merger.h"
#include "daemon/store/merge/repair.h"
#include "daemon/store/system/lock.h"

struct merge_ask {
	enum merge_reason reason;
	struct merge_scope scope;
	bool dry_run; /* of a repair */
	struct merge_result result;
	struct repair_report report;
	struct error outcome;
	bool done;
	unsigned holders; /* who asked, and the list or who serves it */
	struct merge_ask *next;
};

struct merge_asks {
	struct lock lock;
	struct condition changed;
	bool stop;
	struct merge_ask *first; /* the one that came first */
};

/* Which numbers are meant. Errors: NOT_FOUND, NOT_SEALED. */
enum status merge_scope_of(struct store *store, const struct merge_tables *which,
	struct merge_scope *out, struct error *err);

void merge_asks_init(struct merge_asks *asks);
void merge_asks_fini(struct merge_asks *asks); /* nobody waits any more */

/* Nothing is served any more: who waits is told so. */
void merge_asks_stop(struct merge_asks *asks);
bool merge_asks_stopped(struct merge_asks *asks);

/* Asks, rings, and waits. Result and report of `wanted` are set when it was served. Errors: the merge's; BUSY  the daemon is stopping;
 * NO_MEMORY; those of `stop`. */
enum status merge_asks_wait(struct merge_asks *asks, struct store *store, struct merge_ask *wanted,
	const struct stop *stop, struct error *err);

/* Whether somebody waits whom nobody serves yet. */
bool merge_asks_wait_for(struct merge_asks *asks);

/* Takes those out that are served next, in a list; NULL: nobody asks. */
struct merge_ask *merge_asks_take(struct merge_asks *asks);

/* They are done. */
void merge_asks_done(struct merge_asks *asks, struct merge_ask *taken,
	const struct merge_result *result, const struct error *outcome);

#endif
