/* name.h - names that people give: releases, tables, layers, loads.
 *
 * [A-Za-z0-9][A-Za-z0-9._-]{0,63}; a table may be name@layer. Such names are
 * safe as part of a file name. "live" is reserved for the live release.
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_NAME_H
#define SCHEMA_NAME_H

#include "schema/limits.h"
#include "schema/status.h"

struct name {
	char text[LIMIT_NAME_BYTES + 1]; /* NUL-terminated */
};

struct table_name {
	char text[LIMIT_TABLE_NAME_BYTES + 1]; /* NUL-terminated: name or name@layer */
};

/* Checks `len` bytes and copies them into `out`. `what` names the argument in the
 * error: "release: ...". Errors: BAD_REQUEST. */
enum status name_check(const char *text, size_t len, const char *what, struct name *out,
	struct error *err);

/* The same for a table's name with an optional @layer. */
enum status table_name_check(const char *text, size_t len, const char *what, struct table_name *out,
	struct error *err);

/* The same for what positions of sources are kept of: a layer, or a table whose name is not longer than
 * a layer's may be. */
enum status fed_name_check(const char *text, size_t len, const char *what, struct name *out,
	struct error *err);

/* The layer of a table's name: what stands behind @; NULL: it has none. */
const char *table_name_layer(const struct table_name *name);

/* The same for a new release's id: a name, but not "live". */
enum status release_name_check(const char *text, size_t len, struct name *out, struct error *err);

#endif
