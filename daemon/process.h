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

/* Are the addresses such as can be listened on? Errors: BAD_REQUEST. */
enum status process_check(const struct settings *settings, struct error *err);

/* Runs until SIGTERM or SIGINT, and writes to the journal what happens. At SIGHUP it reads the settings anew from
 * `source` and changes them. Returns the exit status. */
int process_run(struct settings *settings, const struct settings_source *source);

#endif
