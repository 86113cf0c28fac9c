/* load_name.h - the name of an import's load, by which a later run goes on with it.
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

/* Makes the same name for the same files, table and chunks, so that the same command goes on where
 * it was interrupted. An import from a stream cannot go on: it gets a new name each time.
 *
 *   name  out: char[LOAD_NAME_BYTES]
 *
 * False: the system refused memory or random bytes. */
bool load_name_make(const struct place *place, const struct source_options *source,
	enum format format, char *name);

#endif
