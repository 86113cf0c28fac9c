/* seal_runs.h - the runs of a table's loads, mapped and checked, for seal to read.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_SEAL_RUNS_H
#define DAEMON_STORE_SEAL_RUNS_H

#include "daemon/store/seal.h"

#include <stdatomic.h>

/* The columns of one run, in a map of its spill. */
struct run {
	uint64_t sequence;
	uint64_t rows;
	const uint64_t *hashes;
	const uint64_t *keys; /* NULL for byte strings */
	const uint32_t *ends; /* NULL for u64 */
	const uint8_t *blob;
	uint64_t blob_bytes;
	const uint8_t *row_data;
	const float *scales;
	const int64_t *times;
	const uint64_t *tags;
};

struct run_map;

struct runs {
	size_t count;
	struct run *runs; /* in the order of their sequences */
	uint64_t rows;    /* of all */
	uint64_t blob_bytes;
	size_t map_count;
	struct run_map *maps;
	_Atomic unsigned char damaged; /* a read of a map failed */
};

/* Maps every spill and compares each run with its checksum. `out` must not move while it is
 * open. Errors: CORRUPT, IO, NO_MEMORY. */
enum status runs_open(const struct seal_source *sources, size_t count, struct runs *out,
	struct error *err);
void runs_close(struct runs *runs);

/* The first row of a run whose hash is at least `hash`. */
uint64_t run_lower_bound(const struct run *run, uint64_t hash);

static inline const uint8_t *run_key(const struct run *run, uint32_t row, size_t *len)
{
	if (run->keys != NULL) {
		*len = 8;
		return (const uint8_t *)&run->keys[row];
	}
	const uint32_t from = row == 0 ? 0 : run->ends[row - 1];
	*len = run->ends[row] - from;
	return run->blob + from;
}

#endif
