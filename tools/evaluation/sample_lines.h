/* sample_lines.h - samples in JSON lines (sample_row.h), as the arrays that they would be in npy files.
 *
 * The lines are read once, from a file or a pipe, each as it comes. Its columns go into files beside the output,
 * which are mapped: so the memory does not grow with the samples.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_EVALUATION_SAMPLE_LINES_H
#define TOOLS_EVALUATION_SAMPLE_LINES_H

#include "schema/status.h"

#include <stdbool.h>

struct sample_arrays;
struct sample_lines;
struct sample_paths;

/* Whether the archive of these paths is JSON lines: it ends in .jsonl, or is standard input ("-"). */
bool sample_lines_are(const struct sample_paths *paths);

/* Reads all samples; arrays->layers has room for all layers of the paths, and their names.
 *   beside  the output, which need not be there; borrowed as long as they are open
 *   arrays  out: users, items, times, and the arrays of all layers; they are those of `out`
 * Errors: BAD_REQUEST  naming the line, the member, and what is allowed; TOO_LARGE, DISK_FULL, NO_MEMORY;
 * those of the file. */
enum status sample_lines_open(const struct sample_paths *paths, const char *beside,
	struct sample_arrays *arrays, struct sample_lines **out, struct error *err);
void sample_lines_close(struct sample_lines *lines); /* NULL is fine */

#endif
