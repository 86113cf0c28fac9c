/* budget.c - takes bytes and gives them back.
 *
 * The order of memory is relaxed: the counts alone are shared here. What the bytes hold passes from
 * thread to thread under locks. Two threads that take at the same time may both pass a share that
 * has room for one of them; the limit itself is never passed so. */
#include "daemon/net/budget.h"

#include <assert.h>
#include <stdint.h>

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t read_size(const _Atomic size_t *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

static unsigned read_count(const atomic_uint *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

static bool is_leader(const struct budget_holder *holder)
{
	return atomic_load_explicit(&holder->budget->leader, memory_order_relaxed) == holder;
}

/* Of the last quarter nobody gets more than a share. */
static bool is_scarce(const struct budget *budget, size_t bytes)
{
	return read_size(&budget->used) + bytes > budget->limit - budget->limit / 4;
}

/* Would the connection hold more than its share, while others need memory? */
static bool exceeds_share(const struct budget_holder *holder, size_t bytes)
{
	const struct budget *budget = holder->budget;
	const size_t share = larger(budget->limit / 4, budget->whole);
	return read_size(&holder->used) + bytes > share &&
	       (is_scarce(budget, bytes) ||
		       read_count(&budget->waiting) > (holder->waits ? 1u : 0u));
}

/* Would its user? */
static bool exceeds_user_share(const struct budget_holder *holder, size_t bytes)
{
	const struct budget *budget = holder->budget;
	const struct budget_user *user = holder->user;
	const size_t share = larger(budget->limit / 2, budget->whole);
	return read_size(&user->used) + bytes > share &&
	       (is_scarce(budget, bytes) ||
		       read_count(&budget->waiting) > read_count(&user->waiting));
}

/* How much all may use, if this holder is to take more. */
static size_t limit_for(const struct budget_holder *holder)
{
	const struct budget *budget = holder->budget;
	if (is_leader(holder)) {
		return budget->limit + budget->whole;
	}
	return holder->own ? budget->limit : budget->limit - budget->kept;
}

static bool try_take(struct budget_holder *holder, size_t bytes)
{
	struct budget *budget = holder->budget;
	const size_t limit = limit_for(holder);
	if (exceeds_share(holder, bytes) ||
		(!is_leader(holder) && exceeds_user_share(holder, bytes))) {
		return false;
	}
	size_t used = read_size(&budget->used);
	do {
		if (used > limit || bytes > limit - used) {
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(&budget->used, &used, used + bytes,
		memory_order_relaxed, memory_order_relaxed));
	atomic_fetch_add_explicit(&holder->user->used, bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&holder->used, bytes, memory_order_relaxed);
	return true;
}

/* A holder that has its share waits for nobody but itself, and so it does not lead. */
static bool becomes_leader(struct budget_holder *holder, size_t bytes)
{
	struct budget_holder *none = NULL;
	return holder->waits && !exceeds_share(holder, bytes) &&
	       atomic_compare_exchange_strong_explicit(&holder->budget->leader, &none, holder,
		       memory_order_relaxed, memory_order_relaxed);
}

bool budget_take(struct budget_holder *holder, size_t bytes)
{
	if (bytes == 0 || try_take(holder, bytes)) {
		return true;
	}
	return becomes_leader(holder, bytes) && try_take(holder, bytes);
}

static void add(_Atomic size_t *used, size_t bytes)
{
	const size_t before = atomic_fetch_add_explicit(used, bytes, memory_order_relaxed);
	assert(bytes <= SIZE_MAX - before);
	(void)before;
}

static void subtract(_Atomic size_t *used, size_t bytes)
{
	const size_t before = atomic_fetch_sub_explicit(used, bytes, memory_order_relaxed);
	assert(bytes <= before); /* nobody gives back what was not taken */
	(void)before;
}

void budget_force(struct budget_holder *holder, size_t bytes)
{
	if (bytes > 0) {
		add(&holder->budget->used, bytes);
		add(&holder->user->used, bytes);
		add(&holder->used, bytes);
	}
}

void budget_give(struct budget_holder *holder, size_t bytes)
{
	if (bytes > 0) {
		subtract(&holder->used, bytes);
		subtract(&holder->user->used, bytes);
		subtract(&holder->budget->used, bytes);
	}
}

void budget_wait(struct budget_holder *holder)
{
	if (!holder->waits) {
		holder->waits = true;
		atomic_fetch_add_explicit(&holder->budget->waiting, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&holder->user->waiting, 1, memory_order_relaxed);
	}
}

void budget_wait_over(struct budget_holder *holder)
{
	if (holder->waits) {
		holder->waits = false;
		atomic_fetch_sub_explicit(&holder->user->waiting, 1, memory_order_relaxed);
		atomic_fetch_sub_explicit(&holder->budget->waiting, 1, memory_order_relaxed);
	}
}

void budget_follow(struct budget_holder *holder)
{
	if (is_leader(holder)) {
		atomic_store_explicit(&holder->budget->leader, NULL, memory_order_relaxed);
	}
}

size_t budget_used(const struct budget *budget)
{
	return read_size(&budget->used);
}

unsigned budget_waiting(const struct budget *budget)
{
	return read_count(&budget->waiting);
}
