/* current.h - DATA/current: the catalog's state in one small file, replaced by rename.
 *
 * Readers without the daemon follow it. It is written after each commit of the catalog
 * and again at start, so it may be behind the catalog, never ahead.
 *
 *   "repstcur" u32 version u32 body bytes, body (MessagePack), u64 XXH3-64 of all before it
 *   body: {state, releases: [{release, tables: [{table, files: [file...]}...]}...]}  (record.h)
 *
 * Threads: one writer at a time.
 */
#ifndef DAEMON_STORE_CATALOG_CURRENT_H
#define DAEMON_STORE_CATALOG_CURRENT_H

#include "daemon/store/snapshot/snapshot.h"
#include "schema/status.h"

#include <stdint.h>

enum { CURRENT_VERSION = 2 };

enum status current_write(const char *folder, const struct snapshot *snapshot, struct error *err);

/* The sequence that the file holds. Errors: NOT_FOUND; CORRUPT; UNSUPPORTED. */
enum status current_read_sequence(const char *folder, uint64_t *sequence, struct error *err);

#endif
