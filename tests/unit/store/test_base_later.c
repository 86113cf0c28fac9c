/* test_base_later.c - a base file may have values that no record names, as a later build may write them: they are passed over. */
#include "daemon/store/base/base.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/store/base/base_lmdb.h"
#include "daemon/store/base/segment_build.h"
#include "tests/unit/store/scratch.h"

enum { ROWS = 60, OTHER_BYTES = 5000 };

static void write_rows(struct base_writer *writer, const struct base_owner *owner)
{
	const struct segment_identity identity = {.release = owner->release,
		.table = owner->table,
		.rows = ROWS};
	struct error err = {0};
	uint64_t hashes[ROWS];
	struct segment_plan plan;
	struct segment_space space;
	uint8_t *data = NULL;
	for (uint32_t i = 0; i < ROWS; i++) {
		hashes[i] = i * UINT64_C(0x100000000000);
	}
	segment_plan(&plan, &owner->spec, &identity, hashes, 0);
	scratch_must(base_writer_begin(writer, plan.bytes, &data, &err), &err);
	segment_begin(&plan, hashes, data, &space);
	for (uint32_t i = 0; i < ROWS; i++) {
		space.keys[i] = i;
		space.times[i] = i;
	}
	memset(space.row_data, 7, ROWS * spec_row_bytes(&owner->spec));
	segment_end(&plan, data);
	scratch_must(base_writer_commit(writer, &plan, &err), &err);
}

static void a_value_that_is_not_named_is_passed_over(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct base_writer *writer = NULL;
	struct base_file_info info = {0};
	struct base_set *set = NULL;
	uint8_t *data = NULL;
	char name[64];
	char path[128];
	const struct segment_plan other = {.bytes = OTHER_BYTES};
	const struct base_owner owner = {.release = 5,
		.table = 2,
		.spec = scratch_spec("t", DTYPE_F32, KEY_U64, 64)};
	base_file_name(name, sizeof name, owner.table, 1);
	(void)snprintf(path, sizeof path, "%s/%s", scratch->folder, name);
	scratch_must(base_writer_open(path, 1 << 20, &writer, &err), &err);
	write_rows(writer, &owner);
	scratch_must(base_writer_begin(writer, OTHER_BYTES, &data, &err), &err);
	memset(data, 0xa5, OTHER_BYTES);
	scratch_must(base_writer_commit(writer, &other, &err), &err);
	scratch_must(base_writer_finish(writer, &info, &err), &err);
	assert_int_equal(info.segment_count, 2);
	info.segment_count = 1;
	info.number = 1;
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	scratch_must(base_hash_outside(fd, &info, &info.outside_hash), &err);
	close(fd);
	scratch_must(base_set_open(scratch->folder, &owner, &info, 1, &set, &err), &err);
	assert_int_equal(err.status, STATUS_OK);
	assert_int_equal(set->segment_count, 1);
	assert_int_equal(base_segment_wait(set, 0), BASE_READY);
	for (uint32_t row = 0; row < ROWS; row++) {
		assert_int_equal(set->segments[0]->view.keys[row], row);
		assert_int_equal(set->segments[0]->view.row_data[(size_t)row * 256], 7);
	}
	base_set_close(set);
	info.segment_count = 2;
	base_file_info_fini(&info);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_value_that_is_not_named_is_passed_over,
			scratch_setup_small, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
