/* redo.h - the log on disk: every write since the last merge, frame after frame, in numbered files.
 *
 * DATA/log/<n>.log: 64 bytes of head (magic "repstlog", version, number, first sequence, salt,
 * XXH3-64), then frames (frame.h) with sequences that grow by one, over all files. A file is
 * synced before the next one begins, and its folder before anything in it is acknowledged.
 *
 * A frame that is torn ends the log, and the last file is cut there: nothing behind it was
 * acknowledged. Unless a good frame follows that could only be written once the bad one was
 * synced: that is damage, and the log does not open. Nor does it where so many rows look like
 * frames that to tell would take too long.
 *
 * Threads: one appends and syncs; another may meanwhile ask redo_file_of and remove old files, and
 * rotates while nothing is appended. The figures may be read by any.
 */
#ifndef DAEMON_STORE_LOG_REDO_H
#define DAEMON_STORE_LOG_REDO_H

#include "daemon/store/log/frame.h"
#include "schema/status.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { REDO_VERSION = 1, REDO_HEAD_BYTES = 64 };

struct redo;

/* Called for each good frame, in order. What it returns but OK ends the opening. */
typedef enum status redo_frame_fn(void *arg, const uint8_t *data, const struct frame_head *head,
	struct error *err);

struct redo_options {
	const char *folder;     /* made if missing */
	uint64_t first_file;    /* the first that must be there; 0: none was ever begun */
	uint64_t next_sequence; /* the least that a new frame may have */
	redo_frame_fn *on_frame;
	void *on_frame_arg;
};

/* Reads all files from the first one on, removes older ones, cuts off what is torn, and makes sure
 * that what was read is on the disk.
 * Errors: CORRUPT  damage, or a file that is missing, by name and offset; UNSUPPORTED; IO;
 *         DISK_FULL; NO_MEMORY; on_frame's. */
enum status redo_open(const struct redo_options *options, struct redo **out, struct error *err);
void redo_close(struct redo *redo); /* NULL is fine */

/* The sequence behind the last frame, and the number of the file that takes the next one. */
uint64_t redo_next_sequence(const struct redo *redo);
uint64_t redo_file(const struct redo *redo);
uint64_t redo_first_file(const struct redo *redo);

/* A frame to append: whole but for `first` and the checksum. */
struct redo_frame {
	uint8_t *data;
	size_t len;
};

/* Seals and appends frames in one write; they are on the disk after redo_sync. After a failure the
 * file is as it was before (DISK_FULL, IO), or the log takes nothing any more (READ_ONLY). */
enum status redo_append(struct redo *redo, const struct redo_frame *frames, size_t count,
	struct error *err);

/* Errors: READ_ONLY  it failed: what of the frames since the last sync is on the disk is not known
 * before the next start. Nothing is taken any more. */
enum status redo_sync(struct redo *redo, struct error *err);

/* Whether there is something to sync. */
bool redo_is_dirty(const struct redo *redo);

/* Whether there is room for so many bytes more, as far as the system can tell.
 * Errors: DISK_FULL; READ_ONLY. */
enum status redo_has_room(struct redo *redo, size_t bytes, struct error *err);

/* Syncs the file and begins the next one, unless it holds no frame. Errors: as redo_sync;
 * DISK_FULL, IO: the old file goes on. */
enum status redo_rotate(struct redo *redo, struct error *err);

/* The file in which a sequence is; that of the next frame if it was not written yet. */
uint64_t redo_file_of(const struct redo *redo, uint64_t sequence);

/* The sequence of a file's first frame: what is before it is on the disk. Of one that is kept. */
uint64_t redo_begins_at(const struct redo *redo, uint64_t file);

/* Removes the files before `first_file`. */
enum status redo_remove_before(struct redo *redo, uint64_t first_file, struct error *err);

/* Bytes of all files. From any thread. */
uint64_t redo_bytes(const struct redo *redo);

struct redo_figures {
	uint64_t files;
	uint64_t bytes;         /* of all files */
	uint64_t bytes_written; /* since the start */
	uint64_t syncs;
	uint64_t sync_ns;     /* of all together */
	uint64_t sync_ns_max; /* the longest */
	uint64_t sync_ns_last;
};
void redo_figures(const struct redo *redo, struct redo_figures *out);

#endif
