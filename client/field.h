/* field.h - fields of an answer's map, each checked as it is read.
 *
 * Each returns false, and leaves `out` alone, when the field is missing, of another
 * type or too long.
 *
 * Threads: any; there is no state.
 */
#ifndef CLIENT_FIELD_H
#define CLIENT_FIELD_H

#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool field_uint(struct wire_value map, const char *name, uint64_t *out);
bool field_int(struct wire_value map, const char *name, int64_t *out);
/* Copies a string that holds no NUL, and ends it with one. */
bool field_text(struct wire_value map, const char *name, char *text, size_t size);
/* Whether the field is the string `text`. */
bool field_is(struct wire_value map, const char *name, const char *text);

#endif
