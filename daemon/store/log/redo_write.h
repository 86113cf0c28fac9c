/* redo_write.h - bytes into a file of the log, and out of the page cache once they are synced.
 *
 * Threads: one at a time for each file.
 */
#ifndef DAEMON_STORE_LOG_REDO_WRITE_H
#define DAEMON_STORE_LOG_REDO_WRITE_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Writes all parts at `offset`, at most IOV_MAX of them; they are used up. Errors: DISK_FULL, IO; errno
 * says why. */
enum status redo_write(int fd, struct iovec *parts, size_t count, uint64_t offset);

/* So much is synced before the page cache is asked to let go of it. */
enum { REDO_DROP_BYTES = 1 << 20 };

/* Takes pages out of the page cache: all of the file's first `bytes`, which are synced, but for those of
 * a page that is not full. Does so if REDO_DROP_BYTES of them were not taken out before; `dropped`: what
 * it returned for the file before, 0 at first. Nobody reads the log while the daemon runs, and to append
 * into pages that the system has used lately is faster than into ever new ones. */
uint64_t redo_drop_pages(int fd, uint64_t dropped, uint64_t bytes);

#endif
