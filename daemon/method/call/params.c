/* params.c - reads and checks one argument of a call. */
#include "daemon/method/call/params.h"

#include "schema/limits.h"
#include "schema/times.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void params_fail(struct params *params, enum status status, const char *name, const char *format,
	...)
{
	if (params->status != STATUS_OK) {
		return;
	}
	char text[ERROR_TEXT_BYTES] = "";
	va_list arguments;
	va_start(arguments, format);
	if (vsnprintf(text, sizeof text, format, arguments) < 0) {
		text[0] = '\0';
	}
	va_end(arguments);
	params->status = error_set(params->err, status, "%s%s: %s", params->where, name, text);
}

static void fail_type(struct params *params, const char *name, struct wire_value value,
	const char *expected)
{
	params_fail(params, STATUS_BAD_REQUEST, name, "%s given, %s expected",
		wire_type_name(wire_type(value)), expected);
}

/* The names that the params of every method may have, though no list has them. */
static const char *const common_names[] = {"timeout_ms", "trace", NULL};
enum { COMMON_TRACE = 1 };

/* Which of the names it is; the count of them if it is none. */
static size_t find_name(struct wire_bytes given, const char *const *names)
{
	size_t i = 0;
	while (names[i] != NULL && !wire_bytes_are(given, names[i])) {
		i++;
	}
	return i;
}

/* A trace is for people who look for a request in two logs; here only its size matters. */
static void check_trace(struct params *params, struct wire_value value)
{
	struct wire_bytes trace;
	if (value.object == NULL) {
		return;
	}
	if (!wire_str(value, &trace)) {
		fail_type(params, "trace", value, "str");
	} else if (trace.len > LIMIT_TRACE_BYTES) {
		params_fail(params, STATUS_BAD_REQUEST, "trace",
			"%zu bytes given, at most %u allowed", trace.len, LIMIT_TRACE_BYTES);
	}
}

static void fail_unknown(struct params *params, struct wire_bytes given, const char *const *names)
{
	char allowed[ERROR_TEXT_BYTES / 2] = "";
	size_t used = 0;
	for (size_t i = 0; names[i] != NULL && used < sizeof allowed; i++) {
		int len = snprintf(allowed + used, sizeof allowed - used, "%s%s", i > 0 ? ", " : "",
			names[i]);
		used += len > 0 ? (size_t)len : 0;
	}
	if (used == 0) {
		(void)snprintf(allowed, sizeof allowed, "%s, %s", common_names[0], common_names[1]);
	}
	char quote[ERROR_QUOTE_BYTES];
	params_fail(params, STATUS_BAD_REQUEST, error_quote(quote, given.data, given.len),
		"no such parameter, allowed: %s", allowed);
}

/* The name of the map itself in an error: "params"; where `where` is "parts[1].", "parts[1]". */
static void fail_map(struct params *params, const char *text, const char *given)
{
	size_t len = strlen(params->where);
	const char *where = len > 0 ? params->where : "params.";
	int shown = (int)(len > 0 ? len : strlen("params.")) - 1;
	params->status = error_set(params->err, STATUS_BAD_REQUEST, "%.*s: %s%s given, %s expected",
		shown, where, text, given, *text != '\0' ? "str" : "map");
}

const char *params_where(char where[PARAMS_WHERE_BYTES], const char *list, size_t i)
{
	assert(i < 1000);
	char digits[] = {(char)('0' + i / 100), (char)('0' + i / 10 % 10), (char)('0' + i % 10)};
	const size_t zeros = i >= 100 ? 0 : i >= 10 ? 1 : 2;
	char *at = stpcpy(where, list);
	*at++ = '[';
	at = mempcpy(at, digits + zeros, sizeof digits - zeros);
	memcpy(at, "].", sizeof "].");
	return where;
}

void params_begin(struct params *params, struct wire_value map, const char *where,
	const char *const *names, struct error *err)
{
	*params = (struct params){.map = map, .where = where, .err = err};
	enum wire_type type = wire_type(map);
	/* Languages with one type for arrays and maps write an empty map as an empty array. */
	const bool is_empty = type == WIRE_ABSENT || (type == WIRE_ARRAY && wire_size(map) == 0);
	if (type != WIRE_MAP) {
		if (!is_empty) {
			fail_map(params, "", wire_type_name(type));
		}
		return;
	}
	uint64_t seen = 0; /* bit i: names[i] */
	const size_t size = wire_size(map);
	for (size_t i = 0; i < size && params->status == STATUS_OK; i++) {
		struct wire_value name = wire_map_key(map, i);
		struct wire_bytes given;
		if (!wire_str(name, &given)) {
			fail_map(params, "a name is ", wire_type_name(wire_type(name)));
			continue;
		}
		size_t which = find_name(given, names);
		const char *known = names[which];
		if (known == NULL && params->where[0] == '\0') {
			const size_t common = find_name(given, common_names);
			known = common_names[common];
			which += common;
			if (common == COMMON_TRACE) {
				check_trace(params, wire_get(map, known));
			}
		}
		assert(which < 64);
		if (known == NULL) {
			fail_unknown(params, given, names);
		} else if ((seen >> which & 1) != 0) {
			/* Two readers of the request could take two values for it. */
			params_fail(params, STATUS_BAD_REQUEST, known, "given twice");
		}
		seen |= UINT64_C(1) << which;
	}
}

struct wire_value params_value(struct params *params, const char *name, enum param_need need)
{
	struct wire_value absent = {0};
	if (params->status != STATUS_OK) {
		return absent;
	}
	struct wire_value value = wire_get(params->map, name);
	if (value.object == NULL && need == PARAM_REQUIRED) {
		params_fail(params, STATUS_BAD_REQUEST, name, "missing");
	}
	return value;
}

struct wire_value params_array(struct params *params, const char *name)
{
	struct wire_value value = params_value(params, name, PARAM_REQUIRED);
	if (value.object != NULL && wire_type(value) != WIRE_ARRAY) {
		fail_type(params, name, value, "array");
	}
	return value;
}

/* A bin that was given empty has an address too: NULL means that it was left out. */
static struct wire_bytes given_bytes(struct wire_bytes bytes)
{
	if (bytes.data == NULL) {
		bytes.data = (const uint8_t *)"";
	}
	return bytes;
}

struct wire_bytes params_str(struct params *params, const char *name, enum param_need need)
{
	struct wire_bytes out = {0};
	struct wire_value value = params_value(params, name, need);
	if (value.object == NULL) {
		return out;
	}
	if (!wire_str(value, &out)) {
		fail_type(params, name, value, "str");
		return out;
	}
	return given_bytes(out);
}

struct wire_bytes params_bin(struct params *params, const char *name, enum param_need need)
{
	struct wire_bytes out = {0};
	struct wire_value value = params_value(params, name, need);
	if (value.object == NULL) {
		return out;
	}
	if (!wire_bin(value, &out)) {
		fail_type(params, name, value, "bin");
		return out;
	}
	return given_bytes(out);
}

bool params_flag(struct params *params, const char *name)
{
	bool out = false;
	struct wire_value value = params_value(params, name, PARAM_OPTIONAL);
	if (value.object != NULL && !wire_bool(value, &out)) {
		fail_type(params, name, value, "bool");
	}
	return out;
}

static uint64_t read_uint(struct params *params, const char *name, struct wire_value value)
{
	uint64_t out = 0;
	if (value.object != NULL && !wire_uint(value, &out)) {
		fail_type(params, name, value, "uint");
	}
	return out;
}

uint64_t params_uint(struct params *params, const char *name)
{
	return read_uint(params, name, params_value(params, name, PARAM_REQUIRED));
}

uint64_t params_uint_or(struct params *params, const char *name, uint64_t otherwise)
{
	struct wire_value value = params_value(params, name, PARAM_OPTIONAL);
	return value.object != NULL ? read_uint(params, name, value) : otherwise;
}

bool params_uint_given(struct params *params, const char *name, uint64_t *out)
{
	struct wire_value value = params_value(params, name, PARAM_OPTIONAL);
	*out = read_uint(params, name, value);
	return value.object != NULL;
}

void params_name(struct params *params, const char *name, enum param_need need, struct name *out)
{
	out->text[0] = '\0';
	struct wire_bytes text = params_str(params, name, need);
	if (params->status == STATUS_OK && text.data != NULL) {
		params->status =
			name_check((const char *)text.data, text.len, name, out, params->err);
	}
}

void params_table_named(struct params *params, const char *name, struct table_name *out)
{
	out->text[0] = '\0';
	struct wire_bytes text = params_str(params, name, PARAM_REQUIRED);
	if (params->status != STATUS_OK) {
		return;
	}
	struct error reason;
	const enum status status =
		table_name_check((const char *)text.data, text.len, name, out, &reason);
	if (status != STATUS_OK) {
		params->status = error_set(params->err, status, "%s%s", params->where, reason.text);
	}
}

double params_float_or(struct params *params, const char *name, double otherwise)
{
	double out = otherwise;
	struct wire_value value = params_value(params, name, PARAM_OPTIONAL);
	if (value.object == NULL) {
		return otherwise;
	}
	if (!wire_float(value, &out)) {
		fail_type(params, name, value, "float");
	} else if (!isfinite(out)) {
		params_fail(params, STATUS_BAD_REQUEST, name, "it is not finite");
	}
	return out;
}

enum dtype params_dtype(struct params *params, enum dtype otherwise)
{
	const enum dtype dtype = params_dtype_or_f64(params, otherwise);
	if (dtype == DTYPE_F64) {
		params_fail(params, STATUS_BAD_REQUEST, "dtype",
			"'f64' given, f32, f16, bf16, i8 or bit expected");
	}
	return dtype;
}

enum dtype params_dtype_or_f64(struct params *params, enum dtype otherwise)
{
	struct wire_bytes text = params_str(params, "dtype", PARAM_OPTIONAL);
	if (params->status != STATUS_OK || text.data == NULL) {
		return otherwise;
	}
	enum dtype dtype = dtype_of_name((const char *)text.data, text.len);
	if (dtype == DTYPE_NONE) {
		char quote[ERROR_QUOTE_BYTES];
		params_fail(params, STATUS_BAD_REQUEST, "dtype",
			"'%s' given, f32, f16, bf16, i8, bit, or f64 for sums expected",
			error_quote(quote, text.data, text.len));
	}
	return dtype;
}

const uint8_t *params_column(struct params *params, const char *name, size_t len)
{
	struct wire_bytes column = params_bin(params, name, PARAM_OPTIONAL);
	if (column.data != NULL && column.len != len) {
		params_fail(params, STATUS_BAD_REQUEST, name, "%zu bytes given, %zu expected",
			column.len, len);
	}
	return column.data;
}

void params_times(struct params *params, const uint8_t *times, size_t count, const char *of,
	int64_t now_ms)
{
	struct error reason;
	const enum times_rule rule = params_flag(params, "any_time") ? TIMES_ANY : TIMES_OF_NOW;
	if (params->status != STATUS_OK || times == NULL) {
		return;
	}
	const enum status status = times_check(times, count, rule, now_ms, of, &reason);
	if (status != STATUS_OK) {
		params->status = error_set(params->err, status, "%s%s", params->where, reason.text);
	}
}
