/* seal.h - builds the base files of one table from the runs of its loads.
 *
 * Each run is sorted by hash, so it has the rows of one prefix in one slice. The slices of all runs
 * are gathered and sorted together; of a key that was given twice the last row is kept. A prefix
 * with too many rows for one segment is split by one more bit.
 *
 * Threads: one caller a table; nobody may change the spills of the runs meanwhile.
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
	struct base_file_info *files; /* owned; a table without rows has none */
};

struct seal_input {
	const char *folder;
	const struct base_owner *owner;
	struct base_sizes sizes;
	const struct seal_source *sources;
	size_t count;
	const struct stop *stop; /* NULL: nothing stops it */
	_Atomic uint64_t *done;  /* rows of the runs that were written are added to it */
};

/* Writes base files into the folder and syncs them, but not the folder. Peak memory, for each of
 * two threads: one segment twice (sizes.segment_bytes each) and 40 bytes a row of it. After a
 * failure the files that were written are removed, or are leftovers.
 * Errors: CORRUPT  a run is damaged; DISK_FULL; IO; NO_MEMORY; those of `stop`; TOO_LARGE  over 4M
 *         keys, or more than fit a file, share SEGMENT_PREFIX_BITS_MAX bits of their hash. */
enum status seal_table(const struct seal_input *input, struct seal_output *out, struct error *err);

void seal_output_fini(struct seal_output *output);

#endif
