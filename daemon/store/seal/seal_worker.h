/* seal_worker.h - one of the threads that seal a table: a share of the runs to check, and a part
 * of the hashes to write.
 *
 * Threads: a worker belongs to one thread. The job is shared; only its atomics change.
 */
#ifndef DAEMON_STORE_SEAL_SEAL_WORKER_H
#define DAEMON_STORE_SEAL_SEAL_WORKER_H

#include "daemon/store/base/base_files.h"
#include "daemon/store/row/order.h"
#include "daemon/store/seal/seal.h"
#include "daemon/store/seal/seal_runs.h"

#include <stdatomic.h>
#include <stdbool.h>

/* What all workers of a table share. */
struct seal_job {
	const char *folder;
	const struct base_owner *owner;
	struct base_sizes sizes;
	const struct runs *runs;
	const struct stop *stop;
	_Atomic uint64_t *done; /* rows of the runs that were written */
	uint64_t row_cost;      /* bytes of a segment that one row takes, about */
	size_t worker_count;
	_Atomic uint64_t next_file; /* number of the next base file */
};

struct seal_worker {
	struct seal_job *job; /* borrowed */
	size_t number;
	uint64_t prefix; /* its part of the hashes */
	uint32_t bits;
	struct order_entry *order;   /* owned: the rows of the segment at hand */
	struct order_entry *scratch; /* owned: room to sort them */
	uint64_t *hashes;            /* owned: their hashes */
	size_t capacity;             /* entries of the three */
	struct base_files files;
	enum status status;
	struct error err;
};

/* Compares every worker_count-th run with its checksum. */
void seal_worker_check(struct seal_worker *worker);

/* Writes the part's segments into files of its own, and syncs them. */
void seal_worker_write(struct seal_worker *worker);

#endif
