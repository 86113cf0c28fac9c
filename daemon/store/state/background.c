/* background.c - holds of tables, and the niceness of threads. */
#include "daemon/store/state/background.h"

#include "daemon/store/state/state.h"

#include <assert.h>
#include <sys/resource.h>

void background_let_go(struct store *store, struct table *table)
{
	store_lock_admin(store);
	assert(table->refs > 0);
	table_drop(table);
	store_unlock_admin(store);
}

void background_set_nice(struct store *store, int nice)
{
	if (setpriority(PRIO_PROCESS, 0, nice) != 0) {
		store_call_refused(store, STORE_CALL_SETPRIORITY);
	}
}
