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

/* Writes the image in the map of a file beside, so that it need not all be in memory, syncs the file
 * and renames it to folder/name. Who has the file of that name open keeps it.
 *   head      all but bytes, hash and build_ms
 *   began_ns  when the build began
 * Errors: BUSY  stopped; DISK_FULL, IO, NO_MEMORY. */
enum status index_write(const char *folder, const char *name, struct balls_plan *plan,
	struct index_head *head, uint64_t began_ns, struct error *err);

#endif
