/* snapshot.h - what readers see: releases, their tables, and which is live, as of one moment.
 *
 * A snapshot is immutable, and so is all that it points to, but for what says otherwise: states of
 * segments, tensors and indexes, memtables, and positions. Each change of the catalog makes a new
 * snapshot, which shares the releases and tables that did not change, and publishes its address. A
 * reader takes it between snapshot_begin and snapshot_end (reader.h), and keeps no pointer of it
 * longer. No lock is taken to read.
 *
 * Threads: any that has called grace_register (grace.h). A new snapshot is made under the admin
 * lock, which also guards all counts of references.
 */
#ifndef DAEMON_STORE_SNAPSHOT_SNAPSHOT_H
#define DAEMON_STORE_SNAPSHOT_SNAPSHOT_H

#include "schema/default_row.h"
#include "schema/name.h"
#include "schema/siphash.h"
#include "schema/spec.h"
#include "schema/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct base_set;
struct base_file_info;
struct level;
struct level_filter;
struct memtable;
struct positions;
struct tensor;
struct indexes;
struct table_counts;

/* A bulk load that has ended: its sender has said that it is whole. */
struct ended_load {
	struct name load;
	uint64_t chunks;
	uint64_t rows;
};

/* A base, and so many deltas less one (level.h). */
enum { TABLE_LEVELS_MAX = 8 };

struct table {
	struct table_spec spec;
	uint64_t number;      /* never used again within the release */
	struct key_seed seed; /* its release's; release_put sets it */
	/* In all levels together, without tombstones. With deltas it is the most that there can be: a row
	 * of a delta may be in the base, too. */
	uint64_t rows;
	uint64_t bytes;     /* of the files of all levels */
	uint64_t next_file; /* number of the next file: larger than any that it ever had */
	size_t level_count; /* 0 while the release is open, and for an empty table */
	struct level *levels[TABLE_LEVELS_MAX]; /* the base, then deltas, the newest last; shared */
	struct base_set *bases; /* borrowed: of the base; NULL: there is none, or it is not open */
	uint64_t merged_to;     /* the levels hold all that was written up to this sequence */
	struct memtable *memtable; /* shared with the tables that it was and will be; never NULL */
	size_t ended_count;
	struct ended_load *ended; /* owned; while the release is open */
	/* owned; NULL: the spec says zeros or none, or a mean that a seal has not found yet */
	struct default_row *default_row;
	struct table_counts *counts; /* shared by the tables of this name of a store */
	/* From `index` on a table changes; a pinned reader has a copy of what is before (reader.c). */
	_Atomic(struct indexes *)
		index; /* owned, of the files of the base; NULL: there is none yet */
	/* owned; NULL: not made yet, or there are no deltas. It is set once. */
	_Atomic(struct level_filter *) filter;
	/* The indexer's, guarded by the admin lock; the table that a merge makes takes both over. */
	uint64_t index_wait_ms;  /* between its tries; 0: none has failed */
	uint64_t index_again_ms; /* when to try next, monotonic */
	int64_t oldest_ms;       /* the merger's: the time of the oldest row */
	bool oldest_known;       /* the merger's */
	unsigned refs;           /* releases that hold it; guarded by the admin lock */
};

enum release_state { RELEASE_OPEN = 0, RELEASE_SEALED = 1 };

struct release {
	struct name id;
	uint64_t number;
	struct key_seed seed; /* of the hashes of its keys; drawn when it was created */
	char model[LIMIT_LABEL_BYTES + 1];
	char checkpoint[LIMIT_LABEL_BYTES + 1];
	enum release_state state;
	int64_t created_ms;
	int64_t sealed_ms;    /* 0: never */
	int64_t published_ms; /* the last time; 0: never */
	uint64_t next_table;  /* number of the next table */
	struct name layer;    /* the chosen layer: what a name without @layer means; "": none */
	struct positions
		*positions; /* shared with the releases that it was and will be; never NULL */
	size_t table_count;
	struct table **tables; /* in the order of their names */
	uint64_t next_tensor;  /* number of the next tensor */
	size_t tensor_count;
	struct tensor **tensors; /* in the order of their names */
	/* The last: a pinned reader has a copy of what is before (reader.c). */
	unsigned refs; /* snapshots that hold it; guarded by the admin lock */
};

/* Releases that were live before, oldest first: where a rollback leads. */
enum { SNAPSHOT_HISTORY_MAX = 64 };

struct snapshot {
	uint64_t sequence;          /* of the catalog; grows with every change */
	uint64_t next_release;      /* number of the next release */
	uint64_t log_first_file;    /* of the log's files, the first that is needed; 0: none yet */
	uint64_t written;           /* the newest sequence of the log that a merge has seen */
	const struct release *live; /* NULL: none is */
	size_t release_count;
	struct release **releases; /* in the order of their numbers */
	size_t history_count;
	uint64_t history[SNAPSHOT_HISTORY_MAX]; /* numbers */
};

/* Finds a release by its name; NULL or "live" mean the live one. Errors: NOT_FOUND, naming it. */
enum status snapshot_release(const struct snapshot *snapshot, const char *id,
	const struct release **out, struct error *err);

/* Finds a table by its name. If no table has this name, and it has no @layer, the table of the
 * chosen layer is meant. Errors: NOT_FOUND, naming table and release. */
enum status release_table(const struct release *release, const char *name, const struct table **out,
	struct error *err);

/* Finds a tensor by its name. Errors: NOT_FOUND, naming tensor and release. */
enum status release_tensor(const struct release *release, const char *name, struct tensor **out,
	struct error *err);

/* Find by number; NULL when there is none. `release` may be NULL, which has no tables. */
struct release *snapshot_find(const struct snapshot *snapshot, uint64_t number);
struct table *release_find(const struct release *release, uint64_t number);

/* ---- making a new one: the admin's side ---- */

/* A copy that shares all releases; change it before it is published. NULL: no memory. */
struct snapshot *snapshot_copy(const struct snapshot *from);
/* Gives up its releases, and frees those that nothing else holds. NULL is fine. */
void snapshot_drop(struct snapshot *snapshot);

/* A new release that shares the tables and tensors of `from` (NULL: an empty release). NULL: no
 * memory. */
struct release *release_copy(const struct release *from);
void release_drop(struct release *release); /* gives up a reference; NULL is fine */
struct table *table_new(const struct table_spec *spec, uint64_t number);
/* A table to take the place of `from`: the same spec, number and memtable, but no levels. */
struct table *table_renew(const struct table *from);
/* Gives it a copy of a row, in the place of what it had; NULL: none. Errors: NO_MEMORY. */
enum status table_set_default(struct table *table, const struct default_row *row);
void table_drop(struct table *table);

/* Puts a release in the place of the one that has its number, or else behind all. It is the
 * snapshot's from now on, also after a failure. Errors: NO_MEMORY. */
enum status snapshot_put(struct snapshot *snapshot, struct release *release);
/* Takes a release, which is not live, out of the list and out of the history. */
void snapshot_remove(struct snapshot *snapshot, uint64_t number);
/* Puts a table in the place of the one that has its name, or else where its name belongs. It is the
 * release's from now on, also after a failure. Errors: NO_MEMORY. */
enum status release_put(struct release *release, struct table *table);
/* The same for a tensor. */
enum status release_put_tensor(struct release *release, struct tensor *tensor);
/* Takes the tensor of this name, which is there, out. */
void release_remove_tensor(struct release *release, const char *name);
void release_drop_tensors(struct release *release);
/* Gives up its own tensors, and shares those of `from`. Errors: NO_MEMORY. */
enum status release_share_tensors(struct release *release, const struct release *from);

#endif
