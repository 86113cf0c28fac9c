/* load_name.h - the name under which an import that was interrupted is gone on with.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_COMMAND_LOAD_NAME_H
#define TOOLS_COMMAND_LOAD_NAME_H

#include "tools/command/argument.h"
#include "tools/format/format_name.h"
#include "tools/format/source.h"

#include <stdbool.h>

enum { LOAD_NAME_BYTES = 65 };

/* Makes the same name for the same files, table and chunks, so that the same command run
 * again goes on where it was interrupted. Streams cannot be gone on with: each is new.
 *
 *   name  out: char[LOAD_NAME_BYTES]
 *
 * False: the system refused memory or random bytes. */
bool load_name_make(const struct place *place, const struct source_options *source,
	enum format format, char *name);

#endif
