/* fullness.h - how near the log and the memtables are to their bounds.
 *
 * There are three bounds: bytes of the log, rows and memory of the memtables. At FULLNESS_BEGIN a
 * merge begins, at FULLNESS_HURRY it writes as fast as it can, and at FULLNESS_WAIT writers wait for
 * it. Before that they are slowed (slowing.h).
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_WRITE_FULLNESS_H
#define DAEMON_STORE_WRITE_FULLNESS_H

#include <stdbool.h>

struct store;

/* In thousandths of a bound. At FULLNESS_CROWDED those wait who have written most. */
enum {
	FULLNESS_BEGIN = 250,
	FULLNESS_HURRY = 500,
	FULLNESS_CROWDED = 750,
	FULLNESS_WAIT = 1000,
};

/* How near the nearest bound is, in thousandths of it. */
unsigned fullness_of(const struct store *store);

/* Whether writers will soon have to wait for the merge. */
bool fullness_must_hurry(const struct store *store);

#endif
