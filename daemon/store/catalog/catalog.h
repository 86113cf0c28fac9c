/* catalog.h - the one mutable LMDB environment: which releases, tables and files there are.
 *
 * A record's key is a letter and numbers, big-endian: 'v' the format version, 's' the state, 'r'
 * release, 't' release table, 'f' release table file, 'n' release tensor. A record (record.h) is
 * valid when it has its checksum, whose seed comes from its key. A change is one transaction, which
 * is durable when catalog_commit returns. schema/DISK.md, "catalog.mdb", has every byte.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_CATALOG_CATALOG_H
#define DAEMON_STORE_CATALOG_CATALOG_H

#include "daemon/store/snapshot/snapshot.h"
#include "schema/status.h"

#include <stddef.h>

enum { CATALOG_VERSION = 5, CATALOG_VERSION_0_1 = 4 };

struct catalog;
struct catalog_form; /* catalog_add.h */

/* Makes the folder's catalog.mdb unless it is there. It is made beside and renamed: LMDB writes the first
 * pages of a file without a sync, and does not open one of which a power cut has left a part. Errors:
 * those of catalog_open. */
enum status catalog_make(const char *folder, size_t bytes, struct error *err);

/* Opens or creates `path`. The catalog may grow to `bytes`; a change that adds no record, such as a
 * drop, may use a quarter and 1 MiB more. No other thread may read maps until catalog_read has
 * returned. Errors: UNSUPPORTED  another format version; CORRUPT; IO; DISK_FULL; NO_MEMORY. */
enum status catalog_open(const char *path, size_t bytes, struct catalog **out, struct error *err);
void catalog_close(struct catalog *catalog); /* NULL is fine */

/* Reads everything into a snapshot, with the records of the files; no file is opened. Errors:
 * CORRUPT; IO; NO_MEMORY. */
enum status catalog_read(struct catalog *catalog, struct snapshot **out, struct error *err);

/* What a change must write; the rest stays as it is. */
struct catalog_change {
	const struct snapshot *after; /* its state is always written */
	const struct release *put;    /* this release with its tables, files, tensors; or NULL */
	uint64_t remove;              /* number of the release that goes with all of these; or 0 */
};

/* Writes a change. After an error nothing has changed. Errors: DISK_FULL  also when the catalog has
 * grown to its bound; IO; NO_MEMORY. */
enum status catalog_commit(struct catalog *catalog, const struct catalog_change *change,
	struct error *err);

/* Writes a new catalog of all that is in a snapshot into `path`, synced, but for the entry of its
 * folder; a file that is there is replaced. For a copy of the store: no catalog that is open is touched.
 * Errors: DISK_FULL, IO, NO_MEMORY. */
enum status catalog_write(const char *path, size_t bytes, const struct snapshot *snapshot,
	struct error *err);

/* Opens a catalog that is there and of this form, for catalog_read only: nothing is written. Otherwise as
 * catalog_open. */
enum status catalog_open_read(const char *path, size_t bytes, const struct catalog_form *form,
	struct catalog **out, struct error *err);

/* Makes a change and takes it back, so that the pages which only a change reads are read too. */
enum status catalog_rehearse(struct catalog *catalog);

/* Opens and reads an existing catalog in a process of its own. LMDB's pages have no checksums, and a damaged
 * page may end the process that reads it. form: the one that catalog_open_read is to be asked for; NULL: the catalog
 * is to be changed, so changes are rehearsed. To be called before there are other threads. Errors: CORRUPT, naming the signal. An error that
 * opening or catalog_read will report is OK here. */
enum status catalog_check(const char *path, size_t bytes, const struct catalog_form *form,
	struct error *err);

/* The same of one that is only read; and what cannot be read is an error here. Others may have it
 * open, if nobody commits meanwhile, and there may be other threads: the child takes no lock but those that
 * folder.c and mapfault.c keep free for it. Errors: CORRUPT; IO. */
enum status catalog_verify(const char *path, size_t bytes, const struct catalog_form *form,
	struct error *err);

#endif
