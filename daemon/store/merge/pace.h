/* pace.h - a bound on bytes a second: says until when to wait after some bytes were written.
 *
 * Time in which less was written than allowed may be made up for, but no more than PACE_CREDIT_MS of
 * it: otherwise the disk would get all of it at once after a pause.
 *
 * Threads: one at a time; time is the caller's.
 */
#ifndef DAEMON_STORE_MERGE_PACE_H
#define DAEMON_STORE_MERGE_PACE_H

#include <stdint.h>

enum { PACE_CREDIT_MS = 100 };

struct pace {
	uint64_t rate;    /* bytes a second, above 0 */
	uint64_t paid_ns; /* when all bytes so far would be written, at the rate */
};

/* Begins anew: what was written before is not waited for. */
void pace_begin(struct pace *pace, uint64_t rate, uint64_t now_ns);

/* Adds bytes that were written by now, and returns from when on more may follow. That may be past. */
uint64_t pace_add(struct pace *pace, uint64_t bytes, uint64_t now_ns);

#endif
