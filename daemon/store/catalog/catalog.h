/* catalog.h - the one mutable LMDB environment: which releases, tables and files there are.
 *
 * Records (record.h) stand under a letter and big-endian numbers: 'v' the format version,
 * 's' the state, 'r' release, 't' release table, 'f' release table file, 'n' release tensor. A
 * change is one transaction, durable when catalog_commit returns.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_CATALOG_CATALOG_H
#define DAEMON_STORE_CATALOG_CATALOG_H

#include "daemon/store/snapshot/snapshot.h"
#include "schema/status.h"

#include <stddef.h>

enum { CATALOG_VERSION = 3 };

struct catalog;

/* Opens or creates `path`; it may grow to `bytes`, and by a quarter and 1 MiB more to make room by
 * a drop. No other thread may read maps until catalog_read has returned. Errors: UNSUPPORTED
 * another format version; CORRUPT; IO; DISK_FULL; NO_MEMORY. */
enum status catalog_open(const char *path, size_t bytes, struct catalog **out, struct error *err);
void catalog_close(struct catalog *catalog); /* NULL is fine */

/* Everything as a snapshot, with the files' records but no file opened. */
enum status catalog_read(struct catalog *catalog, struct snapshot **out, struct error *err);

/* What a change must write; the rest stays as it is. */
struct catalog_change {
	const struct snapshot *after; /* its state is written always */
	const struct release *put;    /* this release with all that is of it; or NULL */
	uint64_t remove;              /* this release with all of its; or 0 */
};

/* Errors: DISK_FULL  (also when the catalog has grown to its bound), IO, NO_MEMORY:
 * nothing has changed then. */
enum status catalog_commit(struct catalog *catalog, const struct catalog_change *change,
	struct error *err);

/* Does a change and undoes it, so that the pages which only changes read are read too. */
enum status catalog_rehearse(struct catalog *catalog);

/* Opens, reads and rehearses an existing catalog in a process of its own: LMDB's pages have no
 * checksums, and damaged ones may end who reads them. To be called before there are other
 * threads. Errors: CORRUPT, naming the signal; what can be told otherwise is left to
 * catalog_open and catalog_read, and OK here. */
enum status catalog_check(const char *path, size_t bytes, struct error *err);

#endif
