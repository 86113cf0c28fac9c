/* seed.h - what a test chooses at random follows a seed.
 *
 * Each test has a seed of its own, so every run chooses the same. REPSTORE_SEED in the environment
 * moves all of them; 1 leaves them as they are. The setting is printed, so what a failed test has
 * printed says how to have the failure again.
 */
#ifndef TESTS_UNIT_SEED_H
#define TESTS_UNIT_SEED_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* The seed to begin with, in place of `own`. */
static inline uint64_t seed_from(uint64_t own)
{
	static bool told;
	const char *setting = getenv("REPSTORE_SEED");
	const uint64_t number = setting != NULL ? strtoull(setting, NULL, 10) : 1;
	if (!told) {
		print_message("REPSTORE_SEED=%" PRIu64 "\n", number);
		told = true;
	}
	return own + (number - 1) * UINT64_C(0x9e3779b97f4a7c15);
}

#endif
