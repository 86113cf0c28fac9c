/* stop.c - looks at two flags and the clock. */
#include "daemon/store/system/stop.h"

#include "daemon/store/system/clock.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

static bool is_set(const atomic_bool *flag)
{
	return flag != NULL && atomic_load_explicit(flag, memory_order_relaxed);
}

uint64_t stop_ends_ns(const struct stop *stop)
{
	const uint64_t ns_per_ms = 1000000;
	return stop->timeout_ms == 0 ? UINT64_MAX : (stop->read_ms + stop->timeout_ms) * ns_per_ms;
}

enum status stop_check(const struct stop *stop, struct error *err)
{
	if (stop == NULL) {
		return STATUS_OK;
	}
	if (is_set(stop->gone) || is_set(stop->cut)) {
		return error_set(err, STATUS_CLOSED, "nobody waits for the answer");
	}
	if (stop->timeout_ms == 0 || clock_monotonic_ns() < stop_ends_ns(stop)) {
		return STATUS_OK;
	}
	return error_set(err, STATUS_TIMEOUT,
		"not done in timeout_ms, %" PRIu64 ", of which it waited %" PRIu64,
		stop->timeout_ms, stop->waited_ms);
}
