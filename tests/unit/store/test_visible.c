/* test_visible.c - the page that tells readers without the daemon how far they may read. */
#include "daemon/store/system/bytes.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/mapfault.h"
#include "daemon/store/visible/visible_page.h"
#include "daemon/store/visible/visible_view.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/alloc_fail.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/scratch.h"

enum { WRITES = 20000, READERS = 2, SECOND_NS = 1000000000 };

/* Fields that belong together, so that a mixture is seen. */
static struct visible numbered(uint64_t n)
{
	return (struct visible){.replayed = n + 1,
		.visible = 3 * n,
		.file = n + 2,
		.offset = 5 * n,
		.current = ~n};
}

static void expect_numbered(const struct visible *state)
{
	const uint64_t n = state->visible / 3;
	const struct visible all = numbered(n);
	assert_int_equal(state->replayed, all.replayed);
	assert_int_equal(state->visible, all.visible);
	assert_int_equal(state->file, all.file);
	assert_int_equal(state->offset, all.offset);
	assert_int_equal(state->current, all.current);
}

static struct visible_page *open_page(const struct scratch *scratch)
{
	struct visible_page *page = NULL;
	struct error err = {0};
	scratch_must(visible_page_open(scratch->folder, &page, &err), &err);
	return page;
}

static struct visible_view *open_view(const char *folder)
{
	struct visible_view *view = NULL;
	struct error err = {0};
	scratch_must(visible_view_open(folder, &view, &err), &err);
	return view;
}

static void write_numbered(struct visible_page *page, uint64_t n)
{
	const struct visible state = numbered(n);
	visible_page_write(page, &state);
}

static struct visible read_view(const struct visible_view *view)
{
	struct visible state;
	assert_true(visible_view_read(view, &state));
	return state;
}

static struct stat about(const char *folder)
{
	char path[PATH_MAX];
	struct stat found;
	(void)snprintf(path, sizeof path, "%s/visible", folder);
	assert_int_equal(stat(path, &found), 0);
	return found;
}

static void a_reader_sees_what_was_written_last(void **state)
{
	const struct scratch *scratch = *state;
	struct visible_page *page = open_page(scratch);
	struct visible_view *view = open_view(scratch->folder);
	struct visible seen;
	assert_false(visible_view_read(view, &seen)); /* nothing was written yet */
	const uint64_t before_ns = clock_monotonic_ns();
	for (uint64_t n = 1; n < 10; n++) {
		write_numbered(page, n);
		seen = read_view(view);
		expect_numbered(&seen);
		assert_int_equal(seen.visible, 3 * n);
		assert_int_equal(seen.seq, n);
	}
	assert_true(seen.monotonic_ns >= before_ns && seen.monotonic_ns <= clock_monotonic_ns());
	assert_true(seen.wall_ms > 1000000000000);
	visible_view_close(view);
	visible_page_close(page);
}

/* Nothing of it is missing on the disk, and a start goes on in the file that readers have open. */
static void a_start_goes_on_in_the_same_file(void **state)
{
	const struct scratch *scratch = *state;
	const mode_t mask = umask(0);
	struct visible_page *page = open_page(scratch);
	(void)umask(mask);
	struct visible_view *view = open_view(scratch->folder);
	const struct stat made = about(scratch->folder);
	assert_int_equal(made.st_size, VISIBLE_BYTES);
	assert_true(made.st_blocks * 512 >= VISIBLE_BYTES);
	assert_int_equal(made.st_mode & 07777, 0640);
	write_numbered(page, 1);
	write_numbered(page, 2);
	const struct visible before = read_view(view);
	visible_page_close(page);
	page = open_page(scratch);
	struct visible seen = read_view(view);
	assert_int_equal(seen.start, before.start); /* it stands until the new start writes */
	write_numbered(page, 3);
	seen = read_view(view);
	expect_numbered(&seen);
	assert_int_equal(seen.seq, 3);
	assert_true(seen.start != before.start);
	assert_int_equal(about(scratch->folder).st_ino, made.st_ino);
	assert_false(visible_view_is_replaced(view, scratch->folder));
	visible_view_close(view);
	visible_page_close(page);
}

static void a_reader_notices_another_file(void **state)
{
	const struct scratch *scratch = *state;
	char path[PATH_MAX];
	char away[PATH_MAX];
	(void)snprintf(path, sizeof path, "%s/visible", scratch->folder);
	(void)snprintf(away, sizeof away, "%s/away", scratch->folder);
	visible_page_close(open_page(scratch));
	struct visible_view *view = open_view(scratch->folder);
	assert_int_equal(rename(path, away), 0);
	assert_true(visible_view_is_replaced(view, scratch->folder));
	visible_page_close(open_page(scratch));
	assert_true(visible_view_is_replaced(view, scratch->folder));
	visible_view_close(view);
}

/* A daemon that was killed while it wrote leaves the copy before. */
static void a_torn_copy_does_not_count(void **state)
{
	(void)state;
	uint64_t words[VISIBLE_BYTES / 8];
	uint8_t *page = (uint8_t *)words;
	struct visible seen;
	for (size_t at = 0; at < VISIBLE_COPY_BYTES; at++) {
		visible_begin(page);
		for (uint64_t seq = 6; seq < 9; seq++) {
			struct visible next = numbered(seq);
			next.seq = seq;
			visible_store(page, &next);
		}
		assert_true(visible_load(page, &seen));
		assert_int_equal(seen.seq, 8);
		page[VISIBLE_COPY_EVEN + at] ^= 1;
		assert_true(visible_load(page, &seen));
		assert_int_equal(seen.seq, 7);
		expect_numbered(&seen);
		page[VISIBLE_COPY_ODD + at] ^= 0x80;
		assert_false(visible_load(page, &seen));
		page[VISIBLE_COPY_EVEN + at] ^= 1;
		assert_true(visible_load(page, &seen));
		assert_int_equal(seen.seq, 8);
	}
	/* A whole copy counts in its own place only. */
	visible_begin(page);
	memcpy(page + VISIBLE_COPY_ODD, page + VISIBLE_COPY_EVEN, VISIBLE_COPY_BYTES);
	struct visible even = {.seq = 4};
	visible_store(page, &even);
	memcpy(page + VISIBLE_COPY_ODD, page + VISIBLE_COPY_EVEN, VISIBLE_COPY_BYTES);
	memset(page + VISIBLE_COPY_EVEN, 0, VISIBLE_COPY_BYTES);
	assert_false(visible_load(page, &seen));
}

static void another_head_is_refused_by_name(void **state)
{
	(void)state;
	uint64_t words[VISIBLE_BYTES / 8];
	uint8_t *page = (uint8_t *)words;
	struct error err = {0};
	visible_begin(page);
	assert_int_equal(visible_check(page, &err), STATUS_OK);
	bytes_put_u32(page + 8, VISIBLE_VERSION + 8); /* a later one that this build can read */
	assert_int_equal(visible_check(page, &err), STATUS_OK);
	assert_false(visible_is_ours(page));
	bytes_put_u32(page + 12, VISIBLE_VERSION + 7);
	assert_int_equal(visible_check(page, &err), STATUS_UNSUPPORTED);
	assert_string_equal(err.text,
		"visible: format version 9, for readers of 8 or newer; this build knows 1");
	visible_begin(page);
	page[3] ^= 1;
	assert_int_equal(visible_check(page, &err), STATUS_CORRUPT);
	assert_string_equal(err.text, "visible: not a file of repstore");
}

static void a_daemon_is_dead_when_its_clock_stands_or_is_ahead(void **state)
{
	(void)state;
	const struct visible then = {.monotonic_ns = 10 * (uint64_t)SECOND_NS};
	assert_true(visible_is_alive(&then, then.monotonic_ns));
	assert_true(visible_is_alive(&then, then.monotonic_ns + SECOND_NS));
	assert_false(visible_is_alive(&then, then.monotonic_ns + SECOND_NS + 1));
	assert_false(visible_is_alive(&then, then.monotonic_ns - 1)); /* a reboot */
}

struct follower {
	const struct visible_view *view;
	_Atomic bool *stop;
	uint64_t seen; /* different states */
	uint64_t wrong;
};

static void *read_on(void *arg)
{
	struct follower *follower = arg;
	struct visible last = {.seq = 0};
	while (!atomic_load(follower->stop)) {
		struct visible now;
		if (!visible_view_read(follower->view, &now)) {
			follower->wrong++;
			continue;
		}
		const struct visible all = numbered(now.visible / 3);
		follower->wrong += now.seq < last.seq || now.visible != 3 * now.seq ||
				   now.offset != all.offset || now.file != all.file ||
				   now.current != all.current;
		follower->seen += now.seq != last.seq;
		last = now;
	}
	return NULL;
}

static void readers_see_whole_states_while_they_are_written(void **state)
{
	const struct scratch *scratch = *state;
	struct visible_page *page = open_page(scratch);
	struct visible_view *view = open_view(scratch->folder);
	struct follower followers[READERS];
	pthread_t threads[READERS];
	_Atomic bool stop = false;
	write_numbered(page, 1);
	for (size_t i = 0; i < READERS; i++) {
		followers[i] = (struct follower){.view = view, .stop = &stop};
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &followers[i]), 0);
	}
	for (uint64_t n = 2; n < WRITES; n++) {
		write_numbered(page, n);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(followers[i].wrong, 0);
	}
	visible_view_close(view);
	visible_page_close(page);
}

static void what_is_no_page_is_refused(void **state)
{
	const struct scratch *scratch = *state;
	char path[PATH_MAX];
	struct error err = {0};
	struct visible_page *page = NULL;
	struct visible_view *view = NULL;
	(void)snprintf(path, sizeof path, "%s/visible", scratch->folder);
	assert_int_equal(visible_view_open(scratch->folder, &view, &err), STATUS_NOT_FOUND);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(visible_view_open(scratch->folder, &view, &err), STATUS_IO);
	assert_int_equal(visible_page_open(scratch->folder, &page, &err), STATUS_IO);
	assert_non_null(strstr(err.text, "it is no file"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_int_not_equal(visible_view_open(scratch->folder, &view, &err), STATUS_OK);
	assert_int_not_equal(visible_page_open(scratch->folder, &page, &err), STATUS_OK);
	assert_non_null(strstr(err.text, "link"));
	assert_int_equal(unlink(path), 0);
	/* What a start that was killed has left of it. */
	scratch_write(path, "repst", 5);
	assert_int_equal(visible_view_open(scratch->folder, &view, &err), STATUS_NOT_FOUND);
	visible_page_close(open_page(scratch));
	assert_int_equal(about(scratch->folder).st_size, VISIBLE_BYTES);
	/* And what a later version has. */
	struct scratch_file file = scratch_read(path);
	bytes_put_u32(file.data + 12, VISIBLE_VERSION + 1);
	memset(file.data + VISIBLE_COPY_EVEN, 0x55, VISIBLE_COPY_BYTES);
	scratch_write(path, file.data, file.len);
	free(file.data);
	assert_int_equal(visible_view_open(scratch->folder, &view, &err), STATUS_UNSUPPORTED);
	page = open_page(scratch);
	write_numbered(page, 1);
	view = open_view(scratch->folder);
	assert_int_equal(read_view(view).seq, 1);
	visible_view_close(view);
	visible_page_close(page);
}

static void a_page_that_is_cut_is_lost_and_nothing_else(void **state)
{
	const struct scratch *scratch = *state;
	char path[PATH_MAX];
	(void)snprintf(path, sizeof path, "%s/visible", scratch->folder);
	assert_int_equal(mapfault_install(), STATUS_OK);
	struct visible_page *page = open_page(scratch);
	write_numbered(page, 1);
	assert_false(visible_page_is_lost(page));
	assert_int_equal(truncate(path, 0), 0);
	write_numbered(page, 2);
	assert_true(visible_page_is_lost(page));
	write_numbered(page, 3);
	visible_page_close(page);
}

static bool opens_both(void *arg)
{
	const struct scratch *scratch = arg;
	struct error err = {0};
	struct visible_page *page = NULL;
	struct visible_view *view = NULL;
	enum status status = visible_page_open(scratch->folder, &page, &err);
	if (status == STATUS_OK) {
		status = visible_view_open(scratch->folder, &view, &err);
	}
	visible_view_close(view);
	visible_page_close(page);
	assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
	return status == STATUS_OK;
}

static void refused_memory_is_told_as_such(void **state)
{
	assert_true(alloc_fail_each(opens_both, *state) >= 2);
}

int main(void)
{
	struct CMUnitTest all[] = {
		cmocka_unit_test(a_reader_sees_what_was_written_last),
		cmocka_unit_test(a_start_goes_on_in_the_same_file),
		cmocka_unit_test(a_reader_notices_another_file),
		cmocka_unit_test(a_torn_copy_does_not_count),
		cmocka_unit_test(another_head_is_refused_by_name),
		cmocka_unit_test(a_daemon_is_dead_when_its_clock_stands_or_is_ahead),
		cmocka_unit_test(readers_see_whole_states_while_they_are_written),
		cmocka_unit_test(what_is_no_page_is_refused),
		cmocka_unit_test(a_page_that_is_cut_is_lost_and_nothing_else),
		cmocka_unit_test(refused_memory_is_told_as_such),
	};
	return fixture_run(all, sizeof all / sizeof *all, scratch_setup, scratch_teardown);
}
