/* table_argument.h - a table as every command takes it: RELEASE/TABLE, or TABLE with --release RELEASE,
 * or TABLE alone, of the live release.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_COMMAND_TABLE_ARGUMENT_H
#define TOOLS_COMMAND_TABLE_ARGUMENT_H

#include "tools/command/argument.h"
#include "tools/command/session.h"

/* release: of --release; NULL: not given. Returns EXIT_DONE; or EXIT_USAGE, after it has said what is
 * wrong. */
int table_argument_read(const struct session *session, const char *text, const char *release,
	struct place *out);

#endif
