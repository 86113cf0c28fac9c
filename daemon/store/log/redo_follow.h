/* redo_follow.h - reads the log frame after frame while somebody else writes it.
 *
 * Nothing is changed, and no file is mapped, since a file may be cut at any time. What a frame's checksum does not
 * vouch for is not there yet. How far a reader may go is told by DATA/visible: frames stand in the log before they are
 * synced, and may be cut off again. So nothing beyond `limit` is read, not even ahead.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_LOG_REDO_FOLLOW_H
#define DAEMON_STORE_LOG_REDO_FOLLOW_H

#include "daemon/store/log/frame.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed, it has no file; redo_follow_end then does nothing. */
struct redo_follow {
	const char *folder; /* of the log; borrowed */
	uint64_t file;      /* number of the file that is read; 0: none */
	uint64_t at;        /* where the next frame stands in it */
	uint64_t next_sequence;
	uint64_t salt;
	int fd;        /* owned, if there is a file */
	uint8_t *data; /* owned: bytes of the file from `at` on, as the next three say */
	size_t cap;
	size_t from;
	size_t len;
};

/* Begins at the first frame of a file. Errors: NOT_FOUND  there is none of that number; AGAIN  its head is not whole,
 * since it is being made or was never used; CORRUPT, UNSUPPORTED  the head; IO, NO_MEMORY. After an error it stands
 * where it stood. */
enum status redo_follow_begin(struct redo_follow *follow, uint64_t file, struct error *err);

/* Gives the next frame, whose bytes stay until the next call. `limit` is an offset in the file; UINT64_MAX: all of it.
 * Errors: AGAIN  no good frame stands there; CORRUPT  one of another sequence; UNSUPPORTED  a frame of a newer
 * format; IO, NO_MEMORY. */
enum status redo_follow_next(struct redo_follow *follow, uint64_t limit, const uint8_t **data,
	struct frame_head *head, struct error *err);

/* Whether bytes stand behind the frames that were read, in the file as it is now. */
bool redo_follow_has_rest(const struct redo_follow *follow);

/* Forgets what was read ahead: to be called before a pause, after which the file may have other bytes there. */
void redo_follow_pause(struct redo_follow *follow);

void redo_follow_end(struct redo_follow *follow);

#endif
