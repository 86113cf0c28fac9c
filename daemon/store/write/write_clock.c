/* write_clock.c - compares the wall clock of frames with the monotonic clock. */
#include "daemon/store/write/write_clock.h"

void write_clock_begin(struct write_clock *clock, int64_t wall_ms, int64_t monotonic_ms)
{
	clock->wall_ms = wall_ms;
	clock->monotonic_ms = monotonic_ms;
	clock->is_ahead = false;
	atomic_init(&clock->written_ms, INT64_MIN);
}

void write_clock_replay(struct write_clock *clock, int64_t frame_ms)
{
	if (frame_ms <= clock->wall_ms + WRITE_CLOCK_AHEAD_MS) {
		atomic_store_explicit(&clock->written_ms, frame_ms, memory_order_relaxed);
	}
}

bool write_clock_note(struct write_clock *clock, int64_t frame_ms, int64_t monotonic_ms)
{
	const int64_t expected_ms = clock->wall_ms + (monotonic_ms - clock->monotonic_ms);
	clock->is_ahead = frame_ms > expected_ms + WRITE_CLOCK_AHEAD_MS;
	if (clock->is_ahead) {
		return false;
	}
	if (frame_ms > expected_ms || frame_ms < expected_ms - WRITE_CLOCK_AHEAD_MS) {
		clock->wall_ms = frame_ms;
		clock->monotonic_ms = monotonic_ms;
	}
	atomic_store_explicit(&clock->written_ms, frame_ms, memory_order_relaxed);
	return true;
}
