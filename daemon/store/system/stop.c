/* stop.c - looks at three flags and the clock, and asks. */
#include "daemon/store/system/stop.h"

#include "daemon/store/system/clock.h"

#include <inttypes.h>
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

/* Whether who waits says that he does not any more. */
static bool is_called_off(struct stop_asking *asking)
{
	const uint64_t now_ns = clock_monotonic_ns();
	if (!asking->is_off && now_ns >= asking->next_ns) {
		asking->next_ns = now_ns + STOP_ASK_NS;
		asking->is_off = asking->is_over(asking->context);
	}
	return asking->is_off;
}

enum status stop_check(const struct stop *stop, struct error *err)
{
	if (stop == NULL) {
		return STATUS_OK;
	}
	if (is_set(stop->gone) || is_set(stop->cut)) {
		return error_set(err, STATUS_CLOSED, "nobody waits for the answer");
	}
	if (stop->asking != NULL && is_called_off(stop->asking)) {
		return error_set(err, STATUS_CLOSED, "the call was interrupted");
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
