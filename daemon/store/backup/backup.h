/* backup.h - a consistent copy of the whole store in a folder, taken while it works.
 *
 * A start on a copy of that folder finds what had been acknowledged at one moment: releases, rows,
 * positions, loads. cut.h says how that moment is taken, copy.h how files get there. The manifest comes
 * last; until then the folder is no backup, and the same call again goes on.
 *
 * Threads: any that may block; one backup at a time.
 */
#ifndef DAEMON_STORE_BACKUP_BACKUP_H
#define DAEMON_STORE_BACKUP_BACKUP_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stop;
struct store;

struct backup_wish {
	const char *dir; /* borrowed: below `backup_folder` (place.h) */
	size_t dir_len;
	bool copies; /* no file may be a link to one of the store */
};

struct backup_result {
	uint64_t sequence; /* of the last write that is in it */
	uint64_t files;
	uint64_t bytes;
	uint64_t written_bytes; /* of these, those that were copied now */
	uint64_t linked_bytes;  /* those that are links made now */
	uint64_t kept_bytes;    /* those that were there, of an earlier backup */
};

/* Errors: those of place_open; CONFLICT  the folder has something that is of no backup, or a daemon has
 * worked in it; CORRUPT  a file of the store is damaged, the text says which; DISK_FULL, IO, NO_MEMORY;
 * those of `stop` (NULL: nothing). After an error the folder has no manifest. */
enum status store_backup(struct store *store, const struct backup_wish *wish,
	const struct stop *stop, struct backup_result *out, struct error *err);

#endif
