/* process_served.h - opens the log of served rows as the settings say.
 *
 * Threads: the main one.
 */
#ifndef DAEMON_PROCESS_SERVED_H
#define DAEMON_PROCESS_SERVED_H

#include "daemon/served/served.h"
#include "daemon/settings.h"
#include "schema/status.h"

/* *out: NULL if the settings name no file. Errors: those of served_open. */
enum status process_served_open(const struct settings *settings, struct served **out,
	struct error *err);

/* Checks what the settings say of it. */
enum status process_served_check(const struct settings *settings, struct error *err);

struct served_limits process_served_limits(const struct settings *settings);

#endif
