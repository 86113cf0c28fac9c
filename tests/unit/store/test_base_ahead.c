/* test_base_ahead.c - what opening base files reads was announced before, so that the disk reads it side by side. */
#include "daemon/store/base/base.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/store/base/segment_build.h"
#include "tests/unit/store/scratch.h"

enum { FILES = 3, SEGMENTS = 4, ROWS = 2000, PAGES_MAX = 2048 };

/* What the wrapped calls have seen; files are told apart by their inodes. */
static struct {
	bool counts;
	unsigned reads;
	unsigned reads_unannounced;
	ino_t inodes[FILES];
	bool announced[FILES][PAGES_MAX];
} seen;

int __real_posix_fadvise64(int fd, off_t offset, off_t len, int advice);
int __wrap_posix_fadvise64(int fd, off_t offset, off_t len, int advice);
ssize_t __real_pread64(int fd, void *to, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *to, size_t len, off_t offset);

/* The pages of the file that a descriptor is of; NULL: of none of those that are opened. */
static bool *pages_of(int fd)
{
	struct stat about;
	assert_int_equal(fstat(fd, &about), 0);
	for (size_t i = 0; seen.counts && i < FILES; i++) {
		if (seen.inodes[i] == about.st_ino) {
			return seen.announced[i];
		}
	}
	return NULL;
}

int __wrap_posix_fadvise64(int fd, off_t offset, off_t len, int advice)
{
	bool *pages = advice == POSIX_FADV_WILLNEED ? pages_of(fd) : NULL;
	for (off_t at = offset; pages != NULL && at < offset + len; at++) {
		assert_true(at / SEGMENT_PAGE_BYTES < PAGES_MAX);
		pages[at / SEGMENT_PAGE_BYTES] = true;
	}
	return __real_posix_fadvise64(fd, offset, len, advice);
}

ssize_t __wrap_pread64(int fd, void *to, size_t len, off_t offset)
{
	const bool *pages = pages_of(fd);
	if (pages != NULL) {
		bool all = true;
		for (size_t i = 0; i < FILES; i++) {
			all = all && seen.announced[i][0]; /* of the others at least this */
		}
		for (off_t at = offset; at < offset + (off_t)len; at++) {
			all = all && pages[at / SEGMENT_PAGE_BYTES];
		}
		seen.reads++;
		seen.reads_unannounced += all ? 0 : 1;
	}
	return __real_pread64(fd, to, len, offset);
}

static void write_segment(struct base_writer *writer, const struct base_owner *owner,
	uint64_t number)
{
	static uint64_t hashes[ROWS];
	const uint64_t prefix = number << 60;
	const struct segment_identity identity = {.release = owner->release,
		.table = owner->table,
		.prefix = prefix,
		.prefix_bits = 4,
		.rows = ROWS};
	struct error err = {0};
	struct segment_plan plan;
	struct segment_space space;
	uint8_t *data = NULL;
	for (uint32_t i = 0; i < ROWS; i++) {
		hashes[i] = prefix + i * UINT64_C(0x10000000000);
	}
	segment_plan(&plan, &owner->spec, &identity, hashes, 0);
	scratch_must(base_writer_begin(writer, plan.bytes, &data, &err), &err);
	segment_begin(&plan, hashes, data, &space);
	memset(space.keys, 0, ROWS * sizeof *space.keys);
	memset(space.times, 0, ROWS * sizeof *space.times);
	memset(space.row_data, 7, ROWS * spec_row_bytes(&owner->spec));
	segment_end(&plan, data);
	scratch_must(base_writer_commit(writer, &plan, &err), &err);
}

/* Files of a delta, since those need not cover every hash. */
static void write_file(const struct scratch *scratch, const struct base_owner *owner,
	struct base_file_info *info, size_t i)
{
	struct base_writer *writer = NULL;
	struct error err = {0};
	struct stat about;
	char name[64];
	char path[128];
	base_file_name(name, sizeof name, owner->table, i);
	(void)snprintf(path, sizeof path, "%s/%s", scratch->folder, name);
	scratch_must(base_writer_open(path, 4 << 20, &writer, &err), &err);
	for (uint64_t j = 0; j < SEGMENTS; j++) {
		write_segment(writer, owner, i * SEGMENTS + j);
	}
	scratch_must(base_writer_finish(writer, info, &err), &err);
	info->number = i;
	info->delta = 1;
	assert_int_equal(stat(path, &about), 0);
	seen.inodes[i] = about.st_ino;
}

static void files_are_read_where_they_were_announced(void **state)
{
	const struct scratch *scratch = *state;
	struct error err = {0};
	struct base_file_info infos[FILES];
	struct base_set *set = NULL;
	const struct base_owner owner = {.release = 5,
		.table = 2,
		.spec = scratch_spec("t", DTYPE_F32, KEY_U64, 64)};
	for (size_t i = 0; i < FILES; i++) {
		write_file(scratch, &owner, &infos[i], i);
	}
	seen.counts = true;
	scratch_must(base_set_open(scratch->folder, &owner, infos, FILES, &set, &err), &err);
	seen.counts = false;
	assert_int_equal(err.status, STATUS_OK);
	assert_true(seen.reads >= FILES * SEGMENTS); /* outside each segment */
	assert_int_equal(seen.reads_unannounced, 0);
	for (size_t i = 0; i < FILES; i++) {
		size_t announced = 0;
		for (size_t j = 0; j < SEGMENTS; j++) {
			const struct base_segment_info *info = &infos[i].segments[j];
			const uint64_t list =
				(info->offset + info->head_bytes) / SEGMENT_PAGE_BYTES;
			assert_true(seen.announced[i][list - 1]); /* the head */
			assert_true(seen.announced[i][list]);
			assert_false(seen.announced[i][list + 8]); /* rows */
		}
		for (size_t page = 0; page < PAGES_MAX; page++) {
			announced += seen.announced[i][page];
		}
		assert_true(announced < infos[i].bytes / SEGMENT_PAGE_BYTES / 8);
	}
	base_set_close(set);
	for (size_t i = 0; i < FILES; i++) {
		base_file_info_fini(&infos[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_are_read_where_they_were_announced,
			scratch_setup_small, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
