/* load.h - bulk loads into open releases.
 *
 * Threads: store_load_chunk to store_load_abort by one thread at a time (the write lane);
 * store_loads by any.
 */
#ifndef DAEMON_STORE_LOAD_LOAD_H
#define DAEMON_STORE_LOAD_LOAD_H

#include "daemon/store/spill/load_chunk.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* Takes a chunk into memory: it is durable, and may be acknowledged, when the next
 * store_load_sync has returned OK. */
enum status store_load_chunk(struct store *store, const struct load_chunk *chunk,
	struct load_progress *out, struct error *err);

/* Whether so much waits that store_load_sync should come before the next chunk. */
bool store_load_is_full(struct store *store);

/* Writes and syncs every chunk that waits. After a failure none of them counts:
 * each load stands where the last sync left it. */
enum status store_load_sync(struct store *store, struct error *err);

/* Both are durable when they return. An end syncs what waits first; if that fails, the next
 * store_load_sync fails too, since it is what the lost chunks' callers wait for. */
enum status store_load_end(struct store *store, const struct load_chunk *which, uint64_t chunks,
	uint64_t rows, struct error *err);
enum status store_load_abort(struct store *store, const struct load_chunk *which, uint64_t *rows,
	struct error *err);

/* The loads of an open release; *out is malloc'ed, NULL when there are none. */
enum status store_loads(struct store *store, const char *id, struct load_state **out, size_t *count,
	struct error *err);

#endif
