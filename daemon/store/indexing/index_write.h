/* index_write.h - writes the file of an index that is planned.
 *
 * Threads: any; one at a time a table.
 */
#ifndef DAEMON_STORE_INDEXING_INDEX_WRITE_H
#define DAEMON_STORE_INDEXING_INDEX_WRITE_H

#include "schema/status.h"

#include <stdint.h>

struct balls_plan;
struct index_head;

/* Writes the image in the map of the file at `path`, so that it need not all be in memory, and syncs the file.
 *   head      all but bytes, hash and build_ms
 *   began_ns  when the build began
 * Errors: BUSY  stopped; DISK_FULL, IO, NO_MEMORY; the file is gone then. */
enum status index_write(const char *path, struct balls_plan *plan, struct index_head *head,
	uint64_t began_ns, struct error *err);

/* Gives a file of `folder` another name, durably. Who has the file that had this name open keeps it. Errors: IO. */
enum status index_name(const char *folder, const char *from, const char *name, struct error *err);

#endif
