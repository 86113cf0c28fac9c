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

#include "daemon/store/batch.h"
#include "schema/name.h"
#include "schema/spec.h"
#include "schema/status.h"
#include "schema/tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct wire_writer;

enum durability {
	DURABILITY_SYNC = 0, /* acknowledged when synced */
	DURABILITY_PERIODIC  /* acknowledged when written; synced every sync_interval_ms */
};

/* How writes are kept; zeros stand for the defaults. */
struct write_options {
	enum durability durability;
	unsigned sync_interval_ms; /* 1000 */
	uint64_t log_bytes;        /* that wait for a merge, at most; 512 MiB */
	uint64_t memtable_rows;    /* at most; 1,500,000 */
	uint64_t memtable_bytes;   /* at most; 1 GiB */
	uint64_t merge_age_ms;     /* what was written is merged after so long; 1 h */
	uint64_t merge_rate;       /* bytes a second while there is time; 100 MB */
};

struct store_options {
	const char *folder; /* made if missing; its parent must exist */
	struct write_options write;
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
/* Chooses the layer that names without @layer mean. previous: "" when there was none. */
enum status store_layer_choose(struct store *store, const char *release, const char *layer,
	struct name *chosen_in, struct name *previous, struct error *err);
enum status store_table_create(struct store *store, const char *release,
	const struct table_spec *spec, struct error *err);

/* Puts a tensor of tensor_bytes(spec) into a release, open or sealed, over one of the same name.
 * Errors: NOT_FOUND  the release; TOO_LARGE  LIMIT_TENSORS; DISK_FULL, IO, NO_MEMORY. Nothing has
 * changed then. */
enum status store_tensor_put(struct store *store, const char *release,
	const struct tensor_spec *spec, const uint8_t *data, struct name *resolved,
	struct error *err); /* resolved: the release that it was */
enum status store_tensor_delete(struct store *store, const char *release, const char *tensor,
	struct name *resolved, struct error *err);

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
	struct row_batch batch; /* rows without times get the clock at the load's first chunk */
	int64_t now_ms;         /* the request's clock */
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

/* ---- write ---- */

/* Rows or keys for one table. */
struct table_write {
	const char *where; /* what an error puts before the argument, "parts[1]."; NULL: nothing */
	const char *table;
	struct row_batch batch; /* a delete looks at its keys only; rows without times get now_ms */
};

/* What becomes durable, and seen, together: in tables of one sealed release. Borrowed. */
struct row_write {
	const char *release;
	const struct table_write *parts; /* in this order; a table may come twice */
	size_t part_count;               /* 1 to LIMIT_PARTS */
	bool if_newer;                   /* only rows that are newer than what is there */
	int64_t now_ms;                  /* the request's clock */
};

struct write_result {
	struct name release; /* which it was */
	uint64_t sequence;   /* a reader whose store_visible is not below it sees the write */
	uint64_t count;      /* rows applied, or keys deleted that were there, of all parts */
};

/* A write that was applied and is not durable yet. */
struct write_ticket;

/* Apply a write: nobody sees it before it is durable. *ticket must be handed to store_write_then or
 * store_write_wait. May wait for memory that a merge is to free, and for the disk. In a batch the
 * last of a key given twice wins. Registered threads (grace.h) only, outside of a snapshot.
 * Errors: BAD_REQUEST, NOT_FOUND, NOT_SEALED; BUSY  the log is full; CORRUPT  a segment of the
 * table is damaged; TOO_LARGE  LIMIT_WRITE_BYTES, _ROWS; DISK_FULL; READ_ONLY; NO_MEMORY. Nothing
 * has changed then. */
enum status store_put(struct store *store, const struct row_write *put, struct write_result *out,
	struct write_ticket **ticket, struct error *err);
enum status store_delete(struct store *store, const struct row_write *which,
	struct write_result *out, struct write_ticket **ticket, struct error *err);

/* A batch of samples of one layer, in the order in which they count; borrowed. */
struct observation {
	const char *release;
	const char *layer;
	uint32_t count;
	struct keys
		users; /* of each sample; a type of KEY_NONE: not given, as no table of users is */
	struct keys items;
	const uint8_t *times; /* i64[count], Unix ms */
	enum dtype dtype;
	const uint8_t *rows;   /* [count, views x dim] of the layer's tables */
	size_t rows_bytes;     /* of all of them */
	const uint8_t *scales; /* f32[count] of i8 */
	const char *source;    /* that numbers its samples; NULL: none */
	uint64_t position;     /* the number of the first one */
	int64_t now_ms;        /* the request's clock */
};

struct observe_result {
	struct write_result write; /* count: samples that were counted */
	uint64_t next;             /* the position that the source's next sample has */
};

/* Adds samples to all tables of kind cr of a layer, under their users and under their items, in one
 * write. Of a source, samples that were counted before are passed over; a batch may begin at most
 * where the next one is due, the first one of all anywhere. As store_put. Errors too, and GAP  a
 * position beyond the next; NOT_FOUND  the layer. */
enum status store_observe(struct store *store, const struct observation *samples,
	struct observe_result *out, struct write_ticket **ticket, struct error *err);

/* How far each source of a release is counted, in the order of (layer, source). It is durable when
 * the ticket is. Errors: NOT_FOUND, NOT_SEALED, BUSY, READ_ONLY,
 * NO_MEMORY. */
struct feed_position;
struct positions {
	struct name release;       /* which it was */
	struct feed_position *all; /* malloc'ed; free() it */
	size_t count;
};
enum status store_positions(struct store *store, const char *release, struct positions *out,
	struct write_ticket **ticket, struct error *err);

/* `done` is called once: from here if the outcome is known already, else from the thread that
 * commits. Its errors: DISK_FULL, IO  the write was taken back; READ_ONLY  whether it is on the
 * disk is known after a restart. Takes the ticket over. */
typedef void write_done_fn(void *arg, enum status status, const struct error *err);
void store_write_then(struct write_ticket *ticket, write_done_fn *done, void *arg);
/* The same, waiting for it. */
enum status store_write_wait(struct write_ticket *ticket, struct error *err);

struct merge_result {
	uint64_t tables;
	uint64_t rows; /* of the tables that were written anew */
	uint64_t bytes;
};
/* Folds all that was written before the call into base files, at merge_rate. Errors: CORRUPT  a
 * table with a damaged segment stays as it is, the others are merged; DISK_FULL; BUSY  the daemon
 * is stopping; READ_ONLY; IO; NO_MEMORY. */
enum status store_merge(struct store *store, struct merge_result *out, struct error *err);

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
	uint64_t tensors;
	uint64_t tensor_bytes; /* of their data */
	uint64_t rows;
	uint64_t bytes;
	uint64_t segments;
	uint64_t segments_checked;
	uint64_t segments_damaged;
	uint64_t files_waiting; /* dropped, but still mapped */
	uint64_t bytes_waiting;
	uint64_t seal_bytes; /* written by seals since the start, as the next two by their causes */
	uint64_t load_bytes;
	enum durability durability;
	struct write_figures {
		uint64_t sequence; /* the newest that is visible */
		uint64_t commits;  /* groups */
		uint64_t syncs;
		uint64_t sync_us;     /* of all together */
		uint64_t sync_us_max; /* the longest */
		uint64_t log_files;
		uint64_t log_bytes;         /* on disk */
		uint64_t log_bytes_written; /* since the start */
		uint64_t pending_bytes;     /* of the log, that no merge has folded yet */
		uint64_t memtable_rows;
		uint64_t memtable_bytes;
		uint64_t merges;
		uint64_t merges_failed;
		uint64_t merge_bytes;
		uint64_t merge_ms; /* of the last one */
		bool merge_running;
		bool read_only;
	} write;
	struct index_figures {
		uint64_t builds; /* since the start, those of merges too */
		uint64_t failed; /* in the background, as is the one that is running */
		uint64_t bytes;  /* of the files of `builds` */
		bool running;
	} index;
};
void store_figures(struct store *store, struct store_figures *out);

const char *store_folder(const struct store *store);

#endif
