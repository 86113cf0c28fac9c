/* process.h - the daemon as a whole: store, server, signals, from start to exit status.
 *
 * Threads: the main one.
 */
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

#include "daemon/settings.h"

enum {
	PROCESS_DONE = 0,
	PROCESS_FAILED = 1, /* could not start, or could not end as it should */
	PROCESS_USAGE = 2,
};

/* Runs until SIGTERM or SIGINT; what happens is logged. */
int process_run(const struct settings *settings);

#endif
