/* slice.c - sets the slice of a thread by sched_setattr, which has no wrapper in the C library; its
 * structure cannot be included beside <sched.h>.
 * Source: sched_setattr(2); Stoica, Abdel-Wahab, Earliest Eligible Virtual Deadline First, 1995. */
#include "daemon/store/system/slice.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The least that the kernel takes. */
enum { SLICE_NS = 100 * 1000 };

void slice_make_short(void)
{
	struct sched_attr attr = {
		.size = sizeof attr,
		.sched_policy = SCHED_NORMAL,
		.sched_nice = getpriority(PRIO_PROCESS, 0),
		.sched_runtime = SLICE_NS,
	};
	(void)syscall(SYS_sched_setattr, 0, &attr, 0);
}
