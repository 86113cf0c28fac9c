/* change.h - one change of the catalog: commit, the file `current`, the snapshot swap.
 *
 * What the change makes superfluous is handed to the janitor last of all.
 *
 * Threads: whoever holds admin_lock.
 */
#ifndef DAEMON_STORE_ADMIN_CHANGE_H
#define DAEMON_STORE_ADMIN_CHANGE_H

#include "daemon/store/catalog/catalog.h"
#include "schema/status.h"

#include <stdint.h>

struct release;
struct snapshot;
struct store;
struct table;
struct tensor;

/* What a change makes superfluous, and is removed once nobody can see it. */
struct aftermath {
	uint64_t done_with;     /* the loads of this release; load_lock is held then. 0: none */
	struct table *replaced; /* the files of this table of `owner`; NULL: none */
	struct tensor *tensor;  /* the file of this tensor of `owner`; NULL: none */
	uint64_t owner;
};

/* Makes `next` the current snapshot: catalog, `current`, swap. Takes `next` over, even if it
 * fails. `change.after` is set here. `aftermath` may be NULL. */
enum status change_commit(struct store *store, struct snapshot *next, struct catalog_change change,
	const struct aftermath *aftermath, struct error *err);

/* The same for one release, changed or new, that becomes part of the current snapshot. Takes it
 * over, even if it fails; NULL is NO_MEMORY. */
enum status change_release(struct store *store, struct release *release,
	const struct aftermath *aftermath, struct error *err);

/* A copy of the current snapshot to change. Errors: NO_MEMORY. */
enum status change_begin(struct store *store, struct snapshot **next, struct error *err);

/* Puts a changed release into `next` and makes that current. Takes both over, even if it fails; a
 * release that is NULL is NO_MEMORY. */
enum status change_put(struct store *store, struct snapshot *next, struct release *release,
	const struct aftermath *aftermath, struct error *err);

#endif
