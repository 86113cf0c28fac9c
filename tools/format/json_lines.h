/* json_lines.h - the lines of a stream of JSON objects, one a line.
 *
 * Threads: one a stream.
 */
#ifndef TOOLS_FORMAT_JSON_LINES_H
#define TOOLS_FORMAT_JSON_LINES_H

#include "schema/status.h"
#include "tools/format/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The line at the front of the stream. */
struct json_line {
	size_t len;      /* without the newline */
	size_t with_end; /* with it; stream_take takes it off */
	bool end;        /* there is none */
};

/* Looks at the beginning of the input: passes a byte order mark over, and refuses what is no text. */
enum status json_lines_begin(struct stream *stream, struct error *err);

/* Finds the end of the line at the front. False: it has not come yet, and stream_more reads on.
 *   seen  bytes that were looked at before; 0 at first */
bool json_lines_find(const struct stream *stream, size_t *seen, struct json_line *out);

/* Refuses a line that is too long. number: of the line, from 1. Errors: TOO_LARGE. */
enum status json_lines_check(const struct stream *stream, uint64_t number, struct error *err);

bool json_line_is_blank(const uint8_t *text, size_t len);

/* What to do about a document that is not one object a line; "" when that is not its fault.
 *   why  the error */
const char *json_line_advice(const uint8_t *text, size_t len, const char *why);

#endif
