/* suggestion.h - the word that a person may have meant.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_COMMAND_SUGGESTION_H
#define TOOLS_COMMAND_SUGGESTION_H

#include <stddef.h>

/* The nearest of the words, if it is near: a few letters more, fewer or others, or a word that begins
 * with the given one. NULL: none is. What stands behind a `=` is not looked at. */
const char *suggestion_of(const char *given, const char *const *words, size_t count);

#endif
