/* replay.h - from the frames of the log to the versions in memory.
 *
 * A start does this, and a reader without the daemon does it too. Rows that the base files hold
 * already are passed over, and so are frames of releases that were dropped. Samples are added again,
 * to states of the base files or of the frames before; so a start reads the segments that have them.
 * A key whose state is in a damaged segment stays damaged.
 *
 * Threads: the only one that knows the snapshot, or the one that follows the log for a reader, inside
 * (grace.h); others read meanwhile what is visible. Frames come in the order of the log.
 */
#ifndef DAEMON_STORE_FOLD_REPLAY_H
#define DAEMON_STORE_FOLD_REPLAY_H

#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

struct frame_head;
struct memtable_usage;
struct snapshot;

struct replay {
	const struct snapshot *snapshot;
	/* Of its memtables. What frames up to `horizon` have superseded is written over: who replays sets it. */
	struct memtable_usage *usage;
	bool positions; /* those of sources, too: for a writer */
};

/* Links the rows of a frame and raises its position. Errors: CORRUPT  it does not fit the snapshot;
 * NO_MEMORY. */
enum status replay_frame(const struct replay *replay, const uint8_t *data,
	const struct frame_head *head, struct error *err);

#endif
