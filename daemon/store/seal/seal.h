/* seal.h - builds the base files of one table from the runs of its loads.
 *
 * Runs are sorted by hash, so the rows of one prefix are a slice of each; the slices are
 * gathered, sorted together, and of a key given twice the last is kept. A prefix whose rows
 * are too many for one segment is split by one more bit.
 *
 * Threads: one caller a table; nothing else may use the runs' spills meanwhile.
 */
#ifndef DAEMON_STORE_SEAL_SEAL_H
#define DAEMON_STORE_SEAL_SEAL_H

#include "daemon/store/base/base_files.h"
#include "daemon/store/spill/spill.h"
#include "schema/status.h"

#include <stdbool.h>

struct seal_source {
	const struct spill *spill;
};

struct seal_output {
	uint64_t rows;
	size_t file_count;
	struct base_file_info *files; /* owned; none when there are no rows */
};

struct seal_input {
	const char *folder;
	const struct base_owner *owner;
	struct base_sizes sizes;
	const struct seal_source *sources;
	size_t count;
	const _Atomic bool *stop; /* when it becomes true, the work ends with BUSY */
};

/* Writes base files into the folder, synced, the folder's entries not. Peak memory, for each of
 * two threads: one segment twice (sizes.segment_bytes each) and 40 bytes a row of it. After a
 * failure what was written is removed, or a leftover.
 * Errors: CORRUPT  a run is damaged; DISK_FULL; IO; NO_MEMORY; BUSY  see `stop`; TOO_LARGE  over 4M
 *         keys, or more than fit a file, share SEGMENT_PREFIX_BITS_MAX bits of their hash. */
enum status seal_table(const struct seal_input *input, struct seal_output *out, struct error *err);

void seal_output_fini(struct seal_output *output);

#endif
