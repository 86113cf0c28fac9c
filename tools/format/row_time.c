/* row_time.c - turns times into milliseconds, and refuses those that look like another unit. */
#include "tools/format/row_time.h"

#include "schema/limits.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const int64_t year_1990_ms = INT64_C(631152000000);
static const int64_t hour_ms = 3600000;

/* A unit is `multiply` or 1 / `divide` milliseconds. */
static const struct {
	const char *name;
	const char *whole_name;
	int64_t multiply;
	int64_t divide;
} units[] = {
	[ROW_TIME_MS] = {"ms", "milliseconds", 1, 1},
	[ROW_TIME_S] = {"s", "seconds", 1000, 1},
	[ROW_TIME_US] = {"us", "microseconds", 1, 1000},
	[ROW_TIME_NS] = {"ns", "nanoseconds", 1, 1000000},
};
enum { UNITS = sizeof units / sizeof units[0] };

bool row_time_unit(const char *name, enum row_time_unit *out)
{
	for (size_t i = 0; i < UNITS; i++) {
		if (strcmp(units[i].name, name) == 0) {
			*out = (enum row_time_unit)i;
			return true;
		}
	}
	return false;
}

/* False: a row cannot have this time. */
static bool convert(int64_t time, enum row_time_unit unit, int64_t *out_ms)
{
	int64_t ms = 0;
	if (time < 0 || __builtin_mul_overflow(time, units[unit].multiply, &ms)) {
		return false;
	}
	ms /= units[unit].divide;
	*out_ms = ms;
	return ms <= LIMIT_TIME_MS;
}

static bool is_likely(int64_t time_ms, int64_t now_ms)
{
	return time_ms >= year_1990_ms && time_ms <= now_ms + hour_ms;
}

/* Says what the time would be in this unit, and in which unit it would be likely. */
static enum status refuse(const struct row_time_rule *rule, int64_t time, int64_t now_ms,
	const char *what, struct error *err)
{
	char hint[160] = "";
	char when[TEXT_BYTES];
	int64_t ms = 0;
	for (size_t i = 0; i < UNITS && hint[0] == '\0'; i++) {
		if (convert(time, (enum row_time_unit)i, &ms) && is_likely(ms, now_ms)) {
			snprintf(hint, sizeof hint, "; in %s it is %s: --time-unit %s",
				units[i].whole_name, text_time(ms, when), units[i].name);
		}
	}
	if (!convert(time, rule->unit, &ms)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%s is %" PRId64 ", not Unix %s between 0 and %s%s", what, time,
			units[rule->unit].whole_name, text_time(LIMIT_TIME_MS, when), hint);
	}
	return error_set(err, STATUS_BAD_REQUEST,
		"%s is %" PRId64
		", in %s %s%s; --any-time takes times before 1990 and over an hour ahead",
		what, time, units[rule->unit].whole_name, text_time(ms, when), hint);
}

static int64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum status row_time_take(const struct row_time_rule *rule, int64_t *time, const char *what,
	struct error *err)
{
	const int64_t now_ms = rule->now_ms != 0 ? rule->now_ms : clock_ms();
	int64_t ms = 0;
	if (!convert(*time, rule->unit, &ms) || (!rule->any && !is_likely(ms, now_ms))) {
		return refuse(rule, *time, now_ms, what, err);
	}
	*time = ms;
	return STATUS_OK;
}

enum status row_times_take(const struct row_time_rule *rule, int64_t *times, size_t count,
	const char *what, uint64_t first, struct error *err)
{
	struct row_time_rule each = *rule;
	each.now_ms = rule->now_ms != 0 ? rule->now_ms : clock_ms();
	for (size_t i = 0; i < count; i++) {
		if (row_time_take(&each, &times[i], what, NULL) != STATUS_OK) {
			char where[320];
			snprintf(where, sizeof where, "%s: the time of row %" PRIu64, what,
				first + i);
			return row_time_take(&each, &times[i], where, err);
		}
	}
	return STATUS_OK;
}
