/* adopt_files.h - writes the files of a release anew from an exported one: what others may still write is
 * copied first, and compared with its checksum in the copy.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_BACKUP_ADOPT_FILES_H
#define DAEMON_STORE_BACKUP_ADOPT_FILES_H

#include "daemon/store/backup/pass.h"
#include "daemon/store/snapshot/snapshot.h"

struct store;

struct adoption {
	struct store *store; /* borrowed, as the next two */
	const char *from;    /* the folder of the exported release's files */
	const char *to;      /* that of the release to be */
	struct pass pass;    /* owned */
};

/* Fills `out`, which has its number and seed, with tables and tensors like those of `given`. Errors: CORRUPT
 * a file is not what its checksums say, or no file of ours; DISK_FULL, IO, NO_MEMORY; those of the pass. */
enum status adopt_files(struct adoption *adoption, const struct release *given, struct release *out,
	struct error *err);

#endif
