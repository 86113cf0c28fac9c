/* memory_fit.h - whether memory has room for the files of all releases.
 *
 * Threads: any that does not hold admin_lock.
 */
#ifndef DAEMON_STORE_STATE_MEMORY_FIT_H
#define DAEMON_STORE_STATE_MEMORY_FIT_H

#include <stdbool.h>

struct store;

struct memory_fit {
	bool all; /* of the files; a quarter of what the process may have is left to everything else */
	bool keys; /* what a look-up needs besides rows takes a quarter at most, so that it can stay in memory */
};

struct memory_fit store_memory_fit(struct store *store);

#endif
