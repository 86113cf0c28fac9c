/* wrap.h - help texts in lines of at most 80 columns.
 *
 * Threads: one a stream.
 */
#ifndef TOOLS_FORMAT_WRAP_H
#define TOOLS_FORMAT_WRAP_H

#include <stdio.h>

enum { WRAP_COLUMNS = 80 };

/* Prints `text` anew in paragraphs. A line without indentation goes on with the one before it, and so
 * does one that is indented by nine or more; what begins with fewer spaces begins a paragraph, whose
 * further lines stand under its text: behind the first gap of two spaces, or two further in, or of a
 * plain one at `hang`. What stands in
 * brackets is not broken. column: how far the first line is printed already. */
void wrap_print(FILE *out, const char *text, size_t column, size_t hang);

#endif
