/* progress.h - shows on stderr how far long work is: a bar on a terminal, else a line now and then.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_PROGRESS_H
#define TOOLS_COMMAND_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum progress_unit { PROGRESS_ROWS, PROGRESS_BYTES };

struct progress {
	const char *what; /* "import"; borrowed */
	enum progress_unit unit;
	bool terminal;
	bool shown;
	int64_t began_ms;
	int64_t shown_ms;
};

void progress_begin(struct progress *progress, const char *what);
/* `done` of `total` (0: not known) are done, which are `count` rows, or bytes. */
void progress_update(struct progress *progress, uint64_t done, uint64_t total, uint64_t count);
/* Removes the bar. Returns the seconds since progress_begin. */
double progress_end(struct progress *progress);

#endif
