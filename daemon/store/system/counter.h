/* counter.h - a figure that only one thread adds to, and that any thread may read.
 *
 * So adding needs no locked instruction. */
#ifndef DAEMON_STORE_SYSTEM_COUNTER_H
#define DAEMON_STORE_SYSTEM_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

static inline void counter_add(_Atomic uint64_t *counter, uint64_t more)
{
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, now + more, memory_order_relaxed);
}

static inline uint64_t counter_read(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
