/* alarm.h - raises a flag at a time, unless it is called off before.
 *
 * For work that asks a flag between its steps and must end by a given time. A thread waits for that time, so
 * this is for work that takes seconds.
 *
 * Threads: one begins and ends it.
 */
#ifndef DAEMON_STORE_SYSTEM_ALARM_H
#define DAEMON_STORE_SYSTEM_ALARM_H

#include "daemon/store/system/bell.h"
#include "schema/status.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct alarm {
	pthread_t thread;
	struct bell off; /* rung: it is called off */
	uint64_t at_ms;
	atomic_bool *flag; /* borrowed */
};

/* The flag is set once at_ms of clock_monotonic_ms has come. alarm_end must follow, after OK. Errors:
 * NO_MEMORY  no thread. */
enum status alarm_begin(struct alarm *alarm, atomic_bool *flag, uint64_t at_ms, struct error *err);

/* From here on the flag is not set any more. */
void alarm_end(struct alarm *alarm);

#endif
