/* times.c - compares times with what they may be. */
#include "schema/times.h"

#include "schema/limits.h"

#include <inttypes.h>
#include <string.h>

enum status times_check(const uint8_t *times, size_t count, enum times_rule rule, int64_t now_ms,
	const char *of, struct error *err)
{
	const int64_t most_ms = rule == TIMES_ANY ? LIMIT_TIME_MS : now_ms + LIMIT_TIME_AHEAD_MS;
	for (size_t i = 0; i < count; i++) {
		int64_t time_ms;
		memcpy(&time_ms, times + i * sizeof time_ms, sizeof time_ms);
		if (time_ms < 0 || time_ms > most_ms) {
			return error_set(err, STATUS_BAD_REQUEST,
				"times: %s %zu has %" PRId64 ", 0..%" PRId64
				" allowed (Unix milliseconds%s)",
				of, i, time_ms, most_ms,
				rule == TIMES_ANY ? ""
						  : ", up to an hour ahead of the clock; any_time "
						    "takes later ones");
		}
	}
	return STATUS_OK;
}
