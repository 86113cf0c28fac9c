/* test_cursor.c - cursors of a scan lead back to their hashes, and tell nothing of them. */
#include "daemon/method/call/cursor.h"
#include "tests/unit/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

static const struct key_seed seed = {{UINT64_C(0x0706050403020100), UINT64_C(0xf0e0d0c0b0a09080)}};

static uint64_t next(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state ^ *state >> 29;
}

static void a_cursor_leads_back_to_its_hash(void **state)
{
	(void)state;
	uint64_t random = seed_from(21);
	for (unsigned i = 0; i < 20000; i++) {
		const uint64_t hash = i < 100   ? i
				      : i < 200 ? UINT64_MAX - (i - 100)
						: next(&random);
		const uint64_t cursor = cursor_of_hash(&seed, 3, hash);
		assert_int_equal(cursor_to_hash(&seed, 3, cursor), hash);
		assert_true((cursor == 0) == (hash == 0));
		/* Whatever is sent leads to one hash, too. */
		const uint64_t sent = next(&random);
		assert_int_equal(cursor_of_hash(&seed, 3, cursor_to_hash(&seed, 3, sent)), sent);
	}
}

/* The number that is encrypted to 0 would begin the walk again. */
static void no_hash_but_the_first_has_the_cursor_0(void **state)
{
	(void)state;
	const uint64_t stray = cursor_to_hash(&seed, 3, cursor_of_hash(&seed, 3, 1));
	assert_int_equal(stray, 1);
	/* What 0 would become is the cursor of the number that would become 0. */
	for (uint64_t table = 0; table < 1000; table++) {
		assert_int_equal(cursor_of_hash(&seed, table, 0), 0);
		assert_int_equal(cursor_to_hash(&seed, table, 0), 0);
	}
}

/* Each bit of a hash, of the seed and of the table's number changes about half of the cursor's. */
static void a_cursor_tells_nothing_of_its_hash(void **state)
{
	(void)state;
	enum { HASHES = 500 };
	uint64_t random = seed_from(22);
	uint64_t flipped = 0;
	uint64_t of_seed = 0;
	for (unsigned i = 0; i < HASHES; i++) {
		const uint64_t hash = next(&random);
		const uint64_t cursor = cursor_of_hash(&seed, 3, hash);
		for (unsigned bit = 0; bit < 64; bit++) {
			const uint64_t other = cursor_of_hash(&seed, 3, hash ^ UINT64_C(1) << bit);
			flipped += (uint64_t)__builtin_popcountll(cursor ^ other);
		}
		struct key_seed changed = seed;
		changed.words[i % 2] ^= UINT64_C(1) << i % 64;
		of_seed +=
			(uint64_t)__builtin_popcountll(cursor ^ cursor_of_hash(&changed, 3, hash));
		of_seed += (uint64_t)__builtin_popcountll(cursor ^ cursor_of_hash(&seed, 4, hash));
	}
	assert_in_range(flipped / ((uint64_t)HASHES * 64), 31, 32);
	assert_in_range(of_seed * 100 / ((uint64_t)HASHES * 2), 3050, 3350);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cursor_leads_back_to_its_hash),
		cmocka_unit_test(no_hash_but_the_first_has_the_cursor_0),
		cmocka_unit_test(a_cursor_tells_nothing_of_its_hash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
