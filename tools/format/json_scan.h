/* json_scan.h - steps through JSON text, value by value, without making objects of it.
 *
 * The text is taken strictly as RFC 8259 has it, with one exception: NaN, Infinity and -Infinity
 * are values, since Python writes them. Numbers stay the digits that they are, so the caller can
 * tell 2^64 from 2^64 - 1. Strings must be UTF-8, and half of a surrogate pair is no character.
 *
 * Threads: any; there is no state.
 * Source: RFC 8259
 */
#ifndef TOOLS_FORMAT_JSON_SCAN_H
#define TOOLS_FORMAT_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_kind {
	JSON_ABSENT = 0, /* a zeroed value */
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_NONFINITE, /* NaN, Infinity, -Infinity */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/* A value that was found whole and well-formed: its text, quotes and brackets included. */
struct json_value {
	enum json_kind kind;
	const char *text; /* borrowed */
	size_t len;
};

/* Zero all but `text` and `len`. */
struct json_scan {
	const char *text; /* borrowed */
	size_t len;
	size_t at;
	const char *wrong; /* why the last step failed; the place is `at` */
	bool not_text;     /* the reason is a string of bytes that are not UTF-8 */
};

/* Takes white space and the character `c`, if it stands there. */
bool json_scan_mark(struct json_scan *scan, char c);
/* Takes a whole value. False: `wrong` says why. Values may be nested JSON_DEPTH_MAX deep. */
enum { JSON_DEPTH_MAX = 8 };
bool json_scan_value(struct json_scan *scan, struct json_value *out);
/* Whether nothing but white space is left. */
bool json_scan_ended(struct json_scan *scan);

/* Copies a string's bytes, without escapes, into out[cap], as far as there is room. Returns how
 * many the string has. */
size_t json_value_string(const struct json_value *value, char *out, size_t cap);

/* Each reads a number, and is false when it is none, or is beyond the type. Integers are digits
 * alone, perhaps behind a minus: neither 1.0 nor 1e3. */
bool json_value_u64(const struct json_value *value, uint64_t *out);
bool json_value_i64(const struct json_value *value, int64_t *out);
/* Rounds to the nearest f32. A number that is beyond f32 does not become an infinity. What is not
 * finite is JSON_NONFINITE, or a string of one of the three words. */
bool json_value_float(const struct json_value *value, float *out);
/* The same in f64. */
bool json_value_double(const struct json_value *value, double *out);

#endif
