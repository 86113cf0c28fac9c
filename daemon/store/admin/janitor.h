/* janitor.h - the background thread of a store: frees, removes, checks.
 *
 * It frees snapshots that no reader can see any more, removes the folders of dropped
 * releases when their maps are closed, checks segments that were not read yet, and looks
 * once a second whether checked ones are still in memory.
 *
 * Threads: the functions may be called from any thread.
 */
#ifndef DAEMON_STORE_ADMIN_JANITOR_H
#define DAEMON_STORE_ADMIN_JANITOR_H

#include "schema/status.h"

#include <stdint.h>

struct janitor;
struct load;
struct snapshot;
struct store;
struct table;
struct tensor;

/* What a change of the catalog leaves behind: a snapshot to free, and perhaps loads to close
 * and a release's folder to remove after it. */
struct janitor_job {
	struct janitor_job *next;
	struct snapshot *retired; /* owned */
	struct load *loads;       /* owned list: closing a large unlinked file takes a while */
	uint64_t sealed;          /* a release whose spill files are to be removed; 0: none */
	uint64_t dropped;         /* a release whose folder is to be removed; 0: none */
	struct table *replaced;   /* held: its files are to be removed; NULL: none */
	struct tensor *tensor;    /* held: its file is to be removed; NULL: none */
	uint64_t owner;           /* the release that they were of */
	uint64_t files;
	uint64_t bytes;
};

enum status janitor_start(struct store *store, struct janitor **out);
/* Does what is queued, then ends. NULL is fine. */
void janitor_stop(struct janitor *janitor);
/* Takes a malloc'ed job over. */
void janitor_add(struct janitor *janitor, struct janitor_job *job);
/* What still waits to be removed. */
void janitor_waiting(struct janitor *janitor, uint64_t *files, uint64_t *bytes);

#endif
