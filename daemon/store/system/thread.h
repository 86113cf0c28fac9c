/* thread.h - starts a thread, or says which one was refused, and what to do.
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_SYSTEM_THREAD_H
#define DAEMON_STORE_SYSTEM_THREAD_H

#include "schema/status.h"

#include <pthread.h>

/* Why a thread or a process was refused, and how that is mended; for a text. */
const char *thread_reason(int error_number);

/* `what`: what it is for, in a word or two. Errors: NO_MEMORY; err may be NULL. */
enum status thread_start(pthread_t *out, void *(*run)(void *arg), void *arg, const char *what,
	struct error *err);

#endif
