/* redo.h - the log on disk: every write since the last merge, frame after frame, in numbered files.
 *
 * DATA/log/<n>.log is a head and then frames (frame.h), whose sequences grow by one over all files.
 * A file is synced before the next one begins, and its folder before anything in it is
 * acknowledged. schema/DISK.md, "The log", has every byte.
 *
 * A torn frame ends the log, and the last file is cut there, since nothing behind it was
 * acknowledged. There is one exception: if a good frame follows that was written only after the bad
 * one had been synced, the bad one is damage, and the log does not open. The log does not open
 * either where so many rows look like frames that it would take too long to find out.
 *
 * Threads: one appends and syncs. Another may meanwhile ask redo_file_of and remove old files; it
 * rotates only while nothing is appended. Any thread may read the figures.
 */
#ifndef DAEMON_STORE_LOG_REDO_H
#define DAEMON_STORE_LOG_REDO_H

#include "daemon/store/log/frame.h"
#include "daemon/store/system/histogram.h"
#include "schema/status.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { REDO_VERSION = 1, REDO_HEAD_BYTES = 64 };

struct redo;

/* Called for each good frame, in order. Any status but OK ends the opening. */
typedef enum status redo_frame_fn(void *arg, const uint8_t *data, const struct frame_head *head,
	struct error *err);

struct redo_options {
	const char *folder;      /* made if missing */
	uint64_t first_file;     /* the first file that must be there; 0: none was ever begun */
	uint64_t next_sequence;  /* the lowest sequence that a new frame may have */
	redo_frame_fn *on_frame; /* NULL: the frames are only read */
	void *on_frame_arg;
	bool may_be_cut; /* by somebody else while it is read, so that a map of it could fault */
};

/* Reads all files from the first one on, removes older ones, cuts off what is torn, and makes sure
 * that what was read is on the disk.
 * Errors: CORRUPT  a file is damaged or missing; the text names it; UNSUPPORTED; IO; DISK_FULL;
 *         NO_MEMORY; on_frame's. */
enum status redo_open(const struct redo_options *options, struct redo **out, struct error *err);
void redo_close(struct redo *redo); /* NULL is fine */

uint64_t redo_next_sequence(const struct redo *redo); /* of the frame that is appended next */
uint64_t redo_file(const struct redo *redo);          /* number of the file that takes it */
uint64_t redo_offset(const struct redo *redo);        /* where it will stand in that file */
uint64_t redo_first_file(const struct redo *redo);    /* number of the oldest file */

/* A frame to append: frame_end was called, frame_seal was not. */
struct redo_frame {
	uint8_t *data;
	size_t len;
};

/* Seals frames and appends them in one write; their sequences follow on redo_next_sequence. They
 * are on the disk after redo_sync. Errors: DISK_FULL, IO  the file is as it was before; READ_ONLY
 * the log takes nothing any more. */
enum status redo_append(struct redo *redo, const struct redo_frame *frames, size_t count,
	struct error *err);

/* Errors: READ_ONLY  the sync failed. Which of the frames since the last sync are on the disk is
 * not known before the next start, and the log takes nothing any more. */
enum status redo_sync(struct redo *redo, struct error *err);

/* Whether frames were appended that are not synced yet. */
bool redo_is_dirty(const struct redo *redo);

/* Asks the system whether there is room for so many bytes more. Errors: DISK_FULL; READ_ONLY. */
enum status redo_has_room(struct redo *redo, size_t bytes, struct error *err);

/* Syncs the file and begins the next one, unless the file holds no frame. Errors: as redo_sync;
 * DISK_FULL, IO  the old file goes on. */
enum status redo_rotate(struct redo *redo, struct error *err);

/* The number of the file that has this sequence; for one that was not written yet, of the file that
 * takes the next frame. */
uint64_t redo_file_of(const struct redo *redo, uint64_t sequence);

/* The sequence of the first frame of `file`, which is one that is kept. All that is before it is on
 * the disk. */
uint64_t redo_begins_at(const struct redo *redo, uint64_t file);

/* Removes the files before `first_file`. */
enum status redo_remove_before(struct redo *redo, uint64_t first_file, struct error *err);

/* Bytes of all files. From any thread. */
uint64_t redo_bytes(const struct redo *redo);

struct redo_figures {
	uint64_t files;
	uint64_t bytes;                      /* of all files */
	uint64_t bytes_written;              /* since the start */
	struct histogram_figures sync_times; /* in HISTOGRAM_SHORT_NS */
	uint64_t sync_ns_max;                /* the longest */
	uint64_t sync_ns_last;
};
void redo_figures(const struct redo *redo, struct redo_figures *out);

#endif
