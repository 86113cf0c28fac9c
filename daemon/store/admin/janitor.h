/* janitor.h - the background thread of a store: frees, removes, checks.
 *
 * It frees snapshots that no reader can see any more, and then removes the files that only they
 * named. What a reader has pinned (reader.h) waits until it has left; the janitor asks once a second,
 * and goes on with what comes after. It checks segments that were not read yet, and looks once a second whether those that were
 * checked are still in memory.
 *
 * Threads: the functions may be called from any thread.
 */
#ifndef DAEMON_STORE_ADMIN_JANITOR_H
#define DAEMON_STORE_ADMIN_JANITOR_H

#include "daemon/store/snapshot/snapshot.h"
#include "schema/limits.h"
#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct janitor;
struct load;
struct store;

/* What a change of the catalog leaves behind: a snapshot to free, and afterwards perhaps loads to
 * close and files to remove. */
struct janitor_job {
	struct janitor_job *next;
	struct snapshot *retired; /* owned */
	struct load *loads;     /* owned list, closed here since that takes long for large files */
	uint64_t sealed;        /* a release whose spill files are to be removed; 0: none */
	uint64_t dropped;       /* a release whose folder is to be removed; 0: none */
	struct table *replaced; /* held, and gone; NULL: none */
	uint64_t *left; /* owned: numbers of its files that went with it, which are to be removed */
	size_t left_count;
	struct tensor *tensors[LIMIT_TENSORS_PUT]; /* held: their files are to be removed */
	size_t tensor_count;
	uint64_t owner; /* number of the release of table or tensors */
	uint64_t files; /* to be removed, for the figures */
	uint64_t bytes; /* of these files */
};

enum status janitor_start(struct store *store, struct janitor **out, struct error *err);
/* Does the jobs that are queued, then ends. NULL is fine. */
void janitor_stop(struct janitor *janitor);
/* Takes a malloc'ed job over. */
void janitor_add(struct janitor *janitor, struct janitor_job *job);
/* Files that still wait to be removed, and their bytes. */
void janitor_waiting(struct janitor *janitor, uint64_t *files, uint64_t *bytes);

#endif
