/* pass.h - reads files from the beginning to the end, no faster than it may.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_BACKUP_PASS_H
#define DAEMON_STORE_BACKUP_PASS_H

#include "daemon/store/merge/pace.h"
#include "schema/status.h"

#include <stdint.h>

struct base_stream;
struct stop;

struct pass {
	const struct stop *stop; /* borrowed; NULL: nothing stops it */
	struct pace pace;
	uint8_t *block; /* owned */
};

/* The rate that is none. */
#define PASS_UNPACED UINT64_MAX

/* `rate`: bytes a second. Errors: NO_MEMORY. */
enum status pass_begin(struct pass *pass, const struct stop *stop, uint64_t rate,
	struct error *err);
void pass_end(struct pass *pass);

/* Waits until `bytes` more may be read. Errors: those of `stop`, without a text. */
enum status pass_wait(struct pass *pass, uint64_t bytes);

/* Reads the first `bytes` of a file, which may have been opened with O_DIRECT, gives them to `stream`, and
 * writes them to `to`, unless that is -1.
 * Errors: CORRUPT  the file ends before; IO, DISK_FULL; those of pass->stop, without a text. */
enum status pass_read(struct pass *pass, int from, uint64_t bytes, struct base_stream *stream,
	int to);

#endif
