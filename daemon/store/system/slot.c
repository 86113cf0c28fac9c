/* slot.c - which slots are taken: a bit each. */
#include "daemon/store/system/slot.h"

#include <assert.h>

_Thread_local unsigned slot_own = SLOT_SHARED;

static _Atomic uint64_t taken;

void slot_take(void)
{
	uint64_t before = atomic_load(&taken);
	unsigned slot;
	assert(slot_own == SLOT_SHARED);
	do {
		slot = ~before == 0 ? SLOT_SHARED : (unsigned)__builtin_ctzll(~before);
		if (slot >= SLOT_SHARED) {
			return;
		}
	} while (!atomic_compare_exchange_weak(&taken, &before, before | UINT64_C(1) << slot));
	slot_own = slot;
}

void slot_give(void)
{
	if (slot_own != SLOT_SHARED) {
		atomic_fetch_and(&taken, ~(UINT64_C(1) << slot_own));
		slot_own = SLOT_SHARED;
	}
}
