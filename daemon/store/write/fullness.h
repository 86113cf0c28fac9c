/* fullness.h - how much of its bounds what waits for a merge takes: log, rows, memory.
 *
 * A merge begins at FULLNESS_BEGIN and stops sparing the disk at FULLNESS_HURRY; writers wait at
 * FULLNESS_WAIT.
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_WRITE_FULLNESS_H
#define DAEMON_STORE_WRITE_FULLNESS_H

#include <stdbool.h>

struct store;

/* In thousandths of a bound. */
enum { FULLNESS_BEGIN = 250, FULLNESS_HURRY = 500, FULLNESS_WAIT = 1000 };

/* Of the bound that is nearest. */
unsigned fullness_of(const struct store *store);

/* Whether writers will soon have to wait for the merge. */
bool fullness_must_hurry(const struct store *store);

#endif
