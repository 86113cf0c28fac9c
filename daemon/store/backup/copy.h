/* copy.h - brings files into a backup: those that are there already stay, others are linked or copied.
 *
 * Every file is read once, at merge_rate, and compared with what the catalog knows of it; so a damaged
 * file gets into no backup, and does not replace a good one there. What is copied is synced, and gets its
 * name when it is whole.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_BACKUP_COPY_H
#define DAEMON_STORE_BACKUP_COPY_H

#include "daemon/store/backup/manifest.h"
#include "daemon/store/backup/pass.h"

#include <limits.h>
#include <stdatomic.h>

struct base_file_info;
struct stop;

/* One run. */
struct copy {
	const char *folder;        /* that files are copied into; borrowed, as the next */
	_Atomic uint64_t *done;    /* bytes that are dealt with, for who watches */
	_Atomic uint64_t *written; /* the same of those that are copied */
	struct pass pass;          /* owned */
	bool links;                /* may files be links to those of the store? */
	struct manifest manifest;  /* owned: the files so far */
	uint64_t written_bytes;    /* copied */
	uint64_t linked_bytes;     /* linked anew */
	uint64_t kept_bytes;       /* of files that were there */
};

/* `rate`: bytes a second. Errors: NO_MEMORY. */
enum status copy_begin(struct copy *copy, const struct stop *stop, uint64_t rate,
	struct error *err);
void copy_end(struct copy *copy);

struct copy_source {
	const char *name; /* its path below the folder */
	int fd;           /* borrowed */
	uint64_t bytes;   /* how many of it, from its beginning on */
	/* Where it stands, if it never changes and so may be linked; NULL: it may not. */
	const char *path;
	const struct base_file_info *info; /* what the catalog says of it; NULL: nothing */
};

/* Brings one file into the folder, and notes it. Errors: CORRUPT  it is not what the catalog says;
 * DISK_FULL, IO, NO_MEMORY; those of `stop`. After any the file in the folder is as it was, or is
 * not there. */
enum status copy_file(struct copy *copy, const struct copy_source *source, struct error *err);

/* Notes a file that was written into the folder by other hands. */
enum status copy_note(struct copy *copy, const char *name, struct error *err);

#endif
