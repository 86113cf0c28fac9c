/* test_seed.c - each release has its own seed, which goes with its files and is not told. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/base/base.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/options.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/store.h"
#include "daemon/store/write/write.h"
#include "tests/unit/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct key_seed seed_of(struct scratch *scratch, const char *id)
{
	const struct release *release = NULL;
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(snapshot_release(snapshot, id, &release, NULL), NULL);
	const struct key_seed seed = release->seed;
	for (size_t i = 0; i < release->table_count; i++) {
		assert_memory_equal(&release->tables[i]->seed, &seed, sizeof seed);
		const struct base_set *set = release->tables[i]->bases;
		for (size_t j = 0; set != NULL && j < set->segment_count; j++) {
			assert_memory_equal(&set->segments[j]->view.seed, &seed, sizeof seed);
		}
	}
	snapshot_end(scratch->store);
	return seed;
}

/* Opens the store as the daemon does, which names no seed. */
static void open_plainly(struct scratch *scratch)
{
	struct error err = {0};
	const struct store_options options = {
		.folder = scratch->data,
		.load_memory_bytes = 128u << 20,
		.catalog_bytes = scratch->catalog_bytes,
	};
	scratch_close(scratch);
	scratch_must(store_open(&options, &scratch->store, &err), &err);
}

enum { ROWS = 300 };

static void each_release_draws_its_own(void **state)
{
	struct scratch *scratch = *state;
	open_plainly(scratch);
	scratch_release(scratch, "r1");
	scratch_release(scratch, "r2");
	const struct key_seed first = seed_of(scratch, "r1");
	const struct key_seed second = seed_of(scratch, "r2");
	assert_false(key_seed_is_zero(&first));
	assert_false(key_seed_is_zero(&second));
	assert_memory_not_equal(&first, &second, sizeof first);
	assert_memory_not_equal(&first, &scratch_seed, sizeof first);
}

static void it_stays_over_seal_merge_and_restart(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	open_plainly(scratch);
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	const struct key_seed seed = seed_of(scratch, "r1");
	scratch_put(scratch, "r1", (struct scratch_rows){100, ROWS, 2});
	struct merge_result result;
	scratch_must(store_merge(scratch->store, NULL, &result, &err), &err);
	const struct key_seed merged = seed_of(scratch, "r1");
	assert_memory_equal(&merged, &seed, sizeof seed);
	scratch_put(scratch, "r1",
		(struct scratch_rows){200, ROWS, 3}); /* it is in the log, and is replayed */
	open_plainly(scratch);
	const struct key_seed after = seed_of(scratch, "r1");
	assert_memory_equal(&after, &seed, sizeof seed);
	scratch_expect(scratch, "r1", 0, 100, 1);
	scratch_expect(scratch, "r1", 100, 100, 2);
	scratch_expect(scratch, "r1", 200, ROWS, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_release_draws_its_own, scratch_setup_store,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(it_stays_over_seal_merge_and_restart,
			scratch_setup_store, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
