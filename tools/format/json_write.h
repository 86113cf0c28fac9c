/* json_write.h - writes JSON documents, one a line.
 *
 * The writer puts commas, colons and brackets. A value inside an object has a name; a value inside
 * an array, or a document that is one value, has the name NULL. Names and brackets that do not fit
 * together are a mistake of the caller, and asserted. An error of the stream stays in the stream:
 * see ferror.
 *
 * Nothing is allocated. Threads: one a writer.
 */
#ifndef TOOLS_FORMAT_JSON_WRITE_H
#define TOOLS_FORMAT_JSON_WRITE_H

#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Objects and arrays inside each other: a message of the daemon has at most 16. */
enum { JSON_WRITE_DEPTH_MAX = 32 };

/* With only `out` set it is ready. */
struct json_writer {
	FILE *out; /* borrowed */
	uint32_t depth;
	uint32_t objects; /* bit d: level d is an object, not an array */
	uint32_t filled;  /* bit d: level d has a value already */
	bool done;        /* the document is whole; json_write_line ends it */
};

void json_write_object(struct json_writer *writer, const char *name);
void json_write_object_end(struct json_writer *writer);
void json_write_array(struct json_writer *writer, const char *name);
void json_write_array_end(struct json_writer *writer);
/* Ends the document with a newline. The writer is ready for the next document. */
void json_write_line(struct json_writer *writer);

/* UTF-8 that NUL ends. NULL is written as null. */
void json_write_text(struct json_writer *writer, const char *name, const char *text);
/* Bytes that must be UTF-8. */
void json_write_string(struct json_writer *writer, const char *name, const uint8_t *text,
	size_t len);
/* A string of hexadecimal digits. */
void json_write_hex(struct json_writer *writer, const char *name, const uint8_t *data, size_t len);

void json_write_u64(struct json_writer *writer, const char *name, uint64_t value);
void json_write_i64(struct json_writer *writer, const char *name, int64_t value);
void json_write_bool(struct json_writer *writer, const char *name, bool value);
void json_write_null(struct json_writer *writer, const char *name);

/* Fractions. Each but json_write_float writes null for NaN and the infinities. */
/* Nine digits, which read back as the same f32; NaN and the infinities as strings. */
void json_write_float(struct json_writer *writer, const char *name, float value);
/* As few digits as read back as the same bits, but at least 15 (less zeros at the end). */
void json_write_double(struct json_writer *writer, const char *name, double value);
/* 17 digits, less zeros at the end: the same bits too, and longer. */
void json_write_double_17(struct json_writer *writer, const char *name, double value);
/* So many digits behind the point. */
void json_write_fixed(struct json_writer *writer, const char *name, double value, int decimals);

/* A whole MessagePack value. Bins, and strs that are not UTF-8, are hexadecimal digits. */
void json_write_wire(struct json_writer *writer, const char *name, struct wire_value value);

#endif
