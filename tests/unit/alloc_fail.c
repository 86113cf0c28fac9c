/* alloc_fail.c - refuses the n-th allocation of the code under test, and measures what it takes. */
#include "tests/unit/alloc_fail.h"

#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
int __real_posix_memalign(void **out, size_t align, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void __real_free(void *memory);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
int __wrap_posix_memalign(void **out, size_t align, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
void __wrap_free(void *memory);

static _Thread_local bool armed;
static _Thread_local bool was_refused;
static _Thread_local size_t left;

static _Thread_local bool measured;
static _Thread_local int64_t taken; /* less than 0: it has freed what it had before */
static _Thread_local int64_t most;

static bool refuse(void)
{
	if (!armed) {
		return false;
	}
	if (left > 0) {
		left--;
		return false;
	}
	armed = false;
	was_refused = true;
	errno = ENOMEM;
	return true;
}

static void *count(void *memory)
{
	if (measured && memory != NULL) {
		taken += (int64_t)malloc_usable_size(memory);
		most = taken > most ? taken : most;
	}
	return memory;
}

static void uncount(void *memory)
{
	if (measured && memory != NULL) {
		taken -= (int64_t)malloc_usable_size(memory);
	}
}

void *__wrap_malloc(size_t size)
{
	return refuse() ? NULL : count(__real_malloc(size));
}

void *__wrap_calloc(size_t count_of, size_t size)
{
	return refuse() ? NULL : count(__real_calloc(count_of, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	if (refuse()) {
		return NULL;
	}
	uncount(old); /* it is not tried to no avail where memory is measured */
	return count(__real_realloc(old, size));
}

void *__wrap_reallocarray(void *old, size_t count_of, size_t size)
{
	if (refuse()) {
		return NULL;
	}
	uncount(old);
	return count(__real_reallocarray(old, count_of, size));
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	return refuse() ? NULL : count(__real_aligned_alloc(align, size));
}

int __wrap_posix_memalign(void **out, size_t align, size_t size)
{
	const int number = refuse() ? ENOMEM : __real_posix_memalign(out, align, size);
	if (number == 0) {
		(void)count(*out);
	}
	return number;
}

char *__wrap_strdup(const char *text)
{
	return refuse() ? NULL : count(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t len)
{
	return refuse() ? NULL : count(__real_strndup(text, len));
}

void __wrap_free(void *memory)
{
	uncount(memory);
	__real_free(memory);
}

void alloc_most_begin(void)
{
	taken = 0;
	most = 0;
	measured = true;
}

size_t alloc_most_end(void)
{
	measured = false;
	return (size_t)most;
}

void alloc_fail_arm(size_t skip)
{
	left = skip;
	was_refused = false;
	armed = true;
}

bool alloc_fail_disarm(void)
{
	armed = false;
	return was_refused;
}

const char *alloc_fail_find(alloc_fail_attempt *attempt, void *arg, size_t *refused)
{
	for (*refused = 0; *refused < ALLOC_FAIL_RUNS_MAX; ++*refused) {
		alloc_fail_arm(*refused);
		bool succeeded = attempt(arg);
		if (!alloc_fail_disarm()) {
			return succeeded ? NULL : "fails although no memory was refused";
		}
		if (succeeded) {
			++*refused;
			return "succeeds although memory was refused";
		}
	}
	return "does not come to an end of its allocations";
}

size_t alloc_fail_each(alloc_fail_attempt *attempt, void *arg)
{
	size_t refused = 0;
	const char *wrong = alloc_fail_find(attempt, arg, &refused);
	if (wrong != NULL) {
		fail_msg("allocation %zu refused: the attempt %s", refused, wrong);
	}
	return refused;
}
