/* output.h - a file that appears whole or not at all.
 *
 * It is written under another name in the same folder, synced and renamed. "-" is
 * standard output, which is only flushed.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_FORMAT_OUTPUT_H
#define TOOLS_FORMAT_OUTPUT_H

#include "schema/status.h"

#include <stddef.h>
#include <stdio.h>

struct output {
	const char *path; /* borrowed */
	char *partial;    /* owned; NULL for standard output, and when zeroed */
	FILE *file;       /* NULL: not open */
};

/* Errors: those of the system, naming the path. */
enum status output_open(const char *path, struct output *out, struct error *err);
/* Opens another file that is to take the place of one that is open; the caller ends both. */
enum status output_open_beside(const struct output *output, struct output *out, struct error *err);
/* Opens a file for a part of what is to become `path`, in the same folder. It is never committed. */
enum status output_open_part(const char *path, const char *name, struct output *out,
	struct error *err);
enum status output_write(struct output *output, const void *data, size_t len, struct error *err);
/* Ends it: the file is in its place; or an error says why not, and nothing is left. */
enum status output_commit(struct output *output, struct error *err);
/* Removes what was written; fine for one that is zeroed or has been ended. */
void output_abort(struct output *output);

#endif
