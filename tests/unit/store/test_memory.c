/* test_memory.c - the limit of a control group is found in both versions. */
#include "daemon/store/system/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/store/scratch.h"

#include <cmocka.h>

static void put(const struct scratch *scratch, const char *name, const char *text)
{
	char path[PATH_MAX];
	(void)snprintf(path, sizeof path, "%s/%s", scratch->folder, name);
	scratch_write(path, text, strlen(text));
}

static void make(const struct scratch *scratch, const char *name)
{
	char path[PATH_MAX];
	(void)snprintf(path, sizeof path, "%s/%s", scratch->folder, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static uint64_t limit_of(const struct scratch *scratch, const char *own)
{
	char path[PATH_MAX];
	put(scratch, "own", own);
	(void)snprintf(path, sizeof path, "%s/own", scratch->folder);
	return memory_group_limit_bytes(path, scratch->folder);
}

static void both_versions_are_read(void **state)
{
	struct scratch *scratch = *state;
	make(scratch, "service");
	make(scratch, "memory");
	make(scratch, "memory/service");
	put(scratch, "service/memory.max", "max\n");
	put(scratch, "memory/service/memory.limit_in_bytes", "9223372036854771712\n");
	assert_true(limit_of(scratch, "0::/service\n") == UINT64_MAX);
	assert_true(limit_of(scratch, "0::/nowhere\n") == UINT64_MAX);
	assert_true(limit_of(scratch, "") == UINT64_MAX);
	assert_true(limit_of(scratch, "garbage\n:::\n") == UINT64_MAX);
	put(scratch, "service/memory.max", "2147483648\n");
	assert_true(limit_of(scratch, "0::/service\n") == UINT64_C(2147483648));
	/* The first version: a line for each controller, of which one counts. */
	put(scratch, "memory/service/memory.limit_in_bytes", "1073741824\n");
	assert_true(limit_of(scratch, "5:cpu:/service\n4:memory:/service\n0::/\n") ==
		    UINT64_C(1073741824));
	assert_true(limit_of(scratch, "5:cpu:/service\n") == UINT64_MAX);
}

static void the_machine_has_some(void **state)
{
	(void)state;
	assert_true(memory_limit_bytes() > 0);
	assert_true(memory_limit_bytes() < UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_versions_are_read, scratch_setup,
			scratch_teardown),
		cmocka_unit_test(the_machine_has_some),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
