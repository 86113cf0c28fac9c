/* budget.h - a bound on the bytes of memory that all connections together may hold.
 *
 * Whoever has taken bytes gives as many back. So the budget is at 0 when all connections are
 * closed.
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

/* False, and nothing is taken, if more than the limit would be used then. */
bool budget_take(struct budget *budget, size_t bytes);

/* Takes the bytes even beyond the limit: for memory that is in use already. */
void budget_force(struct budget *budget, size_t bytes);

void budget_give(struct budget *budget, size_t bytes);

size_t budget_used(const struct budget *budget);

#endif
