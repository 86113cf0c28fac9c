/* budget.c - takes bytes and gives them back.
 *
 * The order of memory is relaxed: the count alone is shared here. What the bytes hold passes from
 * thread to thread under locks. */
#include "daemon/net/budget.h"

#include <assert.h>
#include <stdint.h>

bool budget_take(struct budget *budget, size_t bytes)
{
	size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
	do {
		if (used > budget->limit || bytes > budget->limit - used) {
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(&budget->used, &used, used + bytes,
		memory_order_relaxed, memory_order_relaxed));
	return true;
}

void budget_force(struct budget *budget, size_t bytes)
{
	if (bytes > 0) {
		const size_t before =
			atomic_fetch_add_explicit(&budget->used, bytes, memory_order_relaxed);
		assert(bytes <= SIZE_MAX - before);
	}
}

void budget_give(struct budget *budget, size_t bytes)
{
	if (bytes > 0) {
		const size_t before =
			atomic_fetch_sub_explicit(&budget->used, bytes, memory_order_relaxed);
		assert(bytes <= before); /* nobody gives back what was not taken */
	}
}

size_t budget_used(const struct budget *budget)
{
	return atomic_load_explicit(&budget->used, memory_order_relaxed);
}
