/* test_visible_store.c - a store keeps DATA/visible true: after each write, while nobody writes, and over starts. */
#include "daemon/store/state/state.h"
#include "daemon/store/system/mapfault.h"
#include "daemon/store/visible/visible_view.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fixture.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

enum { SECOND_NS = 1000000000 };

static struct visible_view *view_of(const struct scratch *scratch)
{
	struct visible_view *view = NULL;
	struct error err = {0};
	scratch_must(visible_view_open(scratch->data, &view, &err), &err);
	return view;
}

static struct visible read_view(const struct visible_view *view)
{
	struct visible state;
	assert_true(visible_view_read(view, &state));
	return state;
}

/* What is acknowledged is on the page, and the place in the log up to which it stands. */
static void a_put_is_on_the_page_when_it_is_acknowledged(void **state)
{
	struct scratch *scratch = *state;
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_publish(scratch, "r1");
	struct visible_view *view = view_of(scratch);
	struct visible last = read_view(view);
	assert_int_equal(last.visible, 0);
	for (uint32_t i = 1; i < 20; i++) {
		char path[PATH_MAX];
		struct stat log;
		scratch_put(scratch, "r1", (struct scratch_rows){i, 1, 2});
		const struct visible now = read_view(view);
		assert_int_equal(now.visible, i);
		assert_int_equal(now.start, last.start);
		assert_int_equal(now.replayed, 0);
		assert_int_equal(now.file, 1);
		scratch_path(scratch, path, "log/1.log");
		assert_int_equal(stat(path, &log), 0);
		assert_int_equal(now.offset, log.st_size);
		assert_true(now.seq > last.seq);
		last = now;
	}
	visible_view_close(view);
}

/* So a reader tells a daemon that nobody writes to from a dead one. */
static void the_clock_moves_on_while_nobody_writes(void **state)
{
	struct scratch *scratch = *state;
	struct wait wait = {0};
	struct visible_view *view = view_of(scratch);
	const struct visible first = read_view(view);
	while (read_view(view).seq < first.seq + 3) {
		wait_a_moment(&wait);
	}
	const struct visible now = read_view(view);
	assert_true(now.monotonic_ns > first.monotonic_ns);
	assert_int_equal(now.visible, first.visible);
	scratch_close(scratch);
	const struct visible end = read_view(view);
	assert_true(visible_is_alive(&end, end.monotonic_ns));
	assert_false(visible_is_alive(&end, end.monotonic_ns + 2 * (uint64_t)SECOND_NS));
	visible_view_close(view);
}

static void a_change_of_the_catalog_is_on_the_page(void **state)
{
	struct scratch *scratch = *state;
	struct wait wait = {0};
	struct visible_view *view = view_of(scratch);
	scratch_sealed(scratch, "r1", 0, 10, 1);
	uint64_t before = atomic_load(&scratch->store->currents);
	while (read_view(view).current != before) {
		wait_a_moment(&wait);
	}
	scratch_publish(scratch, "r1");
	assert_true(atomic_load(&scratch->store->currents) > before);
	while (read_view(view).current == before) {
		wait_a_moment(&wait);
	}
	visible_view_close(view);
}

static void a_restart_says_what_it_has_replayed(void **state)
{
	struct scratch *scratch = *state;
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_put(scratch, "r1", (struct scratch_rows){1, 5, 2});
	scratch_put(scratch, "r1", (struct scratch_rows){1, 5, 3});
	struct visible_view *view = view_of(scratch);
	const struct visible before = read_view(view);
	scratch_reopen(scratch);
	struct visible now = read_view(view);
	assert_true(now.start != before.start);
	assert_true(now.seq > before.seq);
	assert_int_equal(now.replayed, 2);
	assert_int_equal(now.visible, 2);
	assert_int_equal(now.file, before.file);
	assert_int_equal(now.offset, before.offset);
	scratch_put(scratch, "r1", (struct scratch_rows){1, 5, 4});
	now = read_view(view);
	assert_int_equal(now.replayed, 2);
	assert_int_equal(now.visible, 3);
	visible_view_close(view);
}

/* Reading over the socket goes on, and the next start makes it. */
static void a_store_without_room_for_the_page_opens_without_it(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	struct rlimit limit;
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_close(scratch);
	scratch_path(scratch, path, "visible");
	assert_int_equal(unlink(path), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	const struct rlimit small = {.rlim_cur = VISIBLE_BYTES - 1, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	scratch_open(scratch);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(scratch_heard(scratch, "event=visible_not_made reason="));
	assert_false(scratch_exists(path));
	scratch_expect(scratch, "r1", 0, 10, 1);
	scratch_put(scratch, "r1", (struct scratch_rows){1, 5, 2});
	assert_false(scratch_exists(path));
	scratch_reopen(scratch);
	visible_view_close(view_of(scratch));
}

static void a_store_whose_page_is_cut_goes_on_without_it(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_path(scratch, path, "visible");
	assert_int_equal(mapfault_install(), STATUS_OK); /* cmocka has taken the signal */
	assert_int_equal(truncate(path, 0), 0);
	scratch_put(scratch, "r1", (struct scratch_rows){1, 5, 2});
	scratch_put(scratch, "r1", (struct scratch_rows){1, 5, 3});
	scratch_expect(scratch, "r1", 1, 5, 3);
	assert_true(scratch_heard(scratch, "event=visible_lost reason="));
	scratch_reopen(scratch);
	struct visible_view *view = view_of(scratch);
	assert_int_equal(read_view(view).visible, 2);
	visible_view_close(view);
}

int main(void)
{
	struct CMUnitTest all[] = {
		cmocka_unit_test(a_put_is_on_the_page_when_it_is_acknowledged),
		cmocka_unit_test(the_clock_moves_on_while_nobody_writes),
		cmocka_unit_test(a_change_of_the_catalog_is_on_the_page),
		cmocka_unit_test(a_restart_says_what_it_has_replayed),
		cmocka_unit_test(a_store_without_room_for_the_page_opens_without_it),
		cmocka_unit_test(a_store_whose_page_is_cut_goes_on_without_it),
	};
	return fixture_run(all, sizeof all / sizeof *all, scratch_setup_store, scratch_teardown);
}
