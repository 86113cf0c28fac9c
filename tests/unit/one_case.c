/* one_case.c - runs of a unit test only the cases that REPSTORE_CASE names: a name, or a pattern
 * with * and ?. Part of every unit test, since Debian 12's cmocka has no such setting of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void choose_cases(void) __attribute__((constructor));

static void choose_cases(void)
{
	const char *pattern = getenv("REPSTORE_CASE");
	if (pattern != NULL) {
		cmocka_set_test_filter(pattern);
	}
}
