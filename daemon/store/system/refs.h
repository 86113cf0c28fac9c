/* refs.h - counts who holds something that is freed by the last one.
 *
 * Whoever holds it may count others in. A lock, or a grace period, has to see to it that it is still held when somebody who
 * has only its address does so.
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_SYSTEM_REFS_H
#define DAEMON_STORE_SYSTEM_REFS_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>

static inline void refs_hold(atomic_uint *refs)
{
	const unsigned before = atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
	assert(before > 0);
	(void)before;
}

/* Whether that was the last one, so that the caller frees it. */
static inline bool refs_drop(atomic_uint *refs)
{
	const unsigned before = atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel);
	assert(before > 0);
	return before == 1;
}

#endif
