/* json_scan.c - finds values in JSON text and checks how they are written. */
#include "tools/format/json_scan.h"

#include "tools/format/json.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char too_early[] = "it ends too early";

static const struct {
	const char *text;
	float value;
} nonfinite[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
enum { NONFINITE_COUNT = sizeof nonfinite / sizeof nonfinite[0] };

static bool fail(struct json_scan *scan, const char *why)
{
	scan->wrong = scan->at < scan->len ? why : too_early;
	return false;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct json_scan *scan)
{
	while (scan->at < scan->len && is_space(scan->text[scan->at])) {
		scan->at++;
	}
}

bool json_scan_mark(struct json_scan *scan, char c)
{
	skip_space(scan);
	if (scan->at < scan->len && scan->text[scan->at] == c) {
		scan->at++;
		return true;
	}
	return false;
}

bool json_scan_ended(struct json_scan *scan)
{
	skip_space(scan);
	return scan->at == scan->len;
}

/* ---- strings ---- */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads four hexadecimal digits. False: they are not there. */
static bool read_unit(const char *text, size_t len, uint32_t *out)
{
	uint32_t unit = 0;
	for (size_t i = 0; i < 4; i++) {
		const int digit = i < len ? digit_of(text[i]) : -1;
		if (digit < 0) {
			return false;
		}
		unit = unit << 4 | (uint32_t)digit;
	}
	*out = unit;
	return true;
}

/* Reads what stands behind a backslash and a `u`, with the second half of a pair. Returns its
 * bytes; 0: these are no digits, or half of a pair. */
static size_t read_escape(const char *text, size_t len, uint32_t *code)
{
	uint32_t low = 0;
	if (!read_unit(text, len, code)) {
		return 0;
	}
	if (*code < 0xd800 || *code > 0xdfff) {
		return 4;
	}
	if (*code > 0xdbff || len < 10 || text[4] != '\\' || text[5] != 'u' ||
		!read_unit(text + 6, len - 6, &low) || low < 0xdc00 || low > 0xdfff) {
		return 0;
	}
	*code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
	return 10;
}

/* Takes an escape; scan->at is at its backslash. */
static bool take_escape(struct json_scan *scan)
{
	if (scan->at + 1 >= scan->len) {
		scan->at = scan->len;
		return fail(scan, too_early);
	}
	const char c = scan->text[scan->at + 1];
	if (c != '\0' && strchr("\"\\/bfnrt", c) != NULL) {
		scan->at += 2;
		return true;
	}
	uint32_t code = 0;
	const size_t len = scan->len - scan->at - 2;
	const size_t taken = c == 'u' ? read_escape(scan->text + scan->at + 2, len, &code) : 0;
	if (taken == 0) {
		scan->not_text =
			c == 'u' && len >= 4 && read_unit(scan->text + scan->at + 2, len, &code);
		return fail(scan, scan->not_text ? "half of a surrogate pair is no character"
						 : "an escape that JSON does not have");
	}
	scan->at += 2 + taken;
	return true;
}

/* Takes a string; scan->at is at its quote. */
static bool take_string(struct json_scan *scan)
{
	const size_t first = ++scan->at;
	while (scan->at < scan->len && scan->text[scan->at] != '"') {
		if ((unsigned char)scan->text[scan->at] < 0x20) {
			return fail(scan, "a control character in a string");
		}
		if (scan->text[scan->at] != '\\') {
			scan->at++;
		} else if (!take_escape(scan)) {
			return false;
		}
	}
	if (scan->at == scan->len) {
		return fail(scan, too_early);
	}
	if (!json_is_utf8((const uint8_t *)scan->text + first, scan->at - first)) {
		scan->at = first;
		scan->not_text = true;
		return fail(scan, "the string is not UTF-8");
	}
	scan->at++;
	return true;
}

static char plain_escape(char c)
{
	static const char names[] = "bfnrt";
	static const char values[] = "\b\f\n\r\t";
	const char *at = strchr(names, c);
	return at != NULL ? values[at - names] : c;
}

/* Writes a character as UTF-8 and returns its bytes. */
static size_t encode(uint32_t code, char out[4])
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	const size_t bytes = code < 0x800 ? 2 : (code < 0x10000 ? 3 : 4);
	static const uint8_t heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = bytes - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (code & 0x3f));
		code >>= 6;
	}
	out[0] = (char)(heads[bytes] | code);
	return bytes;
}

size_t json_value_string(const struct json_value *value, char *out, size_t cap)
{
	assert(value->kind == JSON_STRING && value->len >= 2);
	const char *end = value->text + value->len - 1;
	size_t len = 0;
	for (const char *at = value->text + 1; at < end;) {
		char piece[4] = {*at};
		size_t piece_len = 1;
		if (*at != '\\') {
			at++;
		} else if (at[1] != 'u') {
			piece[0] = plain_escape(at[1]);
			at += 2;
		} else {
			uint32_t code = 0;
			at += 2;
			at += read_escape(at, (size_t)(end - at), &code);
			piece_len = encode(code, piece);
		}
		for (size_t i = 0; i < piece_len; i++, len++) {
			if (len < cap) {
				out[len] = piece[i];
			}
		}
	}
	return len;
}

/* ---- other scalars ---- */

static bool is_digit(const struct json_scan *scan)
{
	return scan->at < scan->len && scan->text[scan->at] >= '0' && scan->text[scan->at] <= '9';
}

static bool take_digits(struct json_scan *scan)
{
	if (!is_digit(scan)) {
		return fail(scan, "a digit is missing");
	}
	while (is_digit(scan)) {
		scan->at++;
	}
	return true;
}

static bool take_char(struct json_scan *scan, const char *chars)
{
	if (scan->at < scan->len && scan->text[scan->at] != '\0' &&
		strchr(chars, scan->text[scan->at]) != NULL) {
		scan->at++;
		return true;
	}
	return false;
}

static bool take_number(struct json_scan *scan)
{
	take_char(scan, "-");
	const bool zero = scan->at < scan->len && scan->text[scan->at] == '0';
	const size_t first = scan->at;
	if (!take_digits(scan)) {
		return false;
	}
	if (zero && scan->at > first + 1) {
		scan->at = first;
		return fail(scan, "a number begins with 0");
	}
	if (take_char(scan, ".") && !take_digits(scan)) {
		return false;
	}
	if (take_char(scan, "eE")) {
		take_char(scan, "+-");
		return take_digits(scan);
	}
	return true;
}

static bool take_word(struct json_scan *scan, const char *word)
{
	const size_t len = strlen(word);
	if (scan->len - scan->at < len || memcmp(scan->text + scan->at, word, len) != 0) {
		return false;
	}
	scan->at += len;
	return true;
}

static bool take_scalar(struct json_scan *scan, enum json_kind *kind)
{
	const char c = scan->text[scan->at];
	if (c == '"') {
		*kind = JSON_STRING;
		return take_string(scan);
	}
	const bool infinite =
		c == '-' && scan->at + 1 < scan->len && scan->text[scan->at + 1] == 'I';
	if (!infinite && (c == '-' || (c >= '0' && c <= '9'))) {
		*kind = JSON_NUMBER;
		return take_number(scan);
	}
	for (size_t i = 0; i < NONFINITE_COUNT; i++) {
		if (take_word(scan, nonfinite[i].text)) {
			*kind = JSON_NONFINITE;
			return true;
		}
	}
	if (take_word(scan, "null")) {
		*kind = JSON_NULL;
		return true;
	}
	*kind = JSON_BOOL;
	return take_word(scan, "true") || take_word(scan, "false") ||
	       fail(scan, "an unexpected character");
}

/* ---- nested values ---- */

/* The brackets that are open. */
struct nest {
	char closers[JSON_DEPTH_MAX];
	size_t depth;
};

/* Takes the name of a member and its colon, inside an object. */
static bool take_name(struct json_scan *scan, const struct nest *nest)
{
	if (nest->closers[nest->depth - 1] != '}') {
		return true;
	}
	skip_space(scan);
	if (scan->at == scan->len || scan->text[scan->at] != '"') {
		return fail(scan, "a name in double quotes is missing");
	}
	return take_string(scan) && (json_scan_mark(scan, ':') || fail(scan, "a colon is missing"));
}

/* Closes brackets, and stands at the next value of the innermost one that stays open. */
static bool close_nest(struct json_scan *scan, struct nest *nest)
{
	while (nest->depth > 0) {
		if (json_scan_mark(scan, ',')) {
			return take_name(scan, nest);
		}
		if (!json_scan_mark(scan, nest->closers[nest->depth - 1])) {
			return fail(scan, "a comma is missing");
		}
		nest->depth--;
	}
	return true;
}

/* Takes an opening bracket. An empty pair closes at once. */
static bool open_nest(struct json_scan *scan, struct nest *nest)
{
	if (nest->depth == JSON_DEPTH_MAX) {
		return fail(scan, "it is nested too deeply");
	}
	const char closer = scan->text[scan->at++] == '{' ? '}' : ']';
	nest->closers[nest->depth++] = closer;
	if (json_scan_mark(scan, closer)) {
		nest->depth--;
		return close_nest(scan, nest);
	}
	return take_name(scan, nest);
}

bool json_scan_value(struct json_scan *scan, struct json_value *out)
{
	struct nest nest = {0};
	enum json_kind kind = JSON_ABSENT;
	skip_space(scan);
	const size_t first = scan->at;
	do {
		enum json_kind each = JSON_ABSENT;
		bool taken = false;
		skip_space(scan);
		if (scan->at == scan->len) {
			return fail(scan, too_early);
		}
		const char c = scan->text[scan->at];
		if (c == '{' || c == '[') {
			each = c == '{' ? JSON_OBJECT : JSON_ARRAY;
			taken = open_nest(scan, &nest);
		} else {
			taken = take_scalar(scan, &each) && close_nest(scan, &nest);
		}
		if (!taken) {
			return false;
		}
		kind = kind == JSON_ABSENT ? each : kind;
	} while (nest.depth > 0);
	*out = (struct json_value){kind, scan->text + first, scan->at - first};
	return true;
}

/* ---- numbers ---- */

bool json_value_u64(const struct json_value *value, uint64_t *out)
{
	uint64_t number = 0;
	if (value->kind != JSON_NUMBER) {
		return false;
	}
	for (size_t i = 0; i < value->len; i++) {
		const char c = value->text[i];
		if (c < '0' || c > '9' || __builtin_mul_overflow(number, 10, &number) ||
			__builtin_add_overflow(number, (uint64_t)(c - '0'), &number)) {
			return false;
		}
	}
	*out = number;
	return true;
}

bool json_value_i64(const struct json_value *value, int64_t *out)
{
	struct json_value digits = *value;
	uint64_t size = 0;
	if (value->kind != JSON_NUMBER) {
		return false;
	}
	const bool negative = value->len > 0 && value->text[0] == '-';
	digits.text += negative;
	digits.len -= negative;
	if (!json_value_u64(&digits, &size) || size > (uint64_t)INT64_MAX + negative) {
		return false;
	}
	*out = negative ? (int64_t)(0 - size) : (int64_t)size;
	return true;
}

static bool read_nonfinite(const char *text, size_t len, float *out)
{
	for (size_t i = 0; i < NONFINITE_COUNT; i++) {
		if (len == strlen(nonfinite[i].text) && memcmp(text, nonfinite[i].text, len) == 0) {
			*out = nonfinite[i].value;
			return true;
		}
	}
	return false;
}

/* Reads a number by strtof or strtod, which want a NUL, and stop nowhere else for certain. */
static bool read_number(const struct json_value *value, float *single, double *whole)
{
	char text[64];
	if (value->kind != JSON_NUMBER) {
		return false;
	}
	char *copy = value->len < sizeof text ? text : malloc(value->len + 1);
	if (copy == NULL) {
		return false;
	}
	memcpy(copy, value->text, value->len);
	copy[value->len] = '\0';
	bool finite = true;
	if (single != NULL) {
		*single = strtof(copy, NULL);
		finite = isfinite(*single);
	}
	if (whole != NULL) {
		*whole = strtod(copy, NULL);
		finite = isfinite(*whole);
	}
	if (copy != text) {
		free(copy);
	}
	return finite;
}

static bool read_word(const struct json_value *value, float *out)
{
	if (value->kind == JSON_NONFINITE) {
		return read_nonfinite(value->text, value->len, out);
	}
	return value->kind == JSON_STRING && read_nonfinite(value->text + 1, value->len - 2, out);
}

bool json_value_float(const struct json_value *value, float *out)
{
	float number;
	if (read_word(value, out)) {
		return true;
	}
	if (!read_number(value, &number, NULL)) {
		return false;
	}
	*out = number;
	return true;
}

bool json_value_double(const struct json_value *value, double *out)
{
	float word;
	double number;
	if (read_word(value, &word)) {
		*out = (double)word;
		return true;
	}
	if (!read_number(value, NULL, &number)) {
		return false;
	}
	*out = number;
	return true;
}
