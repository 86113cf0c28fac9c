/* export.h - one release as a folder, and such a folder as a release of this store.
 *
 * An exported release has what its base files hold: all that was written to it before the call, and of what
 * is written meanwhile nothing or a part, as its positions say. Its folder is as that of a backup, with this
 * one release, and without catalog, log and indexes.
 *
 * Adopting believes nothing: every byte is copied first, compared with its checksum in the copy, and what is
 * not rows is made anew; so it does not matter who may write into that folder meanwhile.
 *
 * Threads: any that may block; one of these, or a backup, at a time.
 */
#ifndef DAEMON_STORE_BACKUP_EXPORT_H
#define DAEMON_STORE_BACKUP_EXPORT_H

#include "daemon/store/backup/backup.h"
#include "schema/name.h"

struct export_result {
	struct name id; /* which release it was */
	struct backup_result made;
};

/* id: "live" is the live one. Errors: NOT_FOUND, NOT_SEALED  of the release; BUSY
 * it is written to and merged without a pause; those of a merge and of store_backup. */
enum status store_export(struct store *store, const char *id, const struct backup_wish *wish,
	const struct stop *stop, struct export_result *out, struct error *err);

struct adopt_wish {
	const char *dir; /* borrowed: below `backup_folder` */
	size_t dir_len;
	const struct name *id; /* of the release to be; NULL: as it was called */
};

struct adopt_result {
	struct name id;
	uint64_t number;
	uint64_t tables;
	uint64_t rows;
	uint64_t bytes;
};

/* Errors: those of place_open; EXISTS  the name is taken; CONFLICT  the folder is a backup; CORRUPT  a file
 * is not what the manifest or its checksums say; NOT_FOUND, UNSUPPORTED  of the manifest; TOO_LARGE  a limit;
 * DISK_FULL, IO, NO_MEMORY; those of `stop` (NULL: nothing). After any nothing has changed. */
enum status store_adopt(struct store *store, const struct adopt_wish *wish, const struct stop *stop,
	struct adopt_result *out, struct error *err);

#endif
