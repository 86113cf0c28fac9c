/* local_thread.h - threads of ours in somebody else's process: they take no signal of it.
 *
 * Threads: any.
 */
#ifndef DAEMON_LOCAL_LOCAL_THREAD_H
#define DAEMON_LOCAL_LOCAL_THREAD_H

#include "schema/status.h"

#include <pthread.h>

/* Errors: NO_MEMORY; err may be NULL. */
enum status local_thread_start(pthread_t *out, void *(*run)(void *arg), void *arg,
	struct error *err);

#endif
