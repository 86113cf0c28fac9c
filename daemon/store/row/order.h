/* order.h - sorts references to rows by hash, keeping the order of arrival among equals.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_ROW_ORDER_H
#define DAEMON_STORE_ROW_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* A row somewhere: `run` and `row` are the caller's. */
struct order_entry {
	uint64_t hash;
	uint32_t run;
	uint32_t row;
};

/* Sorts by hash, stably; `scratch` has room for count entries. Time is linear. */
void order_by_hash(struct order_entry *entries, struct order_entry *scratch, size_t count);

#endif
