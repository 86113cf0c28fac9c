/* release_argument.h - a release as every command takes it that needs nothing else: RELEASE, or
 * --release RELEASE.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_COMMAND_RELEASE_ARGUMENT_H
#define TOOLS_COMMAND_RELEASE_ARGUMENT_H

#include "tools/command/options.h"

/* Reads the arguments that are left.
 *   option  of --release; NULL: not given
 *   out     NULL when none was named
 * Returns EXIT_DONE; or EXIT_USAGE, after it has said what is wrong. */
int release_argument_read(const struct session *session, const struct rest *rest,
	const char *option, const char **out);

/* Begins the map of a request that may name a release: further `fields` are the caller's. */
void release_argument_write(struct wire_writer *params, const char *release, size_t fields);

#endif
