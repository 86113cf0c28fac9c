/* local_methods.h - which methods a reader of a folder has.
 *
 * Threads: any; constant.
 */
#ifndef DAEMON_LOCAL_LOCAL_METHODS_H
#define DAEMON_LOCAL_LOCAL_METHODS_H

#include "daemon/method/call/method.h"
#include "schema/status.h"

#include <stddef.h>

/* Errors: UNSUPPORTED  the daemon alone has it, or nobody: the text says which. */
enum status local_method_find(const char *name, size_t len, const struct method **out,
	struct error *err);

/* The names of those that the daemon alone has, NULL-terminated. For a test, which compares them with the daemon's. */
extern const char *const local_methods_left[];
extern const struct method local_methods[];
extern const size_t local_method_count;

#endif
