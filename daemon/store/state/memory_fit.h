/* memory_fit.h - whether memory has room for the files of all releases.
 *
 * Threads: any that does not hold admin_lock.
 */
#ifndef DAEMON_STORE_STATE_MEMORY_FIT_H
#define DAEMON_STORE_STATE_MEMORY_FIT_H

#include <stdbool.h>

struct store;

/* A quarter of what the process may have is left to everything else. */
bool store_fits_in_memory(struct store *store);

#endif
