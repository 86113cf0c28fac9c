/* test_horizon.c - a store that writes the same rows for ever needs memory for them once, as does its
 * replay. */
#include "daemon/store/state/state.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ROUNDS = 100, ROWS = 1000, WARM = 5, ROW_BYTES_MIN = 40 };

static void wait_for_horizon(const struct store *store)
{
	struct wait wait = {0};
	while (atomic_load(&store->usage.horizon) != atomic_load(&store->visible)) {
		wait_a_moment(&wait);
	}
}

static void the_same_rows_take_memory_once(void **state)
{
	struct scratch *scratch = *state;
	uint64_t bytes = 0;
	scratch_sealed(scratch, "r1", 0, 0, 0);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		scratch_put(scratch, "r1", (struct scratch_rows){0, ROWS, round});
		wait_for_horizon(scratch->store);
		if (round == WARM) {
			bytes = scratch->store->usage.bytes;
		}
	}
	assert_int_equal(scratch->store->usage.bytes, bytes);
	assert_int_equal(scratch->store->usage.rows, ROWS);
	scratch_expect(scratch, "r1", 0, ROWS, ROUNDS);
	scratch_reopen(scratch);
	assert_true(scratch->store->usage.bytes < (uint64_t)ROUNDS * ROWS * ROW_BYTES_MIN / 4);
	scratch_expect(scratch, "r1", 0, ROWS, ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_same_rows_take_memory_once, scratch_setup_store,
			scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
