/* current.h - DATA/current: the catalog's state in one small file, replaced by rename.
 *
 * Readers without the daemon follow it. It is written after each commit of the catalog and again at
 * a start. So it may be behind the catalog, and never ahead.
 *
 * It is a head, a body of records (record.h), and their checksum. It is valid when it has the
 * checksum, and the version is known. schema/DISK.md, "current", has every byte.
 *
 * Threads: one writer at a time.
 */
#ifndef DAEMON_STORE_CATALOG_CURRENT_H
#define DAEMON_STORE_CATALOG_CURRENT_H

#include "daemon/store/snapshot/snapshot.h"
#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

enum { CURRENT_VERSION = 4 };

/* Replaces the file by one that has this snapshot. */
enum status current_write(const char *folder, const struct snapshot *snapshot, struct error *err);

/* Reads all that the bytes of such a file say into a snapshot; no other file is opened. Errors: CORRUPT;
 * UNSUPPORTED; NO_MEMORY. */
enum status current_parse(const uint8_t *data, size_t len, struct snapshot **out,
	struct error *err);

/* Reads the sequence of the catalog that the file has. Errors: NOT_FOUND; CORRUPT; UNSUPPORTED;
 * TOO_LARGE, IO, NO_MEMORY. */
enum status current_read_sequence(const char *folder, uint64_t *sequence, struct error *err);

#endif
