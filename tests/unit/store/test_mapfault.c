/* test_mapfault.c - a read behind the end of a mapped file marks its owner and goes on. */
#include "daemon/store/system/mapfault.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/alloc_fail.h"

enum { PAGES = 8, MARK = 3 };

/* A file of some pages in a map, and what its faults set. */
struct mapped {
	size_t page;
	int fd;
	uint8_t *data;
	_Atomic unsigned char flag;
	struct mapfault *watch;
};

static void map_file(struct mapped *mapped)
{
	char path[] = "/tmp/repstore_mapfault.XXXXXX";
	*mapped = (struct mapped){.page = (size_t)sysconf(_SC_PAGESIZE)};
	mapped->fd = mkstemp(path);
	assert_true(mapped->fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(mapped->fd, (off_t)(PAGES * mapped->page)), 0);
	assert_int_equal(pwrite(mapped->fd, "x", 1, 0), 1);
	mapped->data = mmap(NULL, PAGES * mapped->page, PROT_READ, MAP_SHARED, mapped->fd, 0);
	assert_ptr_not_equal(mapped->data, MAP_FAILED);
	assert_int_equal(mapfault_watch(mapped->data, PAGES * mapped->page, &mapped->flag, MARK,
				 &mapped->watch),
		STATUS_OK);
}

static void unmap_file(struct mapped *mapped)
{
	mapfault_forget(mapped->watch);
	munmap(mapped->data, PAGES * mapped->page);
	close(mapped->fd);
}

/* ThreadSanitizer takes the page that the handler puts there for a write. */
__attribute__((no_sanitize("thread"))) static uint8_t read_byte(const struct mapped *mapped,
	size_t offset)
{
	return *(volatile const uint8_t *)(mapped->data + offset);
}

static void a_read_behind_the_end_gives_zeros_and_a_mark(void **state)
{
	(void)state;
	struct mapped mapped;
	assert_int_equal(mapfault_install(), STATUS_OK);
	map_file(&mapped);
	const unsigned before = mapfault_count();
	assert_int_equal(read_byte(&mapped, 0), 'x');
	assert_int_equal(ftruncate(mapped.fd, (off_t)(2 * mapped.page)), 0);
	assert_int_equal(read_byte(&mapped, 2 * mapped.page - 1), 0);
	assert_int_equal(mapfault_count(), before);
	assert_int_equal(mapped.flag, 0);
	assert_int_equal(read_byte(&mapped, 2 * mapped.page), 0);
	assert_int_equal(mapfault_count(), before + 1);
	assert_int_equal(mapped.flag, MARK);
	/* The page is there now; the next one is not. */
	assert_int_equal(read_byte(&mapped, 2 * mapped.page + 100), 0);
	assert_int_equal(mapfault_count(), before + 1);
	assert_int_equal(read_byte(&mapped, PAGES * mapped.page - 1), 0);
	assert_int_equal(mapfault_count(), before + 2);
	assert_int_equal(read_byte(&mapped, 0), 'x');
	unmap_file(&mapped);
}

__attribute__((no_sanitize("thread"))) static void write_byte(const struct mapped *mapped,
	size_t offset, uint8_t value)
{
	*(volatile uint8_t *)(mapped->data + offset) = value;
}

/* Whoever fills a map goes on to its end, and looks at the mark then. */
static void a_write_behind_the_end_is_marked_and_goes_on(void **state)
{
	(void)state;
	struct mapped mapped;
	assert_int_equal(mapfault_install(), STATUS_OK);
	map_file(&mapped);
	assert_int_equal(mprotect(mapped.data, PAGES * mapped.page, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(ftruncate(mapped.fd, (off_t)(2 * mapped.page)), 0);
	for (size_t at = 0; at < PAGES * mapped.page; at += mapped.page / 2) {
		assert_int_equal(mapped.flag, at <= 2 * mapped.page ? 0 : MARK);
		write_byte(&mapped, at, 7);
		assert_int_equal(read_byte(&mapped, at), 7);
	}
	assert_int_equal(mapped.flag, MARK);
	unmap_file(&mapped);
}

static void each_range_marks_its_own_flag(void **state)
{
	(void)state;
	struct mapped mapped[3];
	assert_int_equal(mapfault_install(), STATUS_OK);
	for (unsigned i = 0; i < 3; i++) {
		map_file(&mapped[i]);
	}
	assert_int_equal(ftruncate(mapped[1].fd, 0), 0);
	assert_int_equal(read_byte(&mapped[1], 0), 0);
	assert_int_equal(mapped[0].flag, 0);
	assert_int_equal(mapped[1].flag, MARK);
	assert_int_equal(mapped[2].flag, 0);
	/* A place that was forgotten is taken again. */
	struct mapfault *watch = mapped[1].watch;
	unmap_file(&mapped[1]);
	map_file(&mapped[1]);
	assert_ptr_equal(mapped[1].watch, watch);
	assert_int_equal(ftruncate(mapped[1].fd, 0), 0);
	assert_int_equal(read_byte(&mapped[1], mapped[1].page), 0);
	assert_int_equal(mapped[1].flag, MARK);
	for (unsigned i = 0; i < 3; i++) {
		unmap_file(&mapped[i]);
	}
	mapfault_forget(NULL);
}

static void a_fault_marks_its_page(void **state)
{
	(void)state;
	struct mapped mapped;
	_Atomic unsigned char marks[PAGES] = {0};
	assert_int_equal(mapfault_install(), STATUS_OK);
	map_file(&mapped);
	mapfault_forget(mapped.watch);
	/* The range begins within a page. */
	assert_int_equal(mapfault_watch_pages(mapped.data + 64, PAGES * mapped.page - 64,
				 &mapped.flag, marks, MARK, &mapped.watch),
		STATUS_OK);
	assert_int_equal(ftruncate(mapped.fd, (off_t)mapped.page), 0);
	assert_int_equal(read_byte(&mapped, 3 * mapped.page + 5), 0);
	assert_int_equal(read_byte(&mapped, PAGES * mapped.page - 1), 0);
	assert_int_equal(mapped.flag, MARK);
	for (unsigned i = 0; i < PAGES; i++) {
		assert_int_equal(marks[i], i == 3 || i == PAGES - 1 ? MARK : 0);
	}
	unmap_file(&mapped);
}

/* Each page of zeros is a map of its own, of which a process has only so many. */
static void many_faults_mark_all_pages(void **state)
{
	(void)state;
	enum { MANY = MAPFAULT_PAGES_MAX + 10 };
	static _Atomic unsigned char marks[MANY];
	struct mapped mapped;
	assert_int_equal(mapfault_install(), STATUS_OK);
	map_file(&mapped);
	const size_t len = MANY * mapped.page;
	struct mapped many = mapped;
	many.data = mmap(NULL, len, PROT_READ, MAP_SHARED, mapped.fd, 0);
	assert_ptr_not_equal(many.data, MAP_FAILED);
	assert_int_equal(mapfault_watch_pages(many.data, len, &many.flag, marks, MARK, &many.watch),
		STATUS_OK);
	for (unsigned i = 0; i < MAPFAULT_PAGES_MAX; i++) {
		assert_int_equal(read_byte(&many, (PAGES + i) * mapped.page), 0);
	}
	assert_int_equal(marks[0], 0);
	assert_int_equal(marks[MANY - 1], 0);
	assert_int_equal(read_byte(&many, (MANY - 2) * mapped.page), 0);
	assert_int_equal(marks[0], MARK);
	assert_int_equal(marks[MANY - 1], MARK);
	mapfault_forget(many.watch);
	assert_int_equal(munmap(many.data, len), 0);
	unmap_file(&mapped);
}

/* A watch that looked at all others first would take minutes here, and the test would be ended. */
static void many_ranges_are_watched(void **state)
{
	enum { RANGES = 400000 };
	(void)state;
	struct mapfault **watches = malloc(RANGES * sizeof(struct mapfault *));
	_Atomic unsigned char flag = 0;
	uint8_t *anywhere = mmap(NULL, RANGES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_non_null(watches);
	assert_ptr_not_equal(anywhere, MAP_FAILED);
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < RANGES; i++) {
			assert_int_equal(mapfault_watch(anywhere + i, 1, &flag, MARK, &watches[i]),
				STATUS_OK);
		}
		for (size_t i = 0; i < RANGES; i++) {
			mapfault_forget(watches[i]);
		}
	}
	(void)munmap(anywhere, RANGES);
	free(watches);
}

static void a_fault_elsewhere_still_ends_the_process(void **state)
{
	(void)state;
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct mapped mapped;
		(void)mapfault_install();
		map_file(&mapped);
		mapfault_forget(mapped.watch);
		if (ftruncate(mapped.fd, 0) == 0) {
			(void)read_byte(&mapped, 0);
		}
		_exit(0);
	}
	int how = 0;
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_true(WIFSIGNALED(how));
	assert_int_equal(WTERMSIG(how), SIGBUS);
}

static void *read_all(void *arg)
{
	const struct mapped *mapped = arg;
	for (size_t page = 0; page < PAGES; page++) {
		if (read_byte(mapped, page * mapped->page) != 0) {
			return arg;
		}
	}
	return NULL;
}

static void threads_may_fault_at_once(void **state)
{
	(void)state;
	struct mapped mapped;
	assert_int_equal(mapfault_install(), STATUS_OK);
	map_file(&mapped);
	assert_int_equal(ftruncate(mapped.fd, 0), 0);
	pthread_t threads[4];
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, read_all, &mapped), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		void *wrong;
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	assert_int_equal(mapped.flag, MARK);
	unmap_file(&mapped);
}

static bool watches(void *arg)
{
	static _Atomic unsigned char flag;
	struct mapfault *watch = NULL;
	const enum status status = mapfault_watch(arg, 1, &flag, MARK, &watch);
	assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
	mapfault_forget(watch);
	return status == STATUS_OK;
}

static void refused_memory_is_told_as_such(void **state)
{
	(void)state;
	/* Whoever needs no new place needs no memory: take all there are. */
	static uint8_t byte;
	static _Atomic unsigned char flag;
	struct mapfault *taken[8];
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(mapfault_watch(&byte, 1, &flag, MARK, &taken[i]), STATUS_OK);
	}
	assert_int_equal(alloc_fail_each(watches, &byte), 1);
	for (unsigned i = 0; i < 8; i++) {
		mapfault_forget(taken[i]);
	}
}

/* ---- in a process that has a handler of its own ---- */

static sigjmp_buf after_fault;
static void *volatile fault_at;

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	fault_at = info->si_addr;
	siglongjmp(after_fault, 1);
}

static void on_other_fault(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	abort();
}

static bool is_handler(void (*handler)(int number, siginfo_t *info, void *context))
{
	struct sigaction now;
	assert_int_equal(sigaction(SIGBUS, NULL, &now), 0);
	return now.sa_sigaction == handler;
}

static void a_fault_that_is_not_ours_goes_to_the_handler_of_the_process(void **state)
{
	struct mapped ours;
	struct mapped theirs;
	struct sigaction before;
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	(void)state;
	sigemptyset(&action.sa_mask);
	assert_int_equal(sigaction(SIGBUS, &action, &before), 0);
	assert_int_equal(mapfault_install_beside(), STATUS_OK);
	assert_int_equal(mapfault_install_beside(), STATUS_OK);
	assert_false(is_handler(on_fault));
	map_file(&ours);
	map_file(&theirs);
	mapfault_forget(theirs.watch);
	theirs.watch = NULL;
	assert_int_equal(ftruncate(ours.fd, 0), 0);
	assert_int_equal(ftruncate(theirs.fd, 0), 0);
	assert_int_equal(read_byte(&ours, ours.page), 0);
	assert_int_equal(ours.flag, MARK);
	assert_null(fault_at);
	if (sigsetjmp(after_fault, 1) == 0) {
		(void)read_byte(&theirs, 2 * theirs.page);
		fail_msg("the process was not told");
	}
	assert_ptr_equal(fault_at, theirs.data + 2 * theirs.page);
	unmap_file(&ours);
	unmap_file(&theirs);
	mapfault_remove_beside();
	assert_false(is_handler(on_fault));
	mapfault_remove_beside();
	assert_true(is_handler(on_fault));
	/* Nor is one put back where somebody has put another one meanwhile. */
	assert_int_equal(mapfault_install_beside(), STATUS_OK);
	action.sa_sigaction = on_other_fault;
	assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
	mapfault_remove_beside();
	assert_true(is_handler(on_other_fault));
	assert_int_equal(sigaction(SIGBUS, &before, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_behind_the_end_gives_zeros_and_a_mark),
		cmocka_unit_test(a_write_behind_the_end_is_marked_and_goes_on),
		cmocka_unit_test(each_range_marks_its_own_flag),
		cmocka_unit_test(a_fault_elsewhere_still_ends_the_process),
		cmocka_unit_test(threads_may_fault_at_once),
		cmocka_unit_test(refused_memory_is_told_as_such),
		/* Behind the others: it leaves many places that may be taken again. */
		cmocka_unit_test(a_fault_marks_its_page),
		cmocka_unit_test(many_faults_mark_all_pages),
		cmocka_unit_test(many_ranges_are_watched),
		cmocka_unit_test(a_fault_that_is_not_ours_goes_to_the_handler_of_the_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
