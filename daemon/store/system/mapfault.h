/* mapfault.h - a read of a map that cannot be satisfied: damage, not the end of the process.
 *
 * A file that was cut, or a disk that cannot be read, shows as SIGBUS where its map is
 * touched. For registered ranges the handler sets the owner's flag and puts a page of
 * zeros there, so the reader goes on with garbage, which it must not use: it looks at
 * mapfault_count before and after, and if it has moved, at the flags.
 *
 * Threads: any. The handler is the process's only state.
 */
#ifndef DAEMON_STORE_SYSTEM_MAPFAULT_H
#define DAEMON_STORE_SYSTEM_MAPFAULT_H

#include "schema/status.h"

#include <stdatomic.h>
#include <stddef.h>

struct mapfault;

/* Installs the handler, once a process. */
enum status mapfault_install(void);

/* Watches [start, start + len): a fault there stores `mark` in *flag. Errors: NO_MEMORY. */
enum status mapfault_watch(const void *start, size_t len, _Atomic unsigned char *flag,
	unsigned char mark, struct mapfault **out);

/* Before the range is unmapped; NULL is fine. */
void mapfault_forget(struct mapfault *watch);

/* Faults so far. */
unsigned mapfault_count(void);

#endif
