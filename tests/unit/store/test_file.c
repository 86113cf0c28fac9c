/* test_file.c - files are written whole or not at all, and read within a bound. */
#include "daemon/store/system/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/alloc_fail.h"
#include "tests/unit/store/scratch.h"

#include <cmocka.h>

static void in_folder(const struct scratch *scratch, const char *name, char *out)
{
	scratch_must(file_path(out, scratch->folder, name, NULL), NULL);
}

static void what_is_written_is_read(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	in_folder(scratch, "a", path);
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	char back[8] = {0};
	assert_int_equal(file_write_at(fd, "middle", 6, 3), STATUS_OK);
	assert_int_equal(file_write_at(fd, "abc", 3, 0), STATUS_OK);
	assert_int_equal(file_write_at(fd, NULL, 0, 100), STATUS_OK);
	assert_int_equal(file_read_at(fd, back, 7, 2), STATUS_OK);
	assert_memory_equal(back, "cmiddle", 7);
	assert_int_equal(file_read_at(fd, back, 2, 8), STATUS_CORRUPT);
	assert_int_equal(file_read_at(fd, back, 1, 9), STATUS_CORRUPT);
	assert_int_equal(file_read_at(fd, back, 0, 9), STATUS_OK);
	close(fd);
	assert_int_equal(file_read_at(fd, back, 1, 0), STATUS_IO);
	assert_int_equal(file_write_at(fd, back, 1, 0), STATUS_IO);
}

static void a_full_disk_is_told_as_such(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	struct error err = {0};
	in_folder(scratch, "a", path);
	scratch_must(file_replace(scratch->folder, "a", "before", 6, &err), &err);
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	const struct rlimit small = {.rlim_cur = 1000, .rlim_max = limit.rlim_max};
	(void)signal(SIGXFSZ, SIG_IGN);
	static const char data[4000];
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	const enum status status = file_replace(scratch->folder, "a", data, sizeof data, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(status, STATUS_DISK_FULL);
	assert_int_equal(err.status, STATUS_DISK_FULL);
	struct scratch_file file = scratch_read(path);
	assert_int_equal(file.len, 6);
	assert_memory_equal(file.data, "before", 6);
	free(file.data);
}

static void a_file_is_replaced_whole(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	struct error err = {0};
	in_folder(scratch, "a", path);
	scratch_must(file_replace(scratch->folder, "a", "first", 5, &err), &err);
	in_folder(scratch, "a.new", path);
	scratch_write(path, "a longer leftover", 17);
	scratch_must(file_replace(scratch->folder, "a", "2nd", 3, &err), &err);
	assert_false(scratch_exists(path));
	in_folder(scratch, "a", path);
	uint8_t *data = NULL;
	size_t len = 0;
	scratch_must(file_read_all(path, 3, &data, &len, &err), &err);
	assert_int_equal(len, 3);
	assert_memory_equal(data, "2nd", 3);
	free(data);
	assert_int_equal(file_read_all(path, 2, &data, &len, &err), STATUS_TOO_LARGE);
	in_folder(scratch, "nowhere", path);
	assert_int_equal(file_replace(path, "a", "x", 1, &err), STATUS_NOT_FOUND);
	assert_int_equal(err.status, STATUS_NOT_FOUND);
}

static void a_missing_file_is_not_found(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	struct error err = {0};
	uint8_t *data = NULL;
	size_t len = 0;
	in_folder(scratch, "a", path);
	assert_int_equal(file_read_all(path, 100, &data, &len, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, path));
	/* A folder has a size too, but cannot be read. */
	assert_int_not_equal(file_read_all(scratch->folder, 1 << 20, &data, &len, &err), STATUS_OK);
	assert_null(data);
}

static void an_empty_file_is_read(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	struct error err = {0};
	uint8_t *data = NULL;
	size_t len = 1;
	in_folder(scratch, "a", path);
	scratch_must(file_replace(scratch->folder, "a", "", 0, &err), &err);
	scratch_must(file_read_all(path, 0, &data, &len, &err), &err);
	assert_int_equal(len, 0);
	assert_non_null(data);
	free(data);
}

static void folders_are_made_once_and_removed_with_their_files(void **state)
{
	struct scratch *scratch = *state;
	char folder[PATH_MAX];
	char file[PATH_MAX];
	struct error err = {0};
	in_folder(scratch, "sub", folder);
	scratch_must(file_make_folder(folder, &err), &err);
	scratch_must(file_make_folder(folder, &err), &err);
	scratch_must(file_path(file, folder, "b", &err), &err);
	scratch_write(file, "x", 1);
	scratch_must(file_path(file, folder, ".hidden", &err), &err);
	scratch_write(file, "x", 1);
	scratch_must(file_sync_folder(folder, &err), &err);
	scratch_must(file_remove_folder(folder, &err), &err);
	assert_false(scratch_exists(folder));
	scratch_must(file_remove_folder(folder, &err), &err);
	assert_int_equal(file_sync_folder(folder, &err), STATUS_NOT_FOUND);
	assert_int_equal(file_make_folder(file, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, file));
}

static void a_folder_in_a_folder_is_not_removed(void **state)
{
	struct scratch *scratch = *state;
	char folder[PATH_MAX];
	char inner[PATH_MAX];
	struct error err = {0};
	in_folder(scratch, "sub", folder);
	scratch_must(file_path(inner, folder, "inner", &err), &err);
	scratch_must(file_make_folder(folder, &err), &err);
	scratch_must(file_make_folder(inner, &err), &err);
	assert_int_equal(file_remove_folder(folder, &err), STATUS_IO);
	assert_true(scratch_exists(inner));
}

static void a_path_too_long_is_refused(void **state)
{
	(void)state;
	char folder[PATH_MAX];
	char out[PATH_MAX];
	struct error err = {0};
	memset(folder, 'x', sizeof folder);
	folder[PATH_MAX - 3] = '\0';
	assert_int_equal(file_path(out, folder, "y", &err), STATUS_OK);
	assert_int_equal(strlen(out), PATH_MAX - 1);
	assert_int_equal(file_path(out, folder, "yy", &err), STATUS_TOO_LARGE);
	assert_true(strlen(err.text) < ERROR_TEXT_BYTES);
}

static bool reads_all(void *arg)
{
	uint8_t *data = NULL;
	size_t len = 0;
	const enum status status = file_read_all(arg, 100, &data, &len, NULL);
	assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
	free(data);
	return status == STATUS_OK;
}

static void refused_memory_is_told_as_such(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	in_folder(scratch, "a", path);
	scratch_write(path, "abc", 3);
	assert_int_equal(alloc_fail_each(reads_all, path), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_read, scratch_setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_is_told_as_such, scratch_setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_file_is_replaced_whole, scratch_setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_missing_file_is_not_found, scratch_setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(an_empty_file_is_read, scratch_setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(folders_are_made_once_and_removed_with_their_files,
			scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_folder_in_a_folder_is_not_removed, scratch_setup,
			scratch_teardown),
		cmocka_unit_test(a_path_too_long_is_refused),
		cmocka_unit_test_setup_teardown(refused_memory_is_told_as_such, scratch_setup,
			scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
