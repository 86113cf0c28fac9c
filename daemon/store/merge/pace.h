/* pace.h - a bound on bytes a second: until when to wait after so many were written.
 *
 * What was written slower than allowed is made up for, but not beyond PACE_CREDIT_MS: after a pause
 * the disk does not get all of it at once.
 *
 * Threads: one at a time; time is the caller's.
 */
#ifndef DAEMON_STORE_MERGE_PACE_H
#define DAEMON_STORE_MERGE_PACE_H

#include <stdint.h>

enum { PACE_CREDIT_MS = 100 };

struct pace {
	uint64_t rate;    /* bytes a second, above 0 */
	uint64_t paid_ns; /* when all that was written would have been, at the rate */
};

/* Nothing was written, or nothing that is to be waited for. */
void pace_begin(struct pace *pace, uint64_t rate, uint64_t now_ns);

/* Adds what was written until now, and returns when the next bytes may follow; now or before: at
 * once. */
uint64_t pace_add(struct pace *pace, uint64_t bytes, uint64_t now_ns);

#endif
