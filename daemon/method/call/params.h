/* params.h - checked access to the params of a call.
 *
 * Errors stick: after a failure every call that reads does nothing and returns zero. So a method
 * reads all it needs and then tests `status` once. The error names the argument, what was given
 * and what is allowed: "rows: uint given, bin expected".
 *
 * Threads: one at a time; what is read points into the call's message.
 */
#ifndef DAEMON_METHOD_CALL_PARAMS_H
#define DAEMON_METHOD_CALL_PARAMS_H

#include "schema/dtype.h"
#include "schema/name.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum param_need { PARAM_OPTIONAL, PARAM_REQUIRED };

struct params {
	struct wire_value map;
	const char *where; /* borrowed; errors write it before a name: "", "parts[1]." */
	struct error *err; /* borrowed */
	enum status status;
};

/* Checks that `map` is a map, an empty array or absent, and that each of its names is one of `names`
 * (NULL-terminated, fewer than 62) and is there once. With a `where` of "", which says that these are
 * the params of the method, also `timeout_ms`, and `trace`, a str of at most LIMIT_TRACE_BYTES. */
void params_begin(struct params *params, struct wire_value map, const char *where,
	const char *const *names, struct error *err);

/* The `where` of element i, below 1000, of a list whose name has at most 20 bytes: "parts[1].". Each fetch
 * asks for it, and an error of few reads it, so it is not worth a printf. */
enum { PARAMS_WHERE_BYTES = 32 };
const char *params_where(char where[PARAMS_WHERE_BYTES], const char *list, size_t i);

/* A value of any type. */
struct wire_value params_value(struct params *params, const char *name, enum param_need need);
struct wire_value params_array(struct params *params, const char *name);

/* When the argument is left out, or nil: zero, false, or a `data` of NULL. */
struct wire_bytes params_str(struct params *params, const char *name, enum param_need need);
struct wire_bytes params_bin(struct params *params, const char *name, enum param_need need);
bool params_flag(struct params *params, const char *name);
uint64_t params_uint(struct params *params, const char *name);
uint64_t params_uint_or(struct params *params, const char *name, uint64_t otherwise);
/* Is it given? Where 0 is a value like any other, `otherwise` cannot tell. *out is 0 if it is not. */
bool params_uint_given(struct params *params, const char *name, uint64_t *out);

/* Names that are checked. An optional name that is left out is "". */
void params_name(struct params *params, const char *name, enum param_need need, struct name *out);
void params_table_named(struct params *params, const char *name, struct table_name *out);
static inline void params_table(struct params *params, struct table_name *out)
{
	params_table_named(params, "table", out);
}
/* A finite number, or `otherwise`. */
double params_float_or(struct params *params, const char *name, double otherwise);
enum dtype params_dtype(struct params *params, enum dtype otherwise);
/* The same where sums of an aggregating table may come or go in full, as f64. */
enum dtype params_dtype_or_f64(struct params *params, enum dtype otherwise);

/* A bin of exactly `len` bytes; NULL when it is left out. */
const uint8_t *params_column(struct params *params, const char *name, size_t len);

/* Checks that `count` times, which were read before and may be NULL, are such as may be given: with
 * `any_time` all that may be stored. of: "row", "sample". now_ms: the request's clock. */
void params_times(struct params *params, const uint8_t *times, size_t count, const char *of,
	int64_t now_ms);

/* Fails with "WHERE NAME: text". Does nothing after an earlier failure. */
void params_fail(struct params *params, enum status status, const char *name, const char *format,
	...) __attribute__((format(printf, 4, 5)));

#endif
