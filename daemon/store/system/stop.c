/* stop.c - looks at three flags and the clock. */
#include "daemon/store/system/stop.h"

#include "daemon/store/system/clock.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

static const uint64_t ns_per_ms = 1000000;

static bool is_set(const atomic_bool *flag)
{
	return flag != NULL && atomic_load_explicit(flag, memory_order_relaxed);
}

uint64_t stop_ends_ns(const struct stop *stop)
{
	return stop->timeout_ms == 0 ? UINT64_MAX : (stop->read_ms + stop->timeout_ms) * ns_per_ms;
}

uint64_t stop_look_ms(const struct stop *stop)
{
	enum { LOOK_MS = 100 }; /* no bell rings when a flag is set */
	if (stop == NULL) {
		return UINT64_MAX;
	}
	const uint64_t look_ms = (uint64_t)clock_monotonic_ms() + LOOK_MS;
	const uint64_t ends_ms = stop_ends_ns(stop) / ns_per_ms;
	return ends_ms < look_ms ? ends_ms : look_ms;
}

enum status stop_check(const struct stop *stop, struct error *err)
{
	if (stop == NULL) {
		return STATUS_OK;
	}
	if (is_set(stop->gone) || is_set(stop->cut)) {
		return error_set(err, STATUS_CLOSED, "nobody waits for the answer");
	}
	if (is_set(stop->closing)) {
		return error_set(err, STATUS_BUSY, "the daemon is stopping");
	}
	if (stop->timeout_ms == 0 || clock_monotonic_ns() < stop_ends_ns(stop)) {
		return STATUS_OK;
	}
	return error_set(err, STATUS_TIMEOUT,
		"not done in timeout_ms, %" PRIu64 ", of which it waited %" PRIu64,
		stop->timeout_ms, stop->waited_ms);
}
