/* merger.h - the background thread that merges what the log holds into the files of tables.
 *
 *   the writer is halted, the log goes on in a new file, every memtable is frozen: that is the cut
 *     -> for each table with frozen rows: files of a new level, checked and in memory; if it has as many deltas as
 *        it may have, a few of them become one before that, range by range
 *     -> one change of the catalog swaps them in, with the sequence up to which they hold the log
 *     -> a grace period, then the frozen versions are freed
 *     -> log files that no table needs any more are removed
 *
 * A merge begins:
 * - when the log or the memtables reach a quarter of a bound; or half of one, while merges do not keep up (write/slowing.h)
 *   and a base may have ranges to take in;
 * - when a row has waited for merge_age;
 * - when the log files have grown by log_bytes since the last merge. Rows of releases that were
 *   dropped wait for no merge, but they fill files too, and only a new file gets rid of them;
 * - when store_merge asks for one.
 *
 * The thread looks when merge_bell rings, and every 200 ms. After a release was dropped, it looks
 * which log files nobody needs any more, and forgets the pause after a failure, since that release
 * may have been the reason.
 *
 * A merge writes at merge_rate until half of a bound is reached, or somebody waits for the next one, or merges do not
 * keep up, then as fast as it can; ranges of a merge that was asked for are never held back. A table that
 * fails keeps its frozen rows and its log; the other tables are merged all the same. After a failure
 * there is a pause. It ends early when a quarter of the room is used up that the failed tables have
 * left.
 *
 * Threads: the functions may be called from any.
 */
#ifndef DAEMON_STORE_MERGE_MERGER_H
#define DAEMON_STORE_MERGE_MERGER_H

#include "daemon/store/state/merge_steps.h"
#include "schema/limits.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_range;
struct merge_asks;
struct merge_result;
struct merger;
struct salvage;
struct store;
struct table;
struct write_figures;

enum status merger_start(struct store *store, struct merger **out, struct error *err);
/* A merge that is under way ends and leaves nothing behind. store->stop is set. NULL is fine. */
void merger_stop(struct merger *merger);
/* Where to ask for a merge (merge_ask.h). */
struct merge_asks *merger_asks(struct merger *merger);
/* Fills the entries of merges. */
void merger_figures(struct merger *merger, struct write_figures *out);

/* Why a merge is made. */
enum merge_reason {
	MERGE_DUE,
	MERGE_ASKED,  /* somebody waits: rows that have expired go, too */
	MERGE_FULL,   /* somebody wants tables without deltas */
	MERGE_REPAIR, /* a table's damaged ranges are to be written without what cannot be read */
	MERGE_RANGE,  /* nothing else is due: a base may take in what deltas have for a range */
};

/* Which tables a merge is for, by their numbers. */
struct merge_scope {
	uint64_t release; /* 0: all tables of all releases */
	size_t count;     /* 0: all of the release */
	uint64_t tables[LIMIT_TABLES];
};
bool merge_scope_has(const struct merge_scope *scope, uint64_t release, uint64_t table);

/* ---- one table (merge_table.c) ---- */

struct merge_job {
	struct store *store;
	uint64_t release;    /* number */
	struct table *table; /* held */
	uint64_t cut;        /* sequence of the last frame of the cut */
	int64_t clock_ms;    /* and its clock; INT64_MIN: there is none */
	bool whole;          /* all levels become a base */
	bool expired;        /* it is to be without rows that have expired */
	enum status (*pace)(void *arg, uint64_t bytes, struct error *err);
	/* The same without a pause. */
	enum status (*hurry)(void *arg, uint64_t bytes, struct error *err);
	/* Is called before each range that a base takes in, and may merge what else is due; NULL: nothing is. */
	void (*let_in)(void *arg);
	void *pace_arg;          /* their argument */
	struct salvage *salvage; /* the range is repaired (repair.h); NULL: it must be sound */
	enum status status;      /* of what was done of it so far */
	uint64_t rows;           /* out: of the new files */
	uint64_t bytes;          /* out: of the new files */
	uint64_t ranges;         /* out: of levels, that have taken in what newer ones had */
};

/* Makes a delta of the table's frozen rows, for which there is room, or a new base of these and of all levels, as
 * merge_makes_base says, and swaps it in. Errors: NOT_FOUND  its release was dropped, before or meanwhile: nothing is left to do, and
 * nothing is wrong; CORRUPT  a damaged segment; DISK_FULL, TOO_LARGE, IO, NO_MEMORY; pace's. */
enum status merge_table(struct merge_job *job, struct error *err);

/* Makes new files of a level for a range, of the old ones and what newer levels have for it, and swaps them in. Both
 * functions put the new table in the place of job->table. Errors: as merge_table. */
enum status merge_table_range(struct merge_job *job, size_t level, const struct hash_range *range,
	struct error *err);

/* ---- which tables (merge_jobs.c) ---- */

/* Merges all tables of the scope that need it: first what was written to each of them, which frees their memtables, then
 * ranges of their bases; of `model` their jobs have all but release and table. *left is set if a table that
 * was merged has more rows from before the cut. This is so after a merge that had failed: its frozen rows were still
 * there, so the cut could not freeze what came after them. Another cut can. Errors: the first of merge_table or
 * merge_ranges, naming its table; the others are merged all the same. */
enum status merge_tables(const struct merge_job *model, const struct merge_scope *scope,
	enum merge_reason reason, struct merge_result *result, bool *left, struct error *err);

/* Merges one range of one table, if the deltas of some table are more than they may be. *merged: there was one. Errors:
 * those of merge_ranges. */
enum status merge_next_range(const struct merge_job *model, bool *merged, struct error *err);

/* ---- which levels (merge_plan.c) ---- */

/* About what the frozen rows take in a file. */
uint64_t merge_frozen_bytes(const struct merge_job *job);

/* Whether all levels become a new base together with the frozen rows. Else these become a delta of their own, for which
 * nothing is read. */
bool merge_makes_base(const struct merge_job *job);

/* Whether there may be one delta more. */
bool merge_has_room(const struct merge_job *job);

/* Which delta takes in all newer ones where there is no room. */
size_t merge_tier(const struct merge_job *job);

/* Whether frozen rows become a delta in any case, and the base takes in deltas range by range. */
bool merge_goes_by_range(const struct merge_job *job);

/* Adds about how many bytes each step is to write, until the frozen rows are in files, deltas have no more than so many
 * thousandths of the base, and there may be one more. */
void merge_expect(const struct merge_job *job, uint64_t share, uint64_t left[MERGE_STEPS]);

/* Whether deltas have more than so many thousandths of the bytes of the base. */
bool merge_deltas_are_above(uint64_t deltas, uint64_t base, uint64_t share);

/* ---- rows that have expired (merge_expired.c) ---- */

/* Rows of this time or before have expired for good; INT64_MIN: none. */
int64_t merge_expired_ms(const struct merge_job *job);

/* The same for a range of the base, which takes in nothing of the log. */
int64_t merge_range_expired_ms(const struct merge_job *job);

/* Whether the files have such a row. The first time it reads all times, and after that it knows
 * the oldest. */
bool merge_has_expired(const struct merge_job *job);

/* The same of a range, when all that was written before the cut is in files; reads the times of that range. */
bool merge_range_has_expired(const struct merge_job *job, const struct hash_range *range);

/* ---- the log (merge_log.c) ---- */

/* Removes the log files that no table needs, in the catalog and then on the disk. The merge's
 * thread. Errors: IO, NO_MEMORY, those of a change of the catalog. */
enum status merge_trim_log(struct store *store, struct error *err);

#endif
