/* fullness.h - how near the log and the memtables are to their bounds, and how near a merge lets them come.
 *
 * There are three bounds: bytes of the log, rows and memory of the memtables. A merge begins at FULLNESS_BEGIN_MIN
 * or later: the more of a key's versions it finds together, the fewer bytes it writes for each. It begins so early
 * that the bounds would be at FULLNESS_END when it ends, if as much came meanwhile as during the last one. At a third of
 * what is left then it writes as fast as it can, and at FULLNESS_WAIT writers wait for it.
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_WRITE_FULLNESS_H
#define DAEMON_STORE_WRITE_FULLNESS_H

#include <stdbool.h>

struct store;

/* In thousandths of a bound. At FULLNESS_CROWDED those wait who have written most. */
enum {
	FULLNESS_BEGIN_MIN = 250,
	FULLNESS_BEGIN_MAX = 500,
	FULLNESS_END = 700,
	FULLNESS_CROWDED = 750,
	FULLNESS_WAIT = 1000,
};

/* How near the nearest bound is, in thousandths of it. */
unsigned fullness_of(const struct store *store);

/* Where a merge begins, if the last one has left so much of the bounds used: what came while it ran. */
static inline unsigned fullness_begin_after(unsigned left)
{
	const unsigned begin = left < FULLNESS_END ? FULLNESS_END - left : 0;
	return begin < FULLNESS_BEGIN_MIN   ? FULLNESS_BEGIN_MIN
	       : begin < FULLNESS_BEGIN_MAX ? begin
					    : FULLNESS_BEGIN_MAX;
}

/* Where a merge hurries that began there. */
static inline unsigned fullness_hurry_of(unsigned begin)
{
	return begin + (FULLNESS_WAIT - begin) / 3;
}

/* Where the next merge begins; and says so, after one of all tables, to whoever asks from now on. */
unsigned fullness_begin(const struct store *store);
void fullness_merged(struct store *store);

/* Whether writers will soon have to wait for the merge. */
bool fullness_must_hurry(const struct store *store);

#endif
