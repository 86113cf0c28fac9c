/* process.h - the whole daemon: store, server and signals, from the start to the exit status.
 *
 * Threads: the main one.
 */
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

#include "daemon/settings.h"

enum {
	PROCESS_DONE = 0,
	PROCESS_FAILED = 1, /* the daemon could not start, or could not end as it should */
	PROCESS_USAGE = 2,
};

/* Runs until SIGTERM or SIGINT, and writes to the journal what happens. Returns the exit status. */
int process_run(const struct settings *settings);

#endif
