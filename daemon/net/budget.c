/* budget.c - take and give back; relaxed, since the bytes themselves are handed over by locks. */
#include "daemon/net/budget.h"

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
		atomic_fetch_add_explicit(&budget->used, bytes, memory_order_relaxed);
	}
}

void budget_give(struct budget *budget, size_t bytes)
{
	if (bytes > 0) {
		atomic_fetch_sub_explicit(&budget->used, bytes, memory_order_relaxed);
	}
}

size_t budget_used(const struct budget *budget)
{
	return atomic_load_explicit(&budget->used, memory_order_relaxed);
}
