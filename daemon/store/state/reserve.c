/* reserve.c - asks the file system how much is free, and compares it with the reserve. */
#include "daemon/store/state/reserve.h"

#include "daemon/store/state/state.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"

#include <inttypes.h>

enum { RESERVE_ASK_MS = 100 };

/* Free bytes of the data folder's file system, as of the last time that it was asked. */
static uint64_t free_bytes(struct store *store)
{
	struct reserve *reserve = &store->reserve;
	const uint64_t now_ms = (uint64_t)clock_monotonic_ms();
	const uint64_t asked_ms = atomic_load_explicit(&reserve->asked_ms, memory_order_acquire);
	if (asked_ms != 0 && now_ms - asked_ms < RESERVE_ASK_MS) {
		return atomic_load_explicit(&reserve->free_bytes, memory_order_relaxed);
	}
	uint64_t bytes = UINT64_MAX; /* a file system that does not say may have any */
	(void)file_free_bytes(store->folder, &bytes);
	atomic_store_explicit(&reserve->free_bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&reserve->asked_ms, now_ms, memory_order_release);
	return bytes;
}

enum status reserve_check(struct store *store, enum reserve_use use, struct error *err)
{
	const uint64_t all = store->options.disk_reserve_bytes;
	const uint64_t least = use == RESERVE_LOAD ? all : all / 2;
	if (least == 0) {
		return STATUS_OK;
	}
	const uint64_t bytes = free_bytes(store);
	if (bytes >= least) {
		return STATUS_OK;
	}
	return error_set(err, STATUS_DISK_FULL,
		"%" PRIu64 " bytes are free on the disk, and %s leave %" PRIu64
		" (disk_reserve); drop a release, or make room",
		bytes, use == RESERVE_LOAD ? "loads and seals" : "writes", least);
}
