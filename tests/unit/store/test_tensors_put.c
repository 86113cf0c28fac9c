/* test_tensors_put.c - tensors that are put together are there together, or not at all. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/tensor/tensor.h"
#include "schema/limits.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/store/tensor_fixture.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Puts `count` tensors n0, n1, ... of this version. */
static enum status put(struct scratch *scratch, size_t count, uint32_t version, struct error *err)
{
	static uint32_t data[TENSOR_FIXTURE_ELEMENTS];
	struct tensor_given given[LIMIT_TENSORS_PUT];
	struct name resolved;
	tensor_fixture_fill(data, TENSOR_FIXTURE_ELEMENTS, version);
	for (size_t i = 0; i < count; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "n%zu", i);
		given[i].spec = tensor_fixture_spec(name, TENSOR_FIXTURE_ELEMENTS);
		given[i].data = (const uint8_t *)data;
	}
	return store_tensors_put(scratch->store, "r1", given, count, &resolved, err);
}

static void expect_all(struct scratch *scratch, size_t count, uint32_t version)
{
	for (size_t i = 0; i < count; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "n%zu", i);
		tensor_fixture_expect(scratch, "r1", name, version);
	}
}

static void all_are_replaced_and_their_files_go(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	scratch_release(scratch, "r1");
	scratch_must(put(scratch, 3, 1, &err), &err);
	expect_all(scratch, 3, 1);
	/* Who has a snapshot keeps what it has. */
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	const struct release *release = snapshot->releases[0];
	const uint64_t number = release->tensors[2]->number;
	scratch_must(put(scratch, LIMIT_TENSORS_PUT, 2, &err), &err);
	assert_int_equal(release->tensor_count, 3);
	assert_int_equal(release->tensors[2]->number, number);
	snapshot_end(scratch->store);
	expect_all(scratch, LIMIT_TENSORS_PUT, 2);
	tensor_fixture_await_files(scratch, "releases/1", LIMIT_TENSORS_PUT);
	scratch_reopen(scratch);
	expect_all(scratch, LIMIT_TENSORS_PUT, 2);
	assert_int_equal(tensor_fixture_files(scratch, "releases/1"), LIMIT_TENSORS_PUT);
}

static void the_limit_of_a_release_counts_new_names(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct name resolved;
	const uint32_t data[1] = {0};
	scratch_release(scratch, "r1");
	for (unsigned i = 0; i < LIMIT_TENSORS - 1; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "n%u", i);
		const struct tensor_spec spec = tensor_fixture_spec(name, 1);
		scratch_must(tensor_fixture_send(scratch, "r1", &spec, data, &resolved, &err),
			&err);
	}
	struct tensor_given given[3] = {
		{tensor_fixture_spec("n0", 1), (const uint8_t *)data},
		{tensor_fixture_spec("x", 1), (const uint8_t *)data},
		{tensor_fixture_spec("y", 1), (const uint8_t *)data},
	};
	assert_int_equal(store_tensors_put(scratch->store, "r1", given, 3, &resolved, &err),
		STATUS_TOO_LARGE);
	assert_string_equal(err.text, "tensor: release 'r1' has 1023, at most 1024 allowed");
	tensor_fixture_expect_none(scratch, "r1", "x");
	scratch_must(store_tensors_put(scratch->store, "r1", given, 2, &resolved, &err), &err);
	tensor_fixture_await_files(scratch, "releases/1", LIMIT_TENSORS);
}

static void refused_memory_replaces_all_or_none(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	uint32_t version = 1;
	bool refused = true;
	scratch_release(scratch, "r1");
	scratch_must(put(scratch, 2, version, &err), &err);
	for (unsigned skip = 0; refused; skip++) {
		alloc_fail_arm(skip);
		const enum status status = put(scratch, 2, version + 1, &err);
		refused = alloc_fail_disarm();
		version += status == STATUS_OK ? 1 : 0;
		assert_true(status == STATUS_OK || (status == STATUS_NO_MEMORY && refused));
		expect_all(scratch, 2, version);
	}
	tensor_fixture_await_files(scratch, "releases/1", 2);
	scratch_reopen(scratch);
	expect_all(scratch, 2, version);
}

int main(void)
{
	struct CMUnitTest all[] = {
		cmocka_unit_test(all_are_replaced_and_their_files_go),
		cmocka_unit_test(the_limit_of_a_release_counts_new_names),
		cmocka_unit_test(refused_memory_replaces_all_or_none),
	};
	return fixture_run(all, sizeof all / sizeof *all, scratch_setup_small_store,
		scratch_teardown);
}
