/* load_ended.h - the loads that the catalog knows to be whole.
 *
 * Threads: whoever holds admin_lock and load_lock.
 */
#ifndef DAEMON_STORE_LOAD_LOAD_ENDED_H
#define DAEMON_STORE_LOAD_LOAD_ENDED_H

#include "schema/status.h"

#include <stdint.h>

struct base_owner;
struct ended_load;
struct release;
struct store;
struct table;

/* NULL: the catalog does not know this load of the table to be whole. The second finds the table
 * in the current snapshot. */
const struct ended_load *table_find_ended(const struct table *table, const char *name);
const struct ended_load *load_find_ended(struct store *store, const struct base_owner *owner,
	const char *name);
/* Both are changes of the catalog, and durable when they return. */
enum status load_put_ended(struct store *store, const struct base_owner *owner,
	const struct ended_load *ended, struct error *err);
enum status load_remove_ended(struct store *store, const struct base_owner *owner, const char *name,
	struct error *err);
/* Whether every load of an open release has ended and is there. Errors: CONFLICT, CORRUPT. */
enum status loads_check(struct store *store, const struct release *release, struct error *err);

#endif
