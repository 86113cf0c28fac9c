/* state.h - the inside of a store: what its own files share, and in which order locks are taken.
 *
 * tensor_lock, then admin_lock, then load_lock; the writer's apply lock, then its group lock; a
 * base set's own lock, the janitor's and the merger's queue locks and the bells are taken last. Who
 * holds the writer's locks takes neither of the first two.
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
#include "daemon/store/state/options.h"
#include "daemon/store/system/bell.h"
#include "daemon/store/system/lock.h"

#include <limits.h>
#include <stdatomic.h>

struct indexer;
struct janitor;
struct load;
struct merger;
struct writer;

/* Where runs are put together: kept between groups, since fresh pages cost more than the sort. */
struct load_body {
	uint8_t *data; /* owned */
	uint64_t capacity;
};

struct store {
	char folder[PATH_MAX];
	struct store_options options;
	int lock_fd;
	struct catalog *catalog;            /* owned */
	_Atomic(struct snapshot *) current; /* owned */
	_Atomic uint64_t visible;     /* the newest sequence of the log that is acknowledged */
	struct memtable_usage usage;  /* of all memtables */
	struct janitor *janitor;      /* owned */
	struct writer *writer;        /* owned */
	struct merger *merger;        /* owned */
	struct indexer *indexer;      /* owned */
	struct bell merge_bell;       /* the merger waits for it */
	struct bell index_bell;       /* the indexer waits for it */
	_Atomic bool release_dropped; /* since the merger last looked */
	struct lock admin_lock;
	struct lock load_lock;
	struct lock tensor_lock;  /* one tensor is put at a time */
	uint64_t tensors_unknown; /* puts that may stand in the catalog; guarded by it */
	struct load *loads;       /* owned list */
	struct load_body load_body;
	uint64_t load_pending;  /* bytes that wait for store_load_sync */
	struct error load_lost; /* why chunks were lost that store_load_sync must still tell of */
	uint64_t load_sequence; /* of the last run of any load */
	_Atomic uint64_t seal_bytes; /* written since the start, as the next */
	_Atomic uint64_t load_bytes;
	_Atomic bool
		stop; /* a seal or a merge that is under way, or who waits for room, shall end */
	/* A commit ended in an error of the disk: what the catalog names is known after a restart,
	 * and until then no file is written or removed that it may name. */
	_Atomic bool catalog_unknown;
	uint64_t sealing; /* number of the release that is being sealed; 0: none */
	/* Number of the release that a merge writes files of; 0: none. When that is dropped
	   meanwhile, its folder stays for the merge to remove. Guarded by admin_lock, both. */
	uint64_t merging;
	bool merging_dropped;
};

/* The current snapshot, for who holds admin_lock. */
static inline struct snapshot *store_current(struct store *store)
{
	return atomic_load_explicit(&store->current, memory_order_acquire);
}

/* How large segments and base files become. */
static inline struct base_sizes store_base_sizes(const struct store *store)
{
	return (struct base_sizes){
		.segment_bytes = store->options.sizes.segment_bytes,
		.file_bytes = store->options.sizes.file_bytes,
	};
}

/* Tells the daemon what a background thread noticed. */
void store_event(struct store *store, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* DATA/releases/<number>, in PATH_MAX bytes. */
void store_release_folder(const struct store *store, uint64_t number, char *out);

/* Opens the files of each table of a sealed release that has some; what is damaged is an
 * event. Errors: CORRUPT (the catalog), NO_MEMORY. */
enum status store_open_bases(struct store *store, struct release *release, struct error *err);

/* The same for one table of a release. */
enum status store_open_table(struct store *store, const struct release *release,
	struct table *table, struct error *err);

#endif
