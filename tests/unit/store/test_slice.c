/* test_slice.c - a thread asks for short slices, and keeps its niceness. */
#include "daemon/store/system/slice.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmocka.h>

/* Is the kernel one that heeds it? */
static bool is_heeded(void)
{
	struct utsname name;
	assert_int_equal(uname(&name), 0);
	char *rest;
	const long major = strtol(name.release, &rest, 10);
	return major > 6 || (major == 6 && strtol(rest + 1, NULL, 10) >= 12);
}

static void a_slice_is_short_and_all_else_stays(void **state)
{
	struct sched_attr attr = {0};
	(void)state;
	assert_int_equal(setpriority(PRIO_PROCESS, 0, 15), 0);
	slice_make_short();
	assert_int_equal(syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0), 0);
	assert_int_equal(attr.sched_policy, SCHED_NORMAL);
	assert_int_equal(attr.sched_nice, 15);
	if (is_heeded()) {
		assert_int_equal(attr.sched_runtime, 100000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slice_is_short_and_all_else_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
