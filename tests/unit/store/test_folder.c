/* test_folder.c - the data folder is ours, and nothing in it is opened through a link. */
#include "daemon/store/system/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/store/system/file.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/store/scratch.h"

#include <cmocka.h>

static const char precious[] = "do not lose this";

/* Makes a file outside the data folder that a link may lead to. */
static void make_victim(const struct scratch *scratch, char path[PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, "%s/victim", scratch->folder);
	scratch_write(path, precious, sizeof precious);
}

static void expect_precious(const char *path)
{
	struct scratch_file file = scratch_read(path);
	assert_int_equal(file.len, sizeof precious);
	assert_memory_equal(file.data, precious, sizeof precious);
	free(file.data);
}

/* What an open is refused with, but for BUSY all is IO. */
/* Appends to the path of the data folder. */
static void append(char path[sizeof((struct scratch *)NULL)->data], const char *text)
{
	const size_t len = strlen(path);
	(void)snprintf(path + len, sizeof((struct scratch *)NULL)->data - len, "%s", text);
}

static void expect_refused(struct scratch *scratch, const char *word, const char *remedy)
{
	struct error err = {0};
	const enum status status = scratch_try_open(scratch, &err);
	assert_int_equal(status, STATUS_IO);
	if (strstr(err.text, word) == NULL || strstr(err.text, remedy) == NULL) {
		fail_msg("'%s' does not say '%s' and '%s'", err.text, word, remedy);
	}
}

static mode_t mode_of(const char *path)
{
	struct stat info;
	assert_int_equal(lstat(path, &info), 0);
	return info.st_mode & 07777;
}

static void a_folder_that_others_may_write_into_is_refused(void **state)
{
	static const mode_t wide[] = {0770, 0702, 01777, 0720};
	struct scratch *scratch = *state;
	assert_int_equal(mkdir(scratch->data, 0700), 0);
	for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
		assert_int_equal(chmod(scratch->data, wide[i]), 0);
		expect_refused(scratch, "may write into it", "chmod go-w");
		assert_int_equal(scratch_count(scratch->data, ""), 0);
	}
	assert_int_equal(chmod(scratch->data, 0755), 0); /* they may read */
	scratch_open(scratch);
}

static void a_folder_of_somebody_else_is_refused(void **state)
{
	enum { SOMEBODY = 65534 };
	struct scratch *scratch = *state;
	if (geteuid() != 0) {
		skip();
	}
	assert_int_equal(mkdir(scratch->data, 0700), 0);
	assert_int_equal(chown(scratch->data, SOMEBODY, SOMEBODY), 0);
	expect_refused(scratch, "belongs to user 65534", "chown -R 0");
	assert_int_equal(scratch_count(scratch->data, ""), 0);
}

static void folders_below_are_held_to_the_same(void **state)
{
	static const char *const below[] = {"releases", "log", "releases/1"};
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	scratch_open(scratch);
	scratch_sealed(scratch, "r", 0, 10, 1);
	scratch_close(scratch);
	for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
		scratch_path(scratch, path, below[i]);
		const mode_t before = mode_of(path);
		assert_int_equal(chmod(path, 0770), 0);
		expect_refused(scratch, below[i], "chmod go-w");
		assert_int_equal(chmod(path, before), 0);
	}
	scratch_open(scratch);
	scratch_expect(scratch, "r", 0, 10, 1);
}

static void a_link_to_the_folder_is_refused(void **state)
{
	struct scratch *scratch = *state;
	char real[PATH_MAX];
	(void)snprintf(real, sizeof real, "%s/real", scratch->folder);
	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(symlink(real, scratch->data), 0);
	expect_refused(scratch, "it is a symbolic link", "name the folder");
	append(scratch->data, "///");
	expect_refused(scratch, "it is a symbolic link", "name the folder");
	assert_int_equal(scratch_count(real, ""), 0);
}

static void a_slash_at_the_end_changes_nothing(void **state)
{
	struct scratch *scratch = *state;
	append(scratch->data, "//");
	scratch_open(scratch);
	scratch_sealed(scratch, "r", 0, 10, 1);
	scratch_reopen(scratch);
	scratch_expect(scratch, "r", 0, 10, 1);
}

static void the_lock_is_for_nobody_else(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	const mode_t mask = umask(0);
	scratch_open(scratch);
	scratch_path(scratch, path, "lock");
	assert_int_equal(mode_of(path), 0600);
	scratch_close(scratch);
	assert_int_equal(chmod(path, 0666), 0); /* as a version before made it */
	scratch_open(scratch);
	assert_int_equal(mode_of(path), 0600);
	(void)umask(mask);
}

static void a_lock_that_is_no_file_of_ours_is_refused(void **state)
{
	struct scratch *scratch = *state;
	char victim[PATH_MAX];
	char path[PATH_MAX];
	make_victim(scratch, victim);
	assert_int_equal(mkdir(scratch->data, 0700), 0);
	scratch_path(scratch, path, "lock");
	assert_int_equal(symlink(victim, path), 0);
	expect_refused(scratch, "/lock'", "symbolic link");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(link(victim, path), 0);
	expect_refused(scratch, "/lock'", "remove it");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_refused(scratch, "/lock'", "remove it");
	expect_precious(victim);
}

/* Whatever the daemon opens by itself, a link in its place leads nowhere. */
static void no_file_is_opened_through_a_link(void **state)
{
	static const char *const names[] = {"current.new", "catalog.mdb", "log/1.log", "log",
		"releases", "releases/1", "releases/1/base-1-0.mdb", "current"};
	struct scratch *scratch = *state;
	char victim[PATH_MAX];
	char path[PATH_MAX];
	char aside[PATH_MAX];
	make_victim(scratch, victim);
	scratch_open(scratch);
	scratch_sealed(scratch, "r", 0, 10, 1);
	scratch_close(scratch);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct error err = {0};
		scratch_path(scratch, path, names[i]);
		(void)snprintf(aside, sizeof aside, "%s/aside", scratch->folder);
		const bool was_there = scratch_exists(path);
		if (was_there) {
			assert_int_equal(rename(path, aside), 0);
		}
		/* What was there is where the link leads to, so following it would work. */
		assert_int_equal(symlink(was_there ? aside : victim, path), 0);
		const enum status status = scratch_try_open(scratch, &err);
		if (strcmp(names[i], "releases/1/base-1-0.mdb") == 0) {
			scratch_must(status, &err); /* a damaged table, and no refusal */
			assert_true(scratch_heard(scratch, "symbolic link"));
			scratch_close(scratch);
		} else if (strstr(err.text, "symbolic link") == NULL || status == STATUS_OK) {
			fail_msg("%s: %d '%s'", names[i], (int)status, err.text);
		}
		expect_precious(victim);
		assert_int_equal(unlink(path), 0);
		if (was_there) {
			assert_int_equal(rename(aside, path), 0);
		}
	}
	scratch_open(scratch);
	scratch_expect(scratch, "r", 0, 10, 1);
}

static void a_folder_that_is_renamed_is_still_written(void **state)
{
	struct scratch *scratch = *state;
	char moved[PATH_MAX];
	scratch_open(scratch);
	scratch_release(scratch, "r");
	(void)snprintf(moved, sizeof moved, "%s/moved", scratch->folder);
	assert_int_equal(rename(scratch->data, moved), 0);
	assert_int_equal(mkdir(scratch->data, 0777), 0);
	scratch_chunk(scratch, "r", "all", 0, (struct scratch_rows){0, 10, 1});
	scratch_end(scratch, "r", "all", 1, 10);
	scratch_seal(scratch, "r");
	scratch_expect(scratch, "r", 0, 10, 1);
	assert_int_equal(scratch_count(scratch->data, ""), 0); /* nothing went to the other one */
	scratch_close(scratch);
	assert_int_equal(rmdir(scratch->data), 0);
	assert_int_equal(rename(moved, scratch->data), 0);
	scratch_open(scratch);
	scratch_expect(scratch, "r", 0, 10, 1);
}

static void a_folder_that_all_may_rename_is_warned_of(void **state)
{
	struct scratch *scratch = *state;
	assert_int_equal(chmod(scratch->folder, 01777), 0);
	scratch_open(scratch);
	assert_false(scratch_heard(scratch, "event=folder_exposed"));
	assert_int_equal(chmod(scratch->folder, 0777), 0);
	scratch_reopen(scratch);
	assert_true(scratch_heard(scratch, "event=folder_exposed"));
}

static void a_path_finds_its_folder(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	const char *rest;
	scratch_open(scratch);
	scratch_path(scratch, path, "log/1.log");
	assert_int_not_equal(folder_find(path, &rest, NULL), AT_FDCWD);
	assert_string_equal(rest, "log/1.log");
	assert_int_not_equal(folder_find(scratch->data, &rest, NULL), AT_FDCWD);
	assert_string_equal(rest, ".");
	(void)snprintf(path, sizeof path, "%s-beside/x", scratch->data);
	assert_int_equal(folder_find(path, &rest, NULL), AT_FDCWD);
	assert_ptr_equal(rest, path);
	/* A path that climbs out is refused. */
	scratch_path(scratch, path, "log/../lock");
	assert_int_equal(file_open(path, O_RDONLY, 0), -1);
	assert_int_equal(errno, EINVAL);
	scratch_path(scratch, path, "..");
	assert_int_equal(file_open(path, O_RDONLY, 0), -1);
	scratch_close(scratch);
	scratch_path(scratch, path, "log/1.log");
	assert_int_equal(folder_find(path, &rest, NULL), AT_FDCWD);
}

static bool opens(void *arg)
{
	struct folder *folder = NULL;
	const struct scratch *scratch = arg;
	const enum status status = folder_open(scratch->data, &folder, NULL);
	assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
	folder_close(folder);
	return status == STATUS_OK;
}

static void refused_memory_is_told_as_such(void **state)
{
	assert_int_equal(alloc_fail_each(opens, *state), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_folder_that_others_may_write_into_is_refused),
		CASE(a_folder_of_somebody_else_is_refused),
		CASE(folders_below_are_held_to_the_same),
		CASE(a_link_to_the_folder_is_refused),
		CASE(a_slash_at_the_end_changes_nothing),
		CASE(the_lock_is_for_nobody_else),
		CASE(a_lock_that_is_no_file_of_ours_is_refused),
		CASE(no_file_is_opened_through_a_link),
		CASE(a_folder_that_is_renamed_is_still_written),
		CASE(a_folder_that_all_may_rename_is_warned_of),
		CASE(a_path_finds_its_folder),
		CASE(refused_memory_is_told_as_such),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
