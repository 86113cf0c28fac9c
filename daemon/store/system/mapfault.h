/* mapfault.h - a map that cannot be read is damage, and not the end of the process.
 *
 * When a file was cut, or a disk cannot be read, whoever touches the map gets SIGBUS. For ranges
 * that are watched the handler sets the owner's flag and puts a page of zeros there, which takes writes. The reader
 * goes on with garbage, which it must not use: it compares mapfault_count before and after, and if
 * the count has moved, it looks at the flags.
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

/* The same in a process that is not ours, and may have a handler of its own: that one gets every fault which is in no
 * range, as if it had been called itself. Each call of the first wants one of the second; the last of these puts the
 * process's own back, unless somebody has put another one in the place of ours. */
enum status mapfault_install_beside(void);
void mapfault_remove_beside(void);

/* Watches [start, start + len): a fault there stores `mark` in *flag, which must live until
 * mapfault_forget. Errors: NO_MEMORY. */
enum status mapfault_watch(const void *start, size_t len, _Atomic unsigned char *flag,
	unsigned char mark, struct mapfault **out);

/* The same, and the fault stores `mark` for its page too: pages[0] is of the page that `start` is on. After
 * MAPFAULT_PAGES_MAX faults, of which each takes a map of its own, it does so for all. */
enum { MAPFAULT_PAGES_MAX = 1000 };
enum status mapfault_watch_pages(const void *start, size_t len, _Atomic unsigned char *flag,
	_Atomic unsigned char *pages, unsigned char mark, struct mapfault **out);

/* To be called before the range is unmapped. NULL is fine. */
void mapfault_forget(struct mapfault *watch);

/* Faults so far. */
unsigned mapfault_count(void);

#endif
