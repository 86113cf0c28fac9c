/* test_tensor.c - tensors of a release: put, replaced, deleted, dropped. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/figures.h"
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/tensor/tensor.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/store/tensor_fixture.h"
#include "tests/unit/wait.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- put, replace, delete ---- */

static void open_and_sealed_releases_take_tensors(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	scratch_release(scratch, "r1");
	tensor_fixture_put(scratch, "r1", "b.weight", 1);
	tensor_fixture_expect(scratch, "r1", "b.weight", 1);
	scratch_chunk(scratch, "r1", "l", 0, (struct scratch_rows){0, 10, 1});
	scratch_end(scratch, "r1", "l", 1, 10);
	scratch_seal(scratch, "r1");
	tensor_fixture_expect(scratch, "r1", "b.weight", 1);
	tensor_fixture_put(scratch, "r1", "a", 2);
	scratch_publish(scratch, "r1");
	tensor_fixture_put(scratch, "live", "c", 3);
	tensor_fixture_expect(scratch, NULL, "a", 2);
	scratch_reopen(scratch);
	tensor_fixture_expect(scratch, "r1", "a", 2);
	tensor_fixture_expect(scratch, "r1", "b.weight", 1);
	tensor_fixture_expect(scratch, "live", "c", 3);
	scratch_expect(scratch, "r1", 0, 10, 1);
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	const struct release *release = snapshot->releases[0];
	static const char *const order[] = {"a", "b.weight", "c"};
	assert_int_equal(release->tensor_count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(release->tensors[i]->spec.name.text, order[i]);
	}
	snapshot_end(scratch->store);
	struct store_figures figures;
	store_figures(scratch->store, &figures);
	assert_int_equal(figures.tensors, 3);
	assert_int_equal(figures.tensor_bytes, 3 * TENSOR_FIXTURE_ELEMENTS * 4);
	assert_int_equal(tensor_fixture_try_put(scratch, "r9", "a", 1, &err), STATUS_NOT_FOUND);
}

static void one_of_the_same_name_is_replaced(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	scratch_release(scratch, "r1");
	tensor_fixture_put(scratch, "r1", "w", 1);
	tensor_fixture_put(scratch, "r1", "w", 2);
	tensor_fixture_expect(scratch, "r1", "w", 2);
	tensor_fixture_await_files(scratch, "releases/1", 1);
	scratch_reopen(scratch);
	tensor_fixture_expect(scratch, "r1", "w", 2);
	/* Numbers are not used again. */
	tensor_fixture_delete(scratch, "r1", "w");
	tensor_fixture_await_files(scratch, "releases/1", 0);
	scratch_reopen(scratch);
	tensor_fixture_expect_none(scratch, "r1", "w");
	tensor_fixture_put(scratch, "r1", "w", 3);
	scratch_path(scratch, path, "releases/1/tensor-3.mdb");
	assert_true(scratch_exists(path));
	struct error err = {0};
	struct name resolved;
	assert_int_equal(store_tensor_delete(scratch->store, "r1", "x", &resolved, &err),
		STATUS_NOT_FOUND);
	assert_string_equal(err.text, "tensor: 'x' is not in release 'r1'");
}

struct replacing {
	struct scratch *scratch;
	enum status status;
	struct store_figures figures; /* when both are done */
};

/* In a thread of its own: what it calls begins snapshots, and a thread is in one at a time. */
static void *replace_and_delete(void *arg)
{
	struct replacing *replacing = arg;
	struct store *store = replacing->scratch->store;
	struct name resolved;
	grace_register();
	replacing->status = tensor_fixture_try_put(replacing->scratch, "r1", "w", 2, NULL);
	if (replacing->status == STATUS_OK) {
		replacing->status = store_tensor_delete(store, "r1", "w", &resolved, NULL);
	}
	store_figures(store, &replacing->figures);
	grace_unregister();
	return NULL;
}

static void a_reader_keeps_what_it_sees(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct tensor *tensor;
	struct replacing replacing = {.scratch = scratch};
	pthread_t thread;
	scratch_release(scratch, "r1");
	tensor_fixture_put(scratch, "r1", "w", 1);
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(release_tensor(snapshot->releases[0], "w", &tensor, &err), &err);
	assert_int_equal(pthread_create(&thread, NULL, replace_and_delete, &replacing), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(replacing.status, STATUS_OK);
	scratch_must(store_tensor_use(scratch->store, snapshot->releases[0], tensor, false, &err),
		&err);
	uint32_t first;
	memcpy(&first, tensor->data, sizeof first);
	assert_int_equal(first, 0x10001);
	assert_int_equal(replacing.figures.files_waiting, 2);
	snapshot_end(scratch->store);
	tensor_fixture_await_files(scratch, "releases/1", 0);
}

static void tensors_belong_to_their_release(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct name now;
	struct name previous;
	char folder[PATH_MAX];
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_sealed(scratch, "r2", 0, 10, 2);
	tensor_fixture_put(scratch, "r1", "w", 1);
	tensor_fixture_put(scratch, "r2", "w", 2);
	scratch_publish(scratch, "r1");
	scratch_publish(scratch, "r2");
	tensor_fixture_expect(scratch, "live", "w", 2);
	scratch_must(store_release_rollback(scratch->store, NULL, &now, &previous, &err), &err);
	tensor_fixture_expect(scratch, "live", "w", 1);
	scratch_must(store_release_drop(scratch->store, "r2", &err), &err);
	scratch_reopen(scratch);
	tensor_fixture_expect(scratch, "live", "w", 1);
	scratch_path(scratch, folder, "releases/2");
	assert_false(scratch_exists(folder));
}

static void a_scalar_and_a_page_are_kept_too(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct name resolved;
	scratch_release(scratch, "r1");
	static const uint32_t sizes[] = {1, 1008, 1012, 1013, 1024, 4096, 300001};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "n%u", sizes[i]);
		struct tensor_spec spec = tensor_fixture_spec(name, sizes[i]);
		uint32_t *data = calloc(sizes[i], sizeof *data);
		assert_non_null(data);
		for (uint32_t j = 0; j < sizes[i]; j++) {
			data[j] = j ^ sizes[i];
		}
		spec.dims = sizes[i] == 1 ? 0 : 1;
		scratch_must(tensor_fixture_send(scratch, "r1", &spec, data, &resolved, &err),
			&err);
		assert_string_equal(resolved.text, "r1");
		scratch_reopen(scratch);
		struct tensor *tensor;
		const struct snapshot *snapshot = snapshot_begin(scratch->store);
		const struct release *release = snapshot->releases[0];
		scratch_must(release_tensor(release, name, &tensor, &err), &err);
		scratch_must(store_tensor_use(scratch->store, release, tensor, true, &err), &err);
		assert_memory_equal(tensor->data, data, sizes[i] * sizeof *data);
		snapshot_end(scratch->store);
		free(data);
	}
}

static void a_release_holds_so_many(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct name resolved;
	const uint8_t data[4] = {0};
	scratch_release(scratch, "r1");
	struct tensor_spec spec = tensor_fixture_spec("n", 1);
	for (unsigned i = 0; i < LIMIT_TENSORS; i++) {
		(void)snprintf(spec.name.text, sizeof spec.name.text, "n%u", i);
		scratch_must(tensor_fixture_send(scratch, "r1", &spec, data, &resolved, &err),
			&err);
	}
	scratch_must(tensor_fixture_send(scratch, "r1", &spec, data, &resolved, &err), &err);
	(void)snprintf(spec.name.text, sizeof spec.name.text, "one-more");
	assert_int_equal(tensor_fixture_send(scratch, "r1", &spec, data, &resolved, &err),
		STATUS_TOO_LARGE);
	assert_string_equal(err.text, "tensor: release 'r1' has 1024, at most 1024 allowed");
	tensor_fixture_await_files(scratch, "releases/1", LIMIT_TENSORS);
	tensor_fixture_delete(scratch, "r1", "n7");
	scratch_must(tensor_fixture_send(scratch, "r1", &spec, data, &resolved, &err), &err);
	scratch_reopen(scratch);
	assert_int_equal(tensor_fixture_files(scratch, "releases/1"), LIMIT_TENSORS);
}

/* ---- while it is sealed ---- */

struct sealing {
	struct scratch *scratch;
	_Atomic bool done;
	enum status status;
};

static void *seal_in_thread(void *arg)
{
	struct sealing *sealing = arg;
	struct seal_result result;
	struct error err = {0};
	grace_register();
	sealing->status = store_seal(sealing->scratch->store, "r1", NULL, &result, &err);
	grace_unregister();
	atomic_store(&sealing->done, true);
	return NULL;
}

static void a_seal_keeps_what_is_put_meanwhile(void **state)
{
	struct scratch *scratch = *state;
	struct sealing sealing = {.scratch = scratch};
	pthread_t thread;
	uint32_t version = 0;
	scratch_release(scratch, "r1");
	scratch_chunk(scratch, "r1", "l", 0, (struct scratch_rows){0, 20000, 1});
	scratch_end(scratch, "r1", "l", 1, 20000);
	tensor_fixture_put(scratch, "r1", "gone", 1);
	assert_int_equal(pthread_create(&thread, NULL, seal_in_thread, &sealing), 0);
	struct wait wait = {0};
	do {
		wait_busily(&wait);
		tensor_fixture_put(scratch, "r1", "w", ++version);
		if (version == 2) {
			tensor_fixture_delete(scratch, "r1", "gone");
		}
	} while (!atomic_load(&sealing.done) || version < 3);
	(void)pthread_join(thread, NULL);
	assert_int_equal(sealing.status, STATUS_OK);
	tensor_fixture_expect(scratch, "r1", "w", version);
	tensor_fixture_expect_none(scratch, "r1", "gone");
	scratch_reopen(scratch);
	tensor_fixture_expect(scratch, "r1", "w", version);
	scratch_expect(scratch, "r1", 0, 100, 1);
	assert_int_equal(tensor_fixture_files(scratch, "releases/1"), 1);
}

/* ---- refused memory ---- */

/* What is refused changes nothing. */
static void refused_memory_changes_nothing(void **state)
{
	struct scratch *scratch = *state;
	uint32_t version = 1;
	uint32_t found;
	bool refused = true;
	scratch_release(scratch, "r1");
	tensor_fixture_put(scratch, "r1", "w", version);
	for (unsigned skip = 0; refused; skip++) {
		struct error err = {0};
		assert_true(skip < ALLOC_FAIL_RUNS_MAX);
		alloc_fail_arm(skip);
		const enum status status =
			tensor_fixture_try_put(scratch, "r1", "w", version + 1, &err);
		refused = alloc_fail_disarm();
		version += status == STATUS_OK ? 1 : 0; /* `current` is not written then */
		assert_true(refused || status == STATUS_OK);
		tensor_fixture_expect(scratch, "r1", "w", version);
	}
	tensor_fixture_await_files(scratch, "releases/1", 1);
	refused = true;
	for (unsigned skip = 0; refused; skip++) {
		struct error err = {0};
		scratch_reopen(scratch);
		alloc_fail_arm(skip);
		const enum status status = tensor_fixture_get(scratch, "r1", "w", &found, &err);
		refused = alloc_fail_disarm();
		assert_int_equal(status, refused ? STATUS_NO_MEMORY : STATUS_OK);
		tensor_fixture_expect(scratch, "r1", "w", version);
	}
	refused = true;
	for (unsigned skip = 0; refused; skip++) {
		struct error err = {0};
		struct name resolved;
		alloc_fail_arm(skip);
		const enum status status =
			store_tensor_delete(scratch->store, "r1", "w", &resolved, &err);
		refused = alloc_fail_disarm();
		if (status == STATUS_OK && refused) {
			tensor_fixture_put(scratch, "r1", "w", version);
		}
		assert_true(status == STATUS_OK || (status == STATUS_NO_MEMORY && refused));
	}
	tensor_fixture_expect_none(scratch, "r1", "w");
}

int main(void)
{
	struct CMUnitTest all[] = {
		cmocka_unit_test(open_and_sealed_releases_take_tensors),
		cmocka_unit_test(one_of_the_same_name_is_replaced),
		cmocka_unit_test(a_reader_keeps_what_it_sees),
		cmocka_unit_test(tensors_belong_to_their_release),
		cmocka_unit_test(a_scalar_and_a_page_are_kept_too),
		cmocka_unit_test(a_release_holds_so_many),
		cmocka_unit_test(a_seal_keeps_what_is_put_meanwhile),
		cmocka_unit_test(refused_memory_changes_nothing),
	};
	return fixture_run(all, sizeof all / sizeof *all, scratch_setup_small_store,
		scratch_teardown);
}
