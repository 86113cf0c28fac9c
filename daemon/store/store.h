/* store.h - one data folder: open it, change its releases, load rows into them.
 *
 * Changes of the catalog (create, seal's last step, publish, rollback, drop) are one
 * LMDB transaction each and durable when the call returns: catalog commit, then the
 * file `current`, then the snapshot swap; files are unlinked last of all.
 *
 * Threads: store_open and store_close from one thread, with no call under way. The
 * functions of "admin" may be called from any thread and take turns; store_seal
 * works in its caller's thread and takes the admin turn only for its last step; the
 * functions of "load" are called by one thread at a time (the write lane). Readers use
 * snapshot.h and lookup.h.
 */
#ifndef DAEMON_STORE_STORE_H
#define DAEMON_STORE_STORE_H

#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/name.h"
#include "schema/spec.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct wire_writer;

struct store_options {
	const char *folder;       /* made if missing; its parent must exist */
	size_t load_memory_bytes; /* bound for spill buffers and for seal, each; at least 128 MiB */
	size_t catalog_bytes;     /* largest size of catalog.mdb */
	/* What a background thread noticed (a damaged segment, a file that cannot be removed),
	 * one line without newline; may be called from any thread. NULL: nobody listens. */
	void (*on_event)(void *arg, const char *line);
	void *on_event_arg;
};

/* Errors: BUSY  another process holds the folder (its pid is named); UNSUPPORTED  a newer
 * format; CORRUPT; IO; DISK_FULL; NO_MEMORY. Leftovers of a killed process are removed. */
enum status store_open(const struct store_options *options, struct store **out, struct error *err);
void store_close(struct store *store);

/* ---- admin ---- */

struct release_labels {
	const char *model;      /* borrowed; NULL: "" */
	const char *checkpoint; /* borrowed; NULL: "" */
};

enum status store_release_create(struct store *store, const struct name *id,
	const struct release_labels *labels, uint64_t *number, struct error *err);
enum status store_release_publish(struct store *store, const char *id, struct name *previous,
	struct error *err); /* previous: "" when there was none */
enum status store_release_rollback(struct store *store, struct name *now, struct name *previous,
	struct error *err);
enum status store_release_drop(struct store *store, const char *id, struct error *err);
enum status store_table_create(struct store *store, const char *release,
	const struct table_spec *spec, struct error *err);

struct seal_result {
	uint32_t tables;
	uint64_t rows;
	uint64_t bytes;
};
enum status store_seal(struct store *store, const char *id, struct seal_result *out,
	struct error *err);

/* Makes a seal or a publish that is under way, and every later one, end soon with BUSY. From any
 * thread. */
void store_interrupt(struct store *store);

/* ---- load ---- */

struct load_chunk {
	const char *release;
	const char *table;
	struct name load;
	uint64_t chunk;
	struct keys keys;
	enum dtype dtype;      /* of rows */
	const uint8_t *rows;   /* keys.count rows, any alignment */
	const uint8_t *scales; /* f32[count] for i8, else NULL */
	const uint8_t *times;  /* i64[count], or NULL: the clock at the load's first chunk */
	const uint8_t *tags;   /* u64[count], or NULL: 0 */
	int64_t now_ms;        /* the request's clock */
	bool allow_nonfinite;
};

struct load_progress {
	uint64_t next_chunk;
	uint64_t rows;
};

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

/* ---- figures ---- */

struct load_state {
	struct table_name table;
	struct name load;
	struct load_progress progress;
	bool ended;
};

/* The loads of an open release; *out is malloc'ed, NULL when there are none. */
enum status store_loads(struct store *store, const char *id, struct load_state **out, size_t *count,
	struct error *err);

struct store_figures {
	uint64_t releases;
	uint64_t tables;
	uint64_t rows;
	uint64_t bytes;
	uint64_t segments;
	uint64_t segments_checked;
	uint64_t segments_damaged;
	uint64_t files_waiting; /* dropped, but still mapped */
	uint64_t bytes_waiting;
};
void store_figures(struct store *store, struct store_figures *out);

const char *store_folder(const struct store *store);

#endif
