/* load.h - bulk loads into open releases.
 *
 * Threads: store_load_chunk to store_load_abort by one thread at a time (the load lane); store_loads
 * by any. All are registered (grace.h) and outside of a snapshot.
 */
#ifndef DAEMON_STORE_LOAD_LOAD_H
#define DAEMON_STORE_LOAD_LOAD_H

#include "daemon/store/spill/load_chunk.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* Takes a chunk into memory. It is durable, and may be acknowledged, once the next store_load_sync
 * has returned OK. */
enum status store_load_chunk(struct store *store, const struct load_chunk *chunk,
	struct load_progress *out, struct error *err);

/* Whether so many rows wait in memory that store_load_sync should come before the next chunk. */
bool store_load_is_full(struct store *store);

/* Writes and syncs every chunk that waits. If it fails, chunks are lost: each load is where its last
 * synced run left it. */
enum status store_load_sync(struct store *store, struct error *err);

/* Both are durable when they return. An end first syncs the chunks that wait. If that fails, the next
 * store_load_sync fails too, since the callers of the lost chunks wait for it. */
enum status store_load_end(struct store *store, const struct load_chunk *which, uint64_t chunks,
	uint64_t rows, struct error *err);
enum status store_load_abort(struct store *store, const struct load_chunk *which, uint64_t *rows,
	struct error *err);

/* The loads of an open release; *out is malloc'ed, NULL when there are none. */
enum status store_loads(struct store *store, const char *id, struct load_state **out, size_t *count,
	struct error *err);

#endif
