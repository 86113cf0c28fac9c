/* merger.h - the background thread that folds the log into base files.
 *
 *   halt the writer -> the log goes on in a new file, every memtable is frozen: that is the cut
 *     -> of each table that has something frozen: new base files, checked and in memory
 *     -> one catalog transaction that swaps them in, with the sequence that they hold
 *     -> a grace period, then the frozen versions are freed
 *     -> log files that no table needs any more are removed
 *
 * It begins when a bound is reached by a quarter, when something has waited for merge_age, when the
 * log's files have grown by a whole bound since the last one (with what was written to releases
 * that were dropped, which waits for no merge), and when it is asked to. It looks when merge_bell
 * rings, and now and then. After a release was dropped it looks which log files nobody needs any
 * more, and a merge that failed, perhaps because of that release, is tried again at once. It writes
 * at merge_rate until a bound is reached by half, then as fast as it can. A table that fails keeps
 * what is frozen, and its log; the others go on, in the room that is left: a merge that has failed
 * is tried again after a pause, or when a quarter of that is used up.
 *
 * Threads: the functions may be called from any.
 */
#ifndef DAEMON_STORE_MERGE_MERGER_H
#define DAEMON_STORE_MERGE_MERGER_H

#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

struct merger;
struct store;
struct table;
struct write_figures;

enum status merger_start(struct store *store, struct merger **out, struct error *err);
/* What is under way ends without a trace: store->stop must be set. NULL is fine. */
void merger_stop(struct merger *merger);
/* Fills the entries of merges. */
void merger_figures(struct merger *merger, struct write_figures *out);

/* ---- one table (merge_table.c) ---- */

struct merge_job {
	struct store *store;
	uint64_t release;    /* number */
	struct table *table; /* held */
	int64_t clock_ms;    /* at the cut */
	enum status (*pace)(void *arg, uint64_t bytes, struct error *err);
	void *pace_arg;
	uint64_t rows; /* out: of the new files, as the next */
	uint64_t bytes;
};

/* Writes its base files anew and swaps them in. Errors: NOT_FOUND  its release was dropped, now or
 * meanwhile: nothing is left of it, and nothing is wrong; CORRUPT  a damaged segment; DISK_FULL,
 * TOO_LARGE, IO, NO_MEMORY; pace's. */
enum status merge_table(struct merge_job *job, struct error *err);

/* ---- the log (merge_log.c) ---- */

/* Removes the log files that no table needs, in the catalog and then on the disk. The merge's
 * thread. Errors: IO, NO_MEMORY, those of a change of the catalog. */
enum status merge_trim_log(struct store *store, struct error *err);

#endif
