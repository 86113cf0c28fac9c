/* write_clock.h - the clock of what was written, by which a merge removes expired rows.
 *
 * Each frame has the wall clock of its request. A merge takes that of the last frame of its cut, and
 * never the wall clock of its own: somebody who sets the clock wrong and merges would remove rows for
 * good. And the frame's clock counts only if it has gone with the monotonic clock since the start:
 * frames of a wall clock that was set forward are passed over until it is back, or until a restart.
 * Then expired rows stay longer. One that was set back is believed, since it removes nothing too early.
 *
 * Threads: one at a time changes it; any reads `written_ms`.
 */
#ifndef DAEMON_STORE_WRITE_WRITE_CLOCK_H
#define DAEMON_STORE_WRITE_WRITE_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The wall clock may go ahead of the monotonic one by so much between two frames: it is being adjusted,
 * or the request has waited. */
enum { WRITE_CLOCK_AHEAD_MS = 5 * 60 * 1000 };

struct write_clock {
	int64_t wall_ms;            /* Unix ms, at */
	int64_t monotonic_ms;       /* this moment */
	bool is_ahead;              /* the last frame was passed over */
	_Atomic int64_t written_ms; /* of the newest frame that counts; INT64_MIN: none does */
};

/* The wall clock of the start is believed: nobody knows better. */
void write_clock_begin(struct write_clock *clock, int64_t wall_ms, int64_t monotonic_ms);

/* A frame that was replayed at the start has the clock `frame_ms`. It counts if it is not ahead. */
void write_clock_replay(struct write_clock *clock, int64_t frame_ms);

/* A frame that was written at `monotonic_ms`. Returns false if it does not count. */
bool write_clock_note(struct write_clock *clock, int64_t frame_ms, int64_t monotonic_ms);

#endif
