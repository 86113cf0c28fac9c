/* change.h - one change of the catalog: the commit, then the file `current`, then the swap of the
 * snapshot.
 *
 * Last of all the janitor gets what the change has made superfluous.
 *
 * Threads: the one that holds admin_lock.
 */
#ifndef DAEMON_STORE_ADMIN_CHANGE_H
#define DAEMON_STORE_ADMIN_CHANGE_H

#include "daemon/store/catalog/catalog.h"
#include "schema/limits.h"
#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct release;
struct snapshot;
struct store;
struct table;
struct tensor;

/* What a change makes superfluous. It is removed once nobody can see it. */
struct aftermath {
	uint64_t done_with;     /* all loads of this release; then load_lock is held too. 0: none */
	struct table *replaced; /* the levels that only this table has; NULL: none */
	struct tensor *tensors[LIMIT_TENSORS_PUT]; /* the files of these tensors */
	size_t tensor_count;
	uint64_t owner; /* number of the release of table or tensors */
};

/* Makes `next` the current snapshot: catalog, `current`, swap. Takes `next` over, even if it
 * fails. `change.after` is set here. `aftermath` may be NULL. */
enum status change_commit(struct store *store, struct snapshot *next, struct catalog_change change,
	const struct aftermath *aftermath, struct error *err);

/* The same for one release, changed or new, that becomes part of the current snapshot. Takes the
 * release over, even if it fails. NULL: the caller had no memory for it, which is the error. */
enum status change_release(struct store *store, struct release *release,
	const struct aftermath *aftermath, struct error *err);

/* A copy of the current snapshot to change. Errors: NO_MEMORY. */
enum status change_begin(struct store *store, struct snapshot **next, struct error *err);

/* Puts a changed release into `next` and makes `next` the current snapshot. Takes both over, even if
 * it fails. A release that is NULL is NO_MEMORY, as above. */
enum status change_put(struct store *store, struct snapshot *next, struct release *release,
	const struct aftermath *aftermath, struct error *err);

#endif
