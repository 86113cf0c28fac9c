/* seal_runs.h - the runs of a table's loads, mapped and checked, for seal to read.
 *
 * Threads: opened and closed by one; read by any.
 */
#ifndef DAEMON_STORE_SEAL_SEAL_RUNS_H
#define DAEMON_STORE_SEAL_SEAL_RUNS_H

#include "daemon/store/seal/seal.h"

#include <stdatomic.h>

/* The columns of one run, in a map of its spill. */
struct run {
	const struct spill_run *source; /* borrowed */
	uint64_t rows;
	const uint8_t *body;
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
	struct run *runs; /* in the order in which they were written */
	uint64_t rows;    /* of all */
	uint64_t blob_bytes;
	size_t map_count;
	struct run_map *maps;
	_Atomic unsigned char damaged; /* a read of a map failed */
};

/* Maps every spill. `out` must not move while it is open, since its maps are watched. Errors: IO,
 * NO_MEMORY. */
enum status runs_open(const struct seal_source *sources, size_t count, struct runs *out,
	struct error *err);
void runs_close(struct runs *runs);

/* Reads a run and compares it with its checksum. Before that only its sizes may be used. Errors:
 * CORRUPT. */
enum status run_check(const struct run *run, struct error *err);

/* The first row of a run whose hash is at least `hash`. */
uint64_t run_lower_bound(const struct run *run, uint64_t hash);

/* The key of a row. Where its page could not be read (the run is damaged then) it may be any, but
 * lies within the run. */
static inline const uint8_t *run_key(const struct run *run, uint32_t row, size_t *len)
{
	if (run->keys != NULL) {
		*len = 8;
		return (const uint8_t *)&run->keys[row];
	}
	const uint32_t from = row == 0 ? 0 : run->ends[row - 1];
	const uint32_t end = run->ends[row];
	if (from > end || end > run->blob_bytes) {
		*len = 0;
		return run->blob;
	}
	*len = end - from;
	return run->blob + from;
}

#endif
