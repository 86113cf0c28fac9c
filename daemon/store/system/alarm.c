/* alarm.c - a thread that waits for a time. */
#include "daemon/store/system/alarm.h"

#include "daemon/store/system/clock.h"
#include "daemon/store/system/thread.h"

#include <stddef.h>

static void *wait_for_time(void *arg)
{
	struct alarm *alarm = arg;
	bell_wait(&alarm->off, alarm->at_ms);
	if ((uint64_t)clock_monotonic_ms() >= alarm->at_ms) {
		atomic_store(alarm->flag, true);
	}
	return NULL;
}

enum status alarm_begin(struct alarm *alarm, atomic_bool *flag, uint64_t at_ms, struct error *err)
{
	alarm->flag = flag;
	alarm->at_ms = at_ms;
	bell_init(&alarm->off);
	const enum status status = thread_start(&alarm->thread, wait_for_time, alarm, "alarm", err);
	if (status != STATUS_OK) {
		bell_fini(&alarm->off);
	}
	return status;
}

void alarm_end(struct alarm *alarm)
{
	bell_ring(&alarm->off);
	(void)pthread_join(alarm->thread, NULL);
	bell_fini(&alarm->off);
}
