/* decay_argument.h - --decay and --read: how samples are summed up, and how the sums are read.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_DECAY_ARGUMENT_H
#define TOOLS_COMMAND_DECAY_ARGUMENT_H

#include "schema/spec.h"
#include "tools/command/session.h"

/* Fills decay and reading of a spec. decay: NULL, that of a table without one.
 * Returns EXIT_DONE; or EXIT_USAGE, after it has said what is wrong. */
int decay_argument_read(const struct session *session, const char *decay, const char *reading,
	struct table_spec *out);

#endif
