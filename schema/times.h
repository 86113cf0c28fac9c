/* times.h - what the time of a row or of a sample may be.
 *
 * Times are Unix milliseconds, from 1970 on. What is given may be up to LIMIT_TIME_AHEAD_MS ahead of
 * the daemon's clock, since clocks differ. A row from further ahead would stay the newest for as
 * long, so that nothing could be put over it by if_newer, and a sample would make all others late.
 * Microseconds that are taken for milliseconds are of that kind. Who means it says so, and is
 * bounded by LIMIT_TIME_MS, which is all that is ever stored.
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_TIMES_H
#define SCHEMA_TIMES_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

enum times_rule { TIMES_OF_NOW, TIMES_ANY };

/* Checks `count` i64 at `times`, which may have any alignment. `of` says in the error whose times
 * they are: "row". now_ms counts for TIMES_OF_NOW only.
 * Errors: BAD_REQUEST, naming the first that is not allowed, and what is. */
enum status times_check(const uint8_t *times, size_t count, enum times_rule rule, int64_t now_ms,
	const char *of, struct error *err);

#endif
