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

struct load_name {
	char text[LOAD_NAME_BYTES];
	bool again; /* the same command finds the same name again, and so goes on */
};

/* Makes the same name for the same rows, table and chunks, so that the same command goes on where it
 * was interrupted. Rows are known by their content: a file that was mended is another, whatever its
 * path, size and time. An import from a stream cannot go on: it gets a new name each time.
 *
 *   content  that of the source; 0: the file in `options` is read
 *
 * False: the system refused random bytes. */
bool load_name_make(const struct place *place, const struct source_options *options,
	enum format format, uint64_t content, struct load_name *out);

#endif
