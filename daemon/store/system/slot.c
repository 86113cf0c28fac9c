/* slot.c - which slots are taken: a bit each. */
#include "daemon/store/system/slot.h"

#include <assert.h>

_Thread_local unsigned slot_own = SLOT_SHARED;

static _Atomic uint64_t taken;

unsigned slot_reserve(void)
{
	uint64_t before = atomic_load(&taken);
	unsigned slot;
	do {
		slot = ~before == 0 ? SLOT_SHARED : (unsigned)__builtin_ctzll(~before);
		if (slot >= SLOT_SHARED) {
			return SLOT_SHARED;
		}
	} while (!atomic_compare_exchange_weak(&taken, &before, before | UINT64_C(1) << slot));
	return slot;
}

void slot_let_go(unsigned slot)
{
	if (slot != SLOT_SHARED) {
		atomic_fetch_and(&taken, ~(UINT64_C(1) << slot));
	}
}

unsigned slot_lend(unsigned slot)
{
	const unsigned before = slot_own;
	slot_own = slot;
	return before;
}

void slot_take(void)
{
	assert(slot_own == SLOT_SHARED);
	slot_own = slot_reserve();
}

void slot_give(void)
{
	slot_let_go(slot_own);
	slot_own = SLOT_SHARED;
}
