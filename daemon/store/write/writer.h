/* writer.h - the inside of the write path: from an applied frame to an acknowledgement.
 *
 *   store_put (write.c): checks, links versions above `visible` -> writer_end
 *       -> [the commit thread: takes all that waits, one write, one sync] -> `visible` moves, and
 *          DATA/visible says so
 *       -> `done` of each ticket
 *
 * While one group is written, the next one is applied. If a group fails, the writes that were
 * applied on top of it are taken back too, since they may have been computed from it.
 *
 * Threads: apply_lock is held while a write is applied; while `halting` is above 0 no further one
 * begins. group_lock guards the tickets that wait and the state of all tickets. It is held for
 * moments only; but the cut of a merge holds it until the old log file is synced.
 */
#ifndef DAEMON_STORE_WRITE_WRITER_H
#define DAEMON_STORE_WRITE_WRITER_H

#include "daemon/store/log/frame.h"
#include "daemon/store/log/redo.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/table_counts.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/lock.h"
#include "daemon/store/write/horizon.h"
#include "daemon/store/write/slowing.h"
#include "daemon/store/write/write.h"
#include "daemon/store/write/write_clock.h"

#include <assert.h>

struct visible_page;

struct write_ticket {
	struct write_ticket *next;
	struct writer *writer; /* borrowed */
	write_done_fn *done;
	void *done_arg;
	bool finished;
	struct error outcome;
	/* Where in `data` the part begins that changes positions; 0: none does. It is the last one. */
	uint32_t positions_at;
	struct frame_head head; /* bytes 0: nothing was applied, so it only waits for its turn */
	uint8_t data[];         /* the frame */
};

struct writer {
	struct store *store; /* borrowed */
	struct redo *redo;   /* owned; the commit thread's, or the merge's while it is halted */
	struct lock apply_lock;
	struct condition go;    /* nobody halts any more */
	atomic_uint halting;    /* so many threads want that nobody applies */
	uint64_t next_sequence; /* guarded by apply_lock, or by halting */
	struct lock group_lock;
	struct condition work;    /* for the commit thread */
	struct condition settled; /* a group has ended */
	/* Guarded by group_lock: */
	struct write_ticket *first; /* of those that wait, in the order of their sequences */
	struct write_ticket *last;
	_Atomic uint64_t waiting_bytes; /* of their frames; read by anybody, as is the next */
	_Atomic uint64_t committing_bytes;
	uint64_t waiting_max; /* of waiting_bytes (backlog.h) */
	bool committing;      /* the commit thread writes or syncs */
	bool stop;
	pthread_t thread;
	bool started; /* all threads run */
	struct horizon horizon;
	pthread_t stocker; /* serves the store's stock */
	atomic_bool read_only;
	atomic_bool disk_full;          /* the last group did not fit */
	_Atomic uint64_t full_since_ms; /* 0: there is room */
	struct slowing slowing;
	_Atomic uint64_t commits;
	_Atomic uint64_t rows;           /* that were applied; changed under apply_lock */
	struct histogram group_requests; /* of each commit; the commit thread's */
	_Atomic uint64_t room_waits;     /* writes that waited until a bound left room */
	_Atomic uint64_t slowed;         /* writes that were slowed (slowing.h) */
	struct write_clock clock;        /* of the frames; the commit thread's */
	struct redo_frame *frames;       /* owned; the commit thread's */
	size_t frames_capacity;
	struct visible_page
		*page;     /* owned; the commit thread's, as the next; NULL: there is none */
	uint64_t shown_ms; /* when it was written last */
	uint64_t replayed; /* the newest sequence that the start found in the log */
};

/* Opens and replays the log, and sets `visible`. store->current is set, and only the caller sees it
 * yet. */
enum status writer_open(struct store *store, struct error *err);
/* Commits what waits; NULL is fine. */
void writer_close(struct writer *writer);

/* ---- locks, in their order ---- */

static inline void writer_take_apply(struct writer *writer)
{
	assert(!lock_is_held(&writer->store->tensor_lock));
	assert(!lock_is_held(&writer->store->admin_lock));
	assert(!lock_is_held(&writer->store->load_lock));
	assert(!lock_is_held(&writer->group_lock));
	lock_take(&writer->apply_lock);
}

static inline void writer_take_group(struct writer *writer)
{
	assert(!lock_is_held(&writer->store->tensor_lock));
	assert(!lock_is_held(&writer->store->admin_lock));
	assert(!lock_is_held(&writer->store->load_lock));
	lock_take(&writer->group_lock);
}

/* ---- tickets (ticket.c) ---- */

/* Ends a list of tickets. A caller that has not asked for the outcome yet gets it when it asks. */
void writer_finish(struct writer *writer, struct write_ticket *tickets, const struct error *err);

/* ---- frames that were applied (writer_undo.c) ---- */

/* Counts the bytes of a frame that was linked, for each table that has a part of it. */
void writer_count_frame(const struct release *release, const uint8_t *data,
	const struct frame_head *head);
/* Both take versions above `visible` back: of the rows of one frame, or of a list of them. The caller
 * keeps everybody from applying: it holds apply_lock, or halts. */
void writer_undo_frame(const struct release *release, const struct write_ticket *ticket,
	uint64_t visible);
void writer_undo(struct writer *writer, const struct write_ticket *tickets, uint64_t visible);
/* Settles the positions of frames that were written. `synced`: they are on the disk, too. */
void writer_settle(struct writer *writer, const struct write_ticket *tickets, bool synced);
/* What is counted of each source is on the disk. */
void writer_positions_synced(struct writer *writer);

/* ---- for write.c (writer_begin.c) ---- */

/* Waits until there is room in memory. Errors: BUSY, READ_ONLY; those of `stop` (NULL: nothing). */
enum status writer_wait(struct writer *writer, const struct stop *stop, struct error *err);
/* The same, then takes apply_lock. Errors, without the lock: as above. */
enum status writer_begin(struct writer *writer, const struct stop *stop, struct error *err);
/* If the last group did not fit the disk, checks whether a frame of so many bytes does now. Otherwise
 * writes would be linked again and again, only to be taken back. Errors: DISK_FULL. */
enum status writer_check_room(struct writer *writer, size_t bytes, struct error *err);
/* Adds a write that was applied (NULL: it has failed) to the group, and releases apply_lock. Then it may wait for up to a
 * second (slowing.h). */
void writer_end(struct writer *writer, struct write_ticket *ticket);

/* A sync has failed: from now on nothing is written until a restart. Tells it once. */
void writer_set_read_only(struct writer *writer, const char *reason);

/* ---- for the merge ---- */

/* Waits until nothing is being applied or committed. Nothing begins before writer_resume, which must
 * follow. */
void writer_halt(struct writer *writer);
void writer_resume(struct writer *writer);

#endif
