/* budget.h - a bound on bytes that many threads share.
 *
 * Threads: any.
 */
#ifndef DAEMON_NET_BUDGET_H
#define DAEMON_NET_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
	_Atomic size_t used;
	size_t limit; /* constant while in use */
};

/* False, and nothing is taken, when that would pass the limit. */
bool budget_take(struct budget *budget, size_t bytes);

/* Takes in any case: for what exists already. */
void budget_force(struct budget *budget, size_t bytes);

void budget_give(struct budget *budget, size_t bytes);

size_t budget_used(const struct budget *budget);

#endif
