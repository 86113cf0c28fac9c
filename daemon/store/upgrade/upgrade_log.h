/* upgrade_log.h - looks through the log of a folder of version 0.1, whose files stay as they are.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_UPGRADE_UPGRADE_LOG_H
#define DAEMON_STORE_UPGRADE_UPGRADE_LOG_H

#include "schema/status.h"

#include <stdint.h>

struct snapshot;

/* Reads the log as a start will, so that one which would not start is refused while 0.1 still can. *writes: how many
 * it has. Errors: CORRUPT, UNSUPPORTED, naming the file; IO; NO_MEMORY. */
enum status upgrade_log_check(const char *folder, const struct snapshot *snapshot, uint64_t *writes,
	struct error *err);

#endif
