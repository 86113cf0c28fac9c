/* writer.h - the inside of the write path: from an applied frame to an acknowledgement.
 *
 *   store_put (write.c): checks, links versions above `visible` -> writer_add
 *       -> [the commit thread: takes all that waits, one write, one sync] -> `visible` moves
 *       -> done of each ticket
 *
 * The next group is applied while one is written. If a group fails, what was applied on top of it
 * is taken back too, since it may have been computed from it.
 *
 * Threads: apply_lock is held while a write is applied; `halting` keeps further ones from
 * beginning. group_lock guards what waits and the state of tickets; it is held for moments, and
 * by a merge's cut until the old log file is synced.
 */
#ifndef DAEMON_STORE_WRITE_WRITER_H
#define DAEMON_STORE_WRITE_WRITER_H

#include "daemon/store/log/frame.h"
#include "daemon/store/log/redo.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/lock.h"
#include "daemon/store/write/write.h"

struct write_ticket {
	struct write_ticket *next;
	struct writer *writer; /* borrowed */
	write_done_fn *done;
	void *done_arg;
	bool finished;
	struct error outcome;
	struct frame_head head; /* bytes 0: nothing was applied, so it only waits for its turn */
	uint8_t data[];         /* the frame */
};

struct writer {
	struct store *store; /* borrowed */
	struct redo *redo;   /* owned; the commit thread's, or the merge's while it is halted */
	struct lock apply_lock;
	struct condition go;
	atomic_uint halting;
	uint64_t next_sequence; /* guarded by apply_lock */
	struct lock group_lock;
	struct condition work;    /* for the commit thread */
	struct condition settled; /* a group has ended */
	struct write_ticket *first;
	struct write_ticket *last;
	uint64_t waiting_bytes;
	bool committing;
	bool stop;
	pthread_t thread;
	bool started;
	atomic_bool read_only;
	atomic_bool disk_full;          /* the last group did not fit */
	_Atomic uint64_t full_since_ms; /* 0: there is room */
	_Atomic uint64_t commits;
	struct redo_frame *frames; /* owned; the commit thread's */
	size_t frames_capacity;
};

/* Opens and replays the log, and sets `visible`: store->current is there, and only the caller sees
 * it. */
enum status writer_open(struct store *store, struct error *err);
/* Commits what waits; NULL is fine. */
void writer_close(struct writer *writer);

/* ---- frames that were applied (writer_undo.c) ---- */

/* Counts the bytes of a frame that was linked against the tables' share of the log. */
void writer_count_frame(const struct release *release, const uint8_t *data,
	const struct frame_head *head);
/* Takes the rows of a frame, or of a list of them, above `visible` back. */
void writer_undo_frame(const struct release *release, const struct write_ticket *ticket,
	uint64_t visible);
void writer_undo(struct writer *writer, const struct write_ticket *tickets, uint64_t visible);

/* ---- for write.c ---- */

/* Waits until there is room in memory, then for its turn: the caller holds apply_lock. Errors:
 * BUSY, READ_ONLY: it holds nothing. */
enum status writer_begin(struct writer *writer, struct error *err);
/* If the last group did not fit the disk: whether a frame of so many bytes does now. So nothing is
 * linked again and again only to be taken back. Errors: DISK_FULL. */
enum status writer_check_room(struct writer *writer, size_t bytes, struct error *err);
/* Adds what was applied (NULL: nothing, it failed) to the group, and lets go of the lock. */
void writer_end(struct writer *writer, struct write_ticket *ticket);

/* Nothing is written until a restart, since a sync has failed; told once. */
void writer_set_read_only(struct writer *writer, const char *reason);

/* ---- for the merge ---- */

/* Waits until nothing is being applied or committed; nothing begins before writer_resume. */
void writer_halt(struct writer *writer);
void writer_resume(struct writer *writer);

#endif
