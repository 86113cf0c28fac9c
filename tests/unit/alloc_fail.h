/* alloc_fail.h - refuses the n-th allocation of the code under test, and measures how much memory it takes.
 *
 * Works by the linker: malloc, calloc, realloc, reallocarray, aligned_alloc, posix_memalign, strdup
 * and strndup of everything linked statically pass through alloc_fail.c, and so does free. Calls made inside shared
 * libraries do not. Only allocations of the calling thread are counted and refused.
 */
#ifndef TESTS_UNIT_ALLOC_FAIL_H
#define TESTS_UNIT_ALLOC_FAIL_H

#include <stdbool.h>
#include <stddef.h>

enum {
	ALLOC_FAIL_RUNS_MAX = 2000,
};

/* One complete run of what is tested: builds, uses, takes down. True if it succeeded. */
typedef bool alloc_fail_attempt(void *arg);

/* Runs `attempt` with its 1st, then its 2nd, ... allocation refused, until a run needs no more.
 *
 * Fails the cmocka test if a run succeeds although memory was refused to it, if the last run
 * fails although none was, or if it takes more than ALLOC_FAIL_RUNS_MAX runs. Leaks are found by
 * LeakSanitizer. Returns how many allocations a whole run makes.
 */
size_t alloc_fail_each(alloc_fail_attempt *attempt, void *arg);

/* The same without cmocka: NULL if all is well, else what was wrong. `refused`: the allocations
 * that were refused so far, one a run. */
const char *alloc_fail_find(alloc_fail_attempt *attempt, void *arg, size_t *refused);

/* Lets `skip` allocations of this thread pass and refuses the next one. */
void alloc_fail_arm(size_t skip);

/* Refuses nothing any more. True if an allocation was refused since alloc_fail_arm. */
bool alloc_fail_disarm(void);

/* Between these two, the most bytes that this thread had at a time of what it has allocated since. What it frees of
 * before counts as less. Each allocation may be some bytes larger than was asked for. */
void alloc_most_begin(void);
size_t alloc_most_end(void);

#endif
