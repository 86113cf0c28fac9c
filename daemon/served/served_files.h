/* served_files.h - the files of the log of served rows: numbered, of bounded size, the oldest removed.
 *
 * They lie in one folder, which is opened once: whatever its path leads to later, files are made and
 * removed in it alone, never through a link, and no file that is there is written again.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_SERVED_SERVED_FILES_H
#define DAEMON_SERVED_SERVED_FILES_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

enum { SERVED_NAME_BYTES = 200, SERVED_PARTS = 8 /* files that share the bytes of all */ };

struct served_file {
	uint64_t number;
	uint64_t bytes;
};

struct served_files {
	int folder;                   /* -1: not open */
	int fd;                       /* of the file that is written; -1: none is open */
	char name[SERVED_NAME_BYTES]; /* what stands before the point and the number */
	uint64_t at;                  /* bytes of it that are whole frames, and its head */
	uint64_t last;                /* its number, or that of the last one that was */
	struct served_file *kept;     /* owned: those before it, the oldest first */
	size_t count;
	size_t cap;
	uint64_t kept_bytes;
};

/* Opens the folder and finds the files that are there. Errors: BAD_REQUEST, CONFLICT, those of the system. */
enum status served_files_open(const char *file, struct served_files *out, struct error *err);
void served_files_close(struct served_files *files);

/* Checks where the files would lie: `kept_out` as in served.h. Errors: BAD_REQUEST; those of the system. */
enum status served_files_check(const char *file, const char *const *kept_out, struct error *err);

/* Appends a frame. Where it has no room in the file, another one is begun, and the oldest are removed until
 * all have at most `most` bytes. After an error the files are as before.
 * Errors: TOO_LARGE  it is larger than a file may be; DISK_FULL, IO, NO_MEMORY. */
enum status served_files_append(struct served_files *files, const uint8_t *frame, size_t len,
	uint64_t most, int64_t now_ms, struct error *err);

#endif
