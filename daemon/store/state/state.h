/* state.h - the inside of a store: what its own files share, and in which order locks are taken.
 *
 *     tensor_lock -> admin_lock -> load_lock ----------+
 *                                                      +-> those that are taken last
 *     the writer's apply_lock -> its group_lock -------+
 *
 * A thread that holds a lock takes only locks to the right of it. So a thread that holds a lock of the writer takes
 * none of the upper three, and the other way round. Taken last are the lock of a segment, of a tensor, of the positions
 * of a release, of the pins, of the queues of janitor and merger, and of a bell; a bell may be rung under the merger's.
 *
 * Threads: admin_lock guards the catalog, the making of snapshots and all reference counts;
 * load_lock guards the loads. The current snapshot is read without either (snapshot.h).
 */
#ifndef DAEMON_STORE_STATE_STATE_H
#define DAEMON_STORE_STATE_STATE_H

#include "daemon/store/base/base_files.h"
#include "daemon/store/catalog/catalog.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/merge_steps.h"
#include "daemon/store/state/options.h"
#include "daemon/store/state/reserve.h"
#include "daemon/store/system/arena_stock.h"
#include "daemon/store/system/bell.h"
#include "daemon/store/system/lock.h"
#include "daemon/store/system/stop.h"
#include "schema/link.h"

#include <assert.h>
#include <limits.h>
#include <stdatomic.h>

struct indexer;
struct follower;
struct janitor;
struct load;
struct merger;
struct pin;
struct writer;

/* Memory in which runs are put together, kept between groups: fresh pages cost more than the sort. */
struct load_body {
	uint8_t *data; /* owned */
	uint64_t capacity;
};

struct store {
	char folder[PATH_MAX];
	struct store_options options;
	struct folder *data;                /* owned; `folder`, opened and locked */
	struct catalog *catalog;            /* owned */
	_Atomic(struct snapshot *) current; /* owned */
	_Atomic uint64_t visible;    /* the newest sequence of the log that is acknowledged */
	struct memtable_usage usage; /* of all memtables */
	struct arena_stock stock;    /* of their memory; who follows or writes a log serves it */
	_Atomic uint64_t currents;   /* so often DATA/current was replaced since the start */
	struct link table_counts;    /* of all tables, a link a name; guarded by admin_lock */
	struct janitor *janitor;     /* owned */
	struct writer *writer;       /* owned */
	struct merger *merger;       /* owned */
	struct indexer *indexer;     /* owned */
	struct follower *follower;   /* owned */
	struct bell merge_bell;      /* the merger waits for it */
	struct bell index_bell;      /* the indexer waits for it */
	_Atomic(const struct table *) indexing; /* what gets an index now; for comparison only */
	_Atomic bool release_dropped;           /* since the merger last looked */
	struct lock pin_lock;                   /* guards `pins` */
	struct pin *pins;                       /* of readers that need long (reader.c) */
	struct lock admin_lock;
	struct lock load_lock;
	struct lock tensor_lock;  /* one tensor is put at a time */
	uint64_t tensors_unknown; /* puts of which the catalog may know; guarded by tensor_lock */
	struct load *loads;       /* owned list */
	struct load_body load_body;
	uint64_t load_pending;  /* bytes that wait for store_load_sync: the groups of all loads */
	struct error load_lost; /* why chunks were lost; the next store_load_sync tells it */
	uint64_t load_sequence; /* of the last run of any load */
	struct reserve reserve;
	_Atomic uint64_t seal_bytes; /* written by seals since the start */
	_Atomic uint64_t load_bytes; /* written by loads since the start */
	struct merge_steps merge_steps;
	_Atomic bool stop;              /* seals, publishes, merges and waits for room are to end */
	_Atomic unsigned calls_refused; /* a bit for each enum store_call that was told */
	/* A commit of the catalog has ended in an error of the disk. Only a restart can tell what
	 * the catalog names now; until then no file is written or removed that it may name. */
	_Atomic bool catalog_unknown;
	struct { /* the backup under way and the last one: its lane writes, any thread reads */
		_Atomic bool running;
		_Atomic uint64_t bytes; /* that it has to deal with; 0: not known yet */
		_Atomic uint64_t done;  /* of these */
		_Atomic uint64_t made;
		_Atomic uint64_t failed;
		_Atomic uint64_t last_ms; /* when the last one was made; 0: none was */
		_Atomic uint64_t last_took_ms;
		_Atomic uint64_t last_bytes;
		_Atomic uint64_t last_written; /* bytes that were copied for it */
		_Atomic uint64_t written; /* the same of all, and of exports, since the start */
	} backup;
	struct { /* the same of the verification */
		_Atomic bool running;
		_Atomic uint64_t bytes;
		_Atomic uint64_t done;
		_Atomic uint64_t made;
		_Atomic uint64_t last_ms;
		_Atomic uint64_t last_took_ms;
		_Atomic uint64_t last_damaged;
	} verify;
	/* How far a seal is: rows of its loads, and those in base files. Any thread may read them. */
	struct {
		_Atomic uint64_t release; /* its number; 0: none */
		_Atomic uint64_t rows;
		_Atomic uint64_t done;
	} seal;
	/* Number of the release that is being sealed; 0: none. Changed under admin_lock and load_lock: either will do. */
	uint64_t sealing;
	/* Number of the release that a merge writes files of, whose folder stays until it ends; 0: none. Both are
	 * guarded by admin_lock. */
	uint64_t merging;
	bool merging_dropped; /* it was dropped meanwhile */
};

/* Locks are taken by these functions, which assert the order above. */
void store_lock_tensor(struct store *store);
void store_unlock_tensor(struct store *store);
void store_lock_admin(struct store *store);
void store_unlock_admin(struct store *store);
void store_lock_load(struct store *store);
void store_unlock_load(struct store *store);

/* Calls that a filter of a unit may refuse: the store works without them, but worse. */
enum store_call {
	STORE_CALL_MINCORE,
	STORE_CALL_SETPRIORITY,
	STORE_CALL_COUNT,
};

/* The current snapshot. The caller holds admin_lock, or is the only thread yet. */
static inline struct snapshot *store_current(struct store *store)
{
	assert(lock_is_held(&store->admin_lock) || store->janitor == NULL);
	return atomic_load_explicit(&store->current, memory_order_acquire);
}

/* What stops a call of the store: what stops its caller (NULL: nothing), and that the store is to
 * close. Borrows the caller's flags. */
static inline struct stop store_stop_of(const struct store *store, const struct stop *caller)
{
	struct stop stop = caller == NULL ? (struct stop){0} : *caller;
	stop.closing = &store->stop;
	return stop;
}

/* How large segments and base files become. */
static inline struct base_sizes store_base_sizes(const struct store *store)
{
	return (struct base_sizes){
		.segment_bytes = store->options.sizes.segment_bytes,
		.file_bytes = store->options.sizes.file_bytes,
		.range_bytes = store->options.sizes.range_bytes,
		.range_rows = store->options.sizes.range_rows,
	};
}

/* Does a reader that needs long hold this snapshot? What is asked about was taken out of sight a grace
 * period ago, so no further one comes. */
bool store_is_pinned(struct store *store, const struct snapshot *snapshot);
/* Holds the current snapshot with all its releases, as a reader that needs long does: none of its files
 * is removed before store_let_go. The caller holds admin_lock, and needs no thread of its own. NULL: no memory. */
struct pin *store_hold(struct store *store);
void store_let_go(struct store *store, struct pin *pin); /* NULL is fine */
/* How many readers are pinned. */
unsigned store_count_pins(struct store *store);

/* Tells the daemon what a background thread noticed. */
void store_event(struct store *store, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Replaces DATA/current by what the snapshot says, and the indexes that its tables have now. The caller
 * holds admin_lock, or is the only thread yet. */
enum status store_renew_current(struct store *store, const struct snapshot *snapshot,
	struct error *err);

/* Tells, once a store, that the system refuses a call, by errno; what follows from it, and the
 * remedy. */
void store_call_refused(struct store *store, enum store_call call);

/* DATA/releases/<number>, in PATH_MAX bytes. */
void store_release_folder(const struct store *store, uint64_t number, char *out);

/* Opens the base files of every table of a sealed release. Damage of a file is an event and no
 * error. Errors: CORRUPT (the catalog), NO_MEMORY. */
enum status store_open_bases(struct store *store, struct release *release, struct error *err);

/* The same for one table of a release, which follows another one that is open: they share the files that both have.
 * NULL: it follows none. */
enum status store_open_table(struct store *store, const struct release *release,
	struct table *table, const struct table *from, struct error *err);

#endif
