/* reserve.h - keeps some bytes of the disk free: who may still write when few are left.
 *
 * A disk that is full to its last byte stops merges too, and these are what frees the log. So loads and seals
 * are refused first, then writes; merges, changes of the catalog and drops never are.
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_STATE_RESERVE_H
#define DAEMON_STORE_STATE_RESERVE_H

#include "schema/status.h"

#include <stdatomic.h>
#include <stdint.h>

struct store;

/* What was found last. Zeroed, nothing was yet. */
struct reserve {
	_Atomic uint64_t asked_ms;
	_Atomic uint64_t free_bytes;
};

enum reserve_use {
	RESERVE_LOAD, /* loads, seals, adopted releases, tensors: while the whole reserve is free */
	RESERVE_WRITE, /* puts, deletes, samples: while half of it is */
};

/* May it write? It looks at the disk at most ten times a second. Errors: DISK_FULL. */
enum status reserve_check(struct store *store, enum reserve_use use, struct error *err);

#endif
