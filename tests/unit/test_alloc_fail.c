/* test_alloc_fail.c - the tool that refuses memory refuses it, and says what it found. */
#include "tests/unit/alloc_fail.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Keeps the compiler from dropping a pair of malloc and free. */
static void *volatile seen;

static bool takes_three(void *arg)
{
	(void)arg;
	char *first = malloc(8);
	char *second = calloc(2, 8);
	char *third = strdup("three");
	bool whole = first != NULL && second != NULL && third != NULL;
	seen = first;
	seen = second;
	seen = third;
	free(first);
	free(second);
	free(third);
	return whole;
}

static bool takes_none(void *arg)
{
	int *runs = arg;
	++*runs;
	return true;
}

static bool shrugs_off(void *arg)
{
	(void)arg;
	seen = malloc(8);
	free(seen);
	return true;
}

static bool always_fails(void *arg)
{
	(void)arg;
	return false;
}

static bool takes_ever_more(void *arg)
{
	size_t *count = arg;
	++*count;
	for (size_t i = 0; i < *count; i++) {
		void *one = malloc(1);
		seen = one;
		if (one == NULL) {
			return false;
		}
		free(one);
	}
	return true;
}

static void each_allocation_is_refused_once(void **state)
{
	(void)state;
	assert_int_equal(alloc_fail_each(takes_three, NULL), 3);
}

static void no_allocation_is_one_run(void **state)
{
	(void)state;
	int runs = 0;
	assert_int_equal(alloc_fail_each(takes_none, &runs), 0);
	assert_int_equal(runs, 1);
}

static void success_without_memory_is_found(void **state)
{
	(void)state;
	size_t refused = 0;
	const char *wrong = alloc_fail_find(shrugs_off, NULL, &refused);
	assert_string_equal(wrong, "succeeds although memory was refused");
	assert_int_equal(refused, 1);
}

static void failure_with_memory_is_found(void **state)
{
	(void)state;
	size_t refused = 0;
	const char *wrong = alloc_fail_find(always_fails, NULL, &refused);
	assert_string_equal(wrong, "fails although no memory was refused");
}

static void an_endless_attempt_is_found(void **state)
{
	(void)state;
	size_t refused = 0;
	size_t count = 0;
	const char *wrong = alloc_fail_find(takes_ever_more, &count, &refused);
	assert_string_equal(wrong, "does not come to an end of its allocations");
	assert_int_equal(refused, ALLOC_FAIL_RUNS_MAX);
}

static void the_most_at_a_time_is_measured(void **state)
{
	(void)state;
	void *before = malloc(1000);
	alloc_most_begin();
	char *first = malloc(1000);
	seen = first;
	first = realloc(first, 3000);
	seen = first;
	free(first);
	free(before);
	void *second = calloc(10, 100);
	seen = second;
	const size_t most = alloc_most_end();
	free(second);
	assert_in_range(most, 3000, 3000 + 100);
	alloc_most_begin();
	assert_int_equal(alloc_most_end(), 0);
}

static void every_allocator_is_refused(void **state)
{
	(void)state;
	alloc_fail_arm(0);
	seen = malloc(1);
	assert_null(seen);
	assert_int_equal(errno, ENOMEM);
	alloc_fail_arm(0);
	seen = calloc(1, 1);
	assert_null(seen);
	alloc_fail_arm(0);
	seen = realloc(NULL, 1);
	assert_null(seen);
	alloc_fail_arm(0);
	seen = reallocarray(NULL, 1, 1);
	assert_null(seen);
	alloc_fail_arm(0);
	seen = aligned_alloc(64, 64);
	assert_null(seen);
	alloc_fail_arm(0);
	seen = strdup("text");
	assert_null(seen);
	alloc_fail_arm(0);
	seen = strndup("text", 2);
	assert_null(seen);
	void *out = NULL;
	alloc_fail_arm(0);
	assert_int_equal(posix_memalign(&out, 64, 64), ENOMEM);
	assert_true(alloc_fail_disarm());
}

static void a_refused_realloc_keeps_the_old(void **state)
{
	(void)state;
	char *text = strdup("kept");
	assert_non_null(text);
	/* By way of `seen`: gcc takes what was passed to realloc for freed. */
	seen = text;
	alloc_fail_arm(0);
	seen = realloc(seen, 4096);
	assert_null(seen);
	assert_true(alloc_fail_disarm());
	assert_string_equal(text, "kept");
	free(text);
}

static void *allocate_in_thread(void *arg)
{
	(void)arg;
	return malloc(8);
}

static void other_threads_are_left_alone(void **state)
{
	(void)state;
	pthread_t thread;
	void *got = NULL;
	alloc_fail_arm(0);
	assert_int_equal(pthread_create(&thread, NULL, allocate_in_thread, NULL), 0);
	assert_int_equal(pthread_join(thread, &got), 0);
	assert_false(alloc_fail_disarm());
	assert_non_null(got);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_is_refused_once),
		cmocka_unit_test(no_allocation_is_one_run),
		cmocka_unit_test(success_without_memory_is_found),
		cmocka_unit_test(failure_with_memory_is_found),
		cmocka_unit_test(an_endless_attempt_is_found),
		cmocka_unit_test(the_most_at_a_time_is_measured),
		cmocka_unit_test(every_allocator_is_refused),
		cmocka_unit_test(a_refused_realloc_keeps_the_old),
		cmocka_unit_test(other_threads_are_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
