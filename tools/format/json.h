/* json.h - the text of one JSON value; json_write.h puts values together.
 *
 * Strings are escaped so that a document stays on one line. JSON cannot hold bytes that
 * are not UTF-8: callers write those as hexadecimal digits.
 *
 * Threads: one a stream.
 */
#ifndef TOOLS_FORMAT_JSON_H
#define TOOLS_FORMAT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Whether the bytes are well-formed UTF-8 (no surrogates, no overlong forms). */
bool json_is_utf8(const uint8_t *text, size_t len);

/* Writes a string; the bytes must be UTF-8. */
void json_string(FILE *out, const uint8_t *text, size_t len);
void json_text(FILE *out, const char *text);
/* Writes the bytes as a string of hexadecimal digits. */
void json_hex(FILE *out, const uint8_t *data, size_t len);

/* Writes nine digits, which read back as the same bits. Negative zero gets a point, for
 * some readers would make an integer of it. NaN and the infinities are strings. */
void json_float(FILE *out, float value);

/* The shortest of at most 17 digits that reads back as the
 * same bits; null for what is not finite. */
void json_double(FILE *out, double value);

#endif
