/* bell.c - a flag and a condition. */
#include "daemon/store/system/bell.h"

void bell_init(struct bell *bell)
{
	lock_init(&bell->lock);
	condition_init(&bell->wake);
	bell->rung = false;
}

void bell_fini(struct bell *bell)
{
	condition_fini(&bell->wake);
	lock_fini(&bell->lock);
}

void bell_ring(struct bell *bell)
{
	lock_take(&bell->lock);
	bell->rung = true;
	condition_signal(&bell->wake);
	lock_release(&bell->lock);
}

void bell_wait(struct bell *bell, uint64_t until_ms)
{
	lock_take(&bell->lock);
	while (!bell->rung && condition_wait_until(&bell->wake, &bell->lock, until_ms)) {
	}
	bell->rung = false;
	lock_release(&bell->lock);
}
