/* row_time.h - the times of rows as files and people give them: their unit, and whether they can be
 * meant.
 *
 * Seconds that are taken for milliseconds are times of January 1970: rows that a table with a ttl
 * never shows, and that every other row is newer than. Microseconds are times of far beyond, which
 * nothing is newer than. So a time before 1990, or over an hour ahead, must be meant: `any`.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_FORMAT_ROW_TIME_H
#define TOOLS_FORMAT_ROW_TIME_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum row_time_unit {
	ROW_TIME_MS = 0,
	ROW_TIME_S,
	ROW_TIME_US,
	ROW_TIME_NS,
};
#define ROW_TIME_UNITS "ms, s, us or ns"

/* The unit of a name: ms, s, us, ns. */
bool row_time_unit(const char *name, enum row_time_unit *out);

/* How times are taken. A zeroed one takes milliseconds by the clock of this machine. */
struct row_time_rule {
	enum row_time_unit unit;
	bool any;       /* takes every time that a row can have */
	int64_t now_ms; /* 0: the clock's */
};

/* Turns a Unix time of the rule's unit into milliseconds, in place. what: the subject of the error,
 * "--time". Errors: BAD_REQUEST, with what the time would be and the option that helps. */
enum status row_time_take(const struct row_time_rule *rule, int64_t *time, const char *what,
	struct error *err);

/* The same for the times of rows.
 *
 *   what   names the input
 *   first  the number of the first row
 *
 * Errors: BAD_REQUEST, naming the row too. */
enum status row_times_take(const struct row_time_rule *rule, int64_t *times, size_t count,
	const char *what, uint64_t first, struct error *err);

#endif
