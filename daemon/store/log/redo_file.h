/* redo_file.h - one file of the log: its head, and how it is read.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_LOG_REDO_FILE_H
#define DAEMON_STORE_LOG_REDO_FILE_H

#include "daemon/store/log/redo.h"

struct redo_head {
	uint64_t number;
	uint64_t first_sequence;
	uint64_t salt;
	uint32_t version; /* of one that was read */
};

/* Writes the name of a file: <number>.log */
void redo_file_name(char *out, size_t size, uint64_t number);
/* The number in a name of that form; 0: the name has another form. */
uint64_t redo_file_number(const char *name);
/* The highest number of a file in a folder; 0: it has none, or cannot be listed. */
uint64_t redo_file_last(const char *folder);

/* Reads the head that stands in REDO_HEAD_BYTES. Errors: CORRUPT  it has not its checksum; UNSUPPORTED
 * it is of another version; then *out is filled all the same. */
enum status redo_head_read(const uint8_t *data, struct redo_head *out);
/* Says that a head which was read is of another version: UNSUPPORTED. */
enum status redo_head_refuse(const struct redo_head *head, const char *path, struct error *err);

/* Creates a file with its head, syncs it, and syncs the folder. *fd is the caller's. */
enum status redo_file_create(const char *folder, const struct redo_head *head, int *fd,
	struct error *err);

/* What reading a file has found. */
struct redo_read {
	struct redo_head head;
	uint64_t next_sequence; /* behind its last good frame */
	uint64_t bytes;         /* up to its last good frame */
	uint64_t tail;          /* offset of the first frame that was perhaps not synced */
	bool torn;              /* something that is no good frame follows */
};

/* Reads all good frames, in order, through `options->on_frame`.
 *   expected   the sequence of its first frame; 0: the one that its head says
 *   is_last    whether it is the last file: in any other file a bad frame is damage
 * Errors: AGAIN  the last file has no whole head, since it was never used; CORRUPT, UNSUPPORTED,
 * IO, NO_MEMORY, on_frame's. */
enum status redo_file_read(const struct redo_options *options, uint64_t number, uint64_t expected,
	bool is_last, struct redo_read *out, struct error *err);

/* Cuts the file behind its last good frame, writes its tail again in place, and syncs it. The tail
 * is written again because pages whose sync failed before a restart look clean, though they are not
 * on the disk. */
enum status redo_file_settle(int fd, const struct redo_read *read, struct error *err);

#endif
