/* local_state.h - the inside of a reader: what its files share.
 *
 *     follower     reads DATA/visible, the log and DATA/current, changes memtables and makes snapshots. It never waits
 *                  for a reader: what was superseded it frees when a grace period is over
 *     inspector    checks the files in the background
 *     imager       makes images of the rows of memtables, for searches
 *     stocker      has memory ready for the follower's next rows (arena_stock.h)
 *     callers      take a snapshot and read, as the threads of a daemon do
 *
 * Threads: what a line says; else the follower's, or that of local_open before there is one.
 */
#ifndef DAEMON_LOCAL_LOCAL_STATE_H
#define DAEMON_LOCAL_LOCAL_STATE_H

#include "daemon/local/local.h"
#include "daemon/local/local_thread.h"
#include "daemon/method/call/service.h"
#include "daemon/store/imaging/imaging.h"
#include "daemon/store/log/redo_follow.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/visible/visible_view.h"

#include <pthread.h>
#include <sys/types.h>

struct generation;
struct local_calls_slot;

/* A snapshot that another one has replaced, and perhaps some reader still sees. */
struct local_retired {
	struct local_retired *next;
	struct snapshot *snapshot; /* owned */
	uint64_t grace;            /* grace_begin, after it was replaced */
};

struct local_state {
	struct grace_reader
		reader; /* the follower's; they are first, since they have lines of their own */
	struct grace_reader inspector_reader;
	struct grace_reader imager_reader;
	struct local_options options; /* constant; `folder` is the store's */
	struct service service;       /* constant, but for what methods count */
	struct store *store;
	struct folder *folder; /* owned */
	char log_folder[PATH_MAX];
	/* What DATA/visible says; NULL: there is none. Any thread reads it. Views that were replaced are kept until the
	 * end, since a call may be reading one. */
	_Atomic(struct visible_view *) view;
	struct visible_view **old_views; /* owned */
	size_t old_view_count;
	struct visible page; /* as it was acted on last; zeroed: it never was */
	struct redo_follow log;
	const struct stop *opening;    /* while all is read for the first time; else NULL */
	struct local_retired *retired; /* owned list, the oldest first */
	/* What a published snapshot has made superfluous in memtables is taken out after a grace period, and freed after
	 * another one. */
	enum { LOCAL_SETTLED, LOCAL_PUBLISHED, LOCAL_TAKEN_OUT } step;
	uint64_t step_grace;
	struct generation **freed; /* owned: taken out */
	size_t freed_count;
	bool must_load; /* what is in memory does not go with the log: it is read anew */
	bool is_other_folder; /* the folder was put back from a copy: nothing that is open is used again */
	uint64_t load_current; /* what the page said of `current` when all was read anew last, */
	uint64_t
		load_pause_ms; /* which failed: it is tried again after so long; 0: it did not fail */
	uint64_t load_again_ns;
	uint64_t memory_before; /* while it is: of memtables that go afterwards */
	uint64_t horizon_grace; /* the horizon moves when it is over; 0: it does not */
	uint64_t horizon_next;
	/* The newest write that a call which begins now sees; any thread. store->visible may be ahead of it for a moment,
	 * while the snapshot that goes with it is not published yet. */
	_Atomic uint64_t applied;
	_Atomic uint64_t caught_up_ns; /* when it last had all visible; 0: never; any thread */
	atomic_bool is_full;           /* any thread, as the next */
	/* `current`, or a start of the daemon, says something that is not taken over yet. */
	atomic_bool is_behind;
	pthread_t follower;
	pthread_t inspector;
	pthread_t imager;
	pthread_t stocker;
	bool handles_sigbus;
	bool has_follower;
	bool has_stocker;
	bool has_inspector;
	bool has_imager;
	struct imaging imaging;  /* the imager's, but for its figures */
	struct bell imager_bell; /* rung at the end */
	struct lock lock;        /* guards `stop`, with the next two */
	struct condition wake;
	struct condition wake_inspector;
	bool stop;
	atomic_bool is_new; /* a snapshot was published since the inspector looked for indexes */
	/* Figures; any thread reads them. */
	struct local_calls_slot *calls; /* owned: SLOT_COUNT */
	_Atomic uint64_t frames;
	_Atomic uint64_t log_bytes;
	_Atomic uint64_t snapshots;
	_Atomic uint64_t replays;
	_Atomic uint64_t retries;
};

/* ---- local_state.c ---- */

enum status local_state_open(const struct local_options *options, struct local_state **out,
	struct error *err);
void local_state_close(struct local_state *state); /* NULL is fine */

/* Whether the opening may go on; there may be none. Errors: CLOSED  who waits for it has called it off; TIMEOUT. */
enum status local_state_check_opening(const struct local_state *state, struct error *err);

/* How old what a call may see now is, in milliseconds; LOCAL_LAG_UNKNOWN. Any thread. */
int64_t local_state_lag(const struct local_state *state, bool *is_alive);

/* ---- local_snapshot.c: from DATA/current to a snapshot ---- */

/* What a new snapshot shares with the one before it, of what both have. */
enum local_share {
	LOCAL_SHARE_ALL,   /* memtables, and tables that did not change */
	LOCAL_SHARE_FILES, /* open files alone: the log is replayed into new memtables */
};

/* Reads DATA/current. */
enum status local_snapshot_read(struct local_state *state, struct snapshot **out,
	struct error *err);
/* Opens the files of a snapshot that was read, and nobody sees yet. Errors: AGAIN  a file is gone, and DATA/current has
 * been replaced: read it again; NO_MEMORY, CORRUPT; CLOSED, TIMEOUT  of the opening. */
enum status local_snapshot_open(struct local_state *state, struct snapshot *next,
	const struct snapshot *before, enum local_share share, struct error *err);
/* The newest sequence that the tables of a snapshot have in their files. */
uint64_t local_snapshot_merged_to(const struct snapshot *snapshot);
/* Whether some release of `next` takes writes that did not in `now`. */
bool local_snapshot_has_new(const struct snapshot *next, const struct snapshot *now);

/* Makes it what callers see. That before it is freed some time. False: no memory; nothing has changed. */
bool local_snapshot_publish(struct local_state *state, struct snapshot *next);
/* Frees what no caller can see any more. */
void local_snapshot_reclaim(struct local_state *state);
/* Whether something waits for a grace period, so that another snapshot has to wait. */
bool local_snapshot_is_settling(const struct local_state *state);
/* At the end: nobody reads. */
void local_snapshot_free_all(struct local_state *state);

/* ---- local_log.c: from the log to memtables ---- */

/* How far the log is read: up to a frame, and up to an offset of the last file. */
struct local_reach {
	uint64_t sequence;
	uint64_t file; /* 0: not known: up to the first frame that is none */
	uint64_t offset;
};

/* Applies what `state->log` has within reach, for a snapshot that may not be published yet. `until_ns`: it returns AGAIN
 * when this moment has come; 0: never. Errors: NOT_FOUND  a file of the log is gone; BUSY  memory_max is reached;
 * CLOSED, TIMEOUT  of the opening; CORRUPT, UNSUPPORTED, IO, NO_MEMORY. */
enum status local_log_apply(struct local_state *state, const struct snapshot *snapshot,
	const struct local_reach *reach, uint64_t until_ns, struct error *err);

/* Begins where a snapshot says, whose memtables are empty, and applies all within reach. Errors: as above. */
enum status local_log_replay(struct local_state *state, const struct snapshot *snapshot,
	const struct local_reach *reach, struct error *err);

/* ---- local_follow.c: the follower ---- */

/* Reads the folder as it is now: what the tables are, and the log into new memtables. Errors: AGAIN, NOT_FOUND  files
 * went meanwhile, which an opening tries some times; as local_open. */
enum status local_follow_load(struct local_state *state, struct error *err);
enum status local_follow_start(struct local_state *state, struct error *err);
void local_follow_stop(struct local_state *state);

/* ---- local_index.c: indexes and images of deltas ---- */

/* Opens those that tables have by now beside their files, also where another one stands in the place of one that is
 * open. A thread that may block. */
void local_index_open_all(struct local_state *state);

/* ---- local_inspect.c: the inspector ---- */

enum status local_inspect_start(struct local_state *state, struct error *err);
void local_inspect_stop(struct local_state *state);

/* ---- local_images.c: the imager ---- */

enum status local_images_start(struct local_state *state, struct error *err);
void local_images_stop(struct local_state *state);

#endif
