/* leftovers.h - what a killed process has left in a data folder.
 *
 * Threads: the one that opens the store.
 */
#ifndef DAEMON_STORE_LEFTOVERS_H
#define DAEMON_STORE_LEFTOVERS_H

#include "schema/status.h"

struct snapshot;
struct store;

/* Removes the folders and files that the catalog does not name. Errors: CORRUPT  there is a folder
 * with files, and the catalog has never given its number out: so the catalog is the wrong one. */
enum status leftovers_sweep(struct store *store, const struct snapshot *snapshot,
	struct error *err);

#endif
