/* test_tensor_damage.c - tensors whose files are damaged, cut, missing or left over. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/mapfault.h"
#include "daemon/store/tensor/tensor.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/store/tensor_fixture.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_damaged_tensor_is_corrupt_and_the_rest_goes_on(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct name previous;
	uint32_t version;
	char paths[5][PATH_MAX];
	static const char *const names[] = {"sound", "flipped", "outside", "cut", "missing"};
	scratch_sealed(scratch, "r1", 0, 10, 1);
	for (unsigned i = 0; i < 5; i++) {
		char name[40];
		tensor_fixture_put(scratch, "r1", names[i], i + 1);
		(void)snprintf(name, sizeof name, "releases/1/tensor-%u.mdb", i + 1);
		scratch_path(scratch, paths[i], name);
	}
	scratch_close(scratch);
	const uint32_t second = 2 * 0x10001;
	struct scratch_file file = scratch_read(paths[1]);
	const uint8_t *data = memmem(file.data, file.len, &second, sizeof second);
	assert_non_null(data);
	scratch_flip(paths[1],
		(uint64_t)(data - file.data) + (uint64_t)TENSOR_FIXTURE_ELEMENTS * 4 - 1);
	scratch_flip(paths[2], 24);
	scratch_cut(paths[3], file.len - 4096);
	free(file.data);
	assert_int_equal(remove(paths[4]), 0);
	scratch_open(scratch);
	tensor_fixture_expect(scratch, "r1", "sound", 1);
	for (unsigned i = 1; i < 5; i++) {
		assert_int_equal(tensor_fixture_get(scratch, "r1", names[i], &version, &err),
			STATUS_CORRUPT);
		assert_non_null(strstr(err.text, names[i]));
	}
	scratch_expect(scratch, "r1", 0, 10, 1);
	assert_int_equal(store_release_publish(scratch->store, "r1", NULL, &previous, &err),
		STATUS_CORRUPT);
	/* Putting it again repairs it, deleting it helps too. */
	for (unsigned i = 1; i < 4; i++) {
		tensor_fixture_put(scratch, "r1", names[i], 10 + i);
	}
	tensor_fixture_delete(scratch, "r1", "missing");
	scratch_publish(scratch, "r1");
	scratch_reopen(scratch);
	for (unsigned i = 1; i < 4; i++) {
		tensor_fixture_expect(scratch, "live", names[i], 10 + i);
	}
}

static void a_file_that_is_cut_while_it_is_mapped_is_damaged(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	uint32_t version;
	char path[PATH_MAX];
	scratch_release(scratch, "r1");
	tensor_fixture_put(scratch, "r1", "w", 1);
	tensor_fixture_expect(scratch, "r1", "w", 1);
	scratch_path(scratch, path, "releases/1/tensor-1.mdb");
	/* cmocka has put its own handler in the place of the store's. */
	assert_int_equal(mapfault_install(), STATUS_OK);
	scratch_cut(path, 8192);
	struct tensor *tensor;
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(release_tensor(snapshot->releases[0], "w", &tensor, &err), &err);
	/* Who reads without asking again gets zeros, and is told. */
	volatile uint8_t sum = 0;
	for (size_t i = 0; i < (size_t)TENSOR_FIXTURE_ELEMENTS * 4; i++) {
		sum = (uint8_t)(sum + tensor->data[i]);
	}
	assert_false(tensor_is_sound(tensor));
	snapshot_end(scratch->store);
	assert_int_equal(tensor_fixture_get(scratch, "r1", "w", &version, &err), STATUS_CORRUPT);
	tensor_fixture_put(scratch, "r1", "w", 2);
	tensor_fixture_expect(scratch, "r1", "w", 2);
}

static void leftovers_are_removed(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	scratch_release(scratch, "r1");
	tensor_fixture_put(scratch, "r1", "w", 1);
	scratch_close(scratch);
	scratch_path(scratch, path, "releases/1/tensor-2.mdb");
	scratch_write(path, "leftover", 8);
	scratch_open(scratch);
	assert_true(scratch_heard(scratch, "event=leftover release=r1 file=tensor-2.mdb"));
	assert_false(scratch_exists(path));
	/* One that comes later is written over. */
	scratch_write(path, "leftover", 8);
	tensor_fixture_put(scratch, "r1", "x", 2);
	tensor_fixture_expect(scratch, "r1", "w", 1);
	tensor_fixture_expect(scratch, "r1", "x", 2);
}

int main(void)
{
	struct CMUnitTest all[] = {
		cmocka_unit_test(a_damaged_tensor_is_corrupt_and_the_rest_goes_on),
		cmocka_unit_test(a_file_that_is_cut_while_it_is_mapped_is_damaged),
		cmocka_unit_test(leftovers_are_removed),
	};
	return fixture_run(all, sizeof all / sizeof *all, scratch_setup_small_store,
		scratch_teardown);
}
