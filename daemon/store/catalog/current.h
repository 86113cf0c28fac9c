/* current.h - DATA/current: the catalog's state in one small file, replaced by rename.
 *
 * Readers without the daemon follow it. It is written after each commit of the catalog, when the
 * tables get an index, and again at a start. So it may be behind the catalog, and never ahead.
 *
 * It is a head, a body of records (record.h), and their checksum. It is valid when it has the
 * checksum, and its head says that a reader of this version can read it: so a daemon that is newer
 * than a reader need not stop it. schema/DISK.md, "current", has every byte.
 *
 * Threads: one writer at a time.
 */
#ifndef DAEMON_STORE_CATALOG_CURRENT_H
#define DAEMON_STORE_CATALOG_CURRENT_H

#include "daemon/store/snapshot/snapshot.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CURRENT_VERSION = 5,
	/* Who knows this version reads what is written here, and passes over what is new. */
	CURRENT_READABLE_FROM = 5,
	CURRENT_OLDEST = 4, /* that this build reads */
};

/* Replaces the file by one that has this snapshot and, with `indexes`, names those that its tables have
 * now. */
enum status current_write(const char *folder, const struct snapshot *snapshot, bool indexes,
	struct error *err);

/* Reads all that the bytes of such a file say into a snapshot; no other file is opened. Errors: CORRUPT;
 * UNSUPPORTED; NO_MEMORY. */
enum status current_parse(const uint8_t *data, size_t len, struct snapshot **out,
	struct error *err);

/* Reads the sequence of the catalog that the file has. Errors: NOT_FOUND; CORRUPT; UNSUPPORTED;
 * TOO_LARGE, IO, NO_MEMORY. */
enum status current_read_sequence(const char *folder, uint64_t *sequence, struct error *err);

#endif
