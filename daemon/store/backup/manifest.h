/* manifest.h - the list of what a backup, or an exported release, is made of: names, sizes, checksums.
 *
 * It is written last, so a folder without one is no whole backup. It is text, for people too, and ends
 * with a checksum of its own. schema/DISK.md, "manifest", has every byte.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_BACKUP_MANIFEST_H
#define DAEMON_STORE_BACKUP_MANIFEST_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MANIFEST_VERSION = 1 };

#define MANIFEST_NAME "manifest"

enum manifest_kind {
	MANIFEST_BACKUP = 1, /* of a whole data folder */
	MANIFEST_RELEASE,    /* of one release */
};

struct manifest_file {
	uint64_t sum; /* XXH3-64 of its bytes */
	uint64_t bytes;
	char *name; /* owned: its path below the folder */
};

/* Zeroed, it has no files. */
struct manifest {
	enum manifest_kind kind;
	uint64_t sequence;           /* of the log: the last write that is in it */
	struct manifest_file *files; /* owned */
	size_t count;
	size_t capacity;
};

/* Errors: NO_MEMORY. */
enum status manifest_add(struct manifest *manifest, const char *name, uint64_t bytes, uint64_t sum);
/* Forgets the files from number `count` on. */
void manifest_cut(struct manifest *manifest, size_t count);
/* Puts the files in the order of their names, which the next two rely on; one that was read has it. */
void manifest_sort(struct manifest *manifest);
/* NULL: it has no file of this name. */
const struct manifest_file *manifest_find(const struct manifest *manifest, const char *name);

/* Writes it into a folder, synced, over one that is there. */
enum status manifest_write(const char *folder, const struct manifest *manifest, struct error *err);

/* Reads that of a folder. Errors: NOT_FOUND; CORRUPT; UNSUPPORTED  of another version; IO; NO_MEMORY;
 * *out is empty then. */
enum status manifest_read(const char *folder, struct manifest *out, struct error *err);

/* The same from memory, which is changed. */
enum status manifest_parse(char *text, size_t len, struct manifest *out, struct error *err);

void manifest_fini(struct manifest *manifest);

#endif
