/* test_backup.c - a backup with memory refused is none, and the store goes on. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/backup/backup.h"
#include "daemon/store/backup/export.h"
#include "daemon/store/store.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static enum status back_up(const struct scratch *scratch, const char *dir)
{
	struct error err;
	struct backup_result result;
	const struct backup_wish wish = {.dir = dir, .dir_len = strlen(dir)};
	return store_backup(scratch->store, &wish, NULL, &result, &err);
}

static bool has_manifest(const struct scratch *scratch, const char *dir)
{
	char path[PATH_MAX];
	(void)snprintf(path, sizeof path, "%s/%s/manifest", scratch->folder, dir);
	return scratch_exists(path);
}

/* What a backup may meet: rows that are merged and that are not, and a load. */
static void fill(struct scratch *scratch)
{
	scratch_sealed(scratch, "r1", 0, 100, 1);
	scratch_put(scratch, "r1", (struct scratch_rows){.from = 0, .count = 10, .version = 2});
	scratch_release(scratch, "r2");
	scratch_chunk(scratch, "r2", "l", 0, (struct scratch_rows){.count = 10, .version = 1});
}

static bool attempt(void *arg)
{
	const struct scratch *scratch = arg;
	const bool done = back_up(scratch, "b") == STATUS_OK;
	if (done != has_manifest(scratch, "b")) {
		fail_msg("a backup that failed has a manifest, or a good one has none");
	}
	return done;
}

static void refused_memory_makes_no_backup(void **state)
{
	struct scratch *scratch = *state;
	fill(scratch);
	alloc_fail_each(attempt, scratch);
	scratch_expect(scratch, "r1", 0, 10, 2);
	scratch_put(scratch, "r1", (struct scratch_rows){.from = 0, .count = 10, .version = 3});
	scratch_expect(scratch, "r1", 0, 10, 3);
}

static void a_backup_of_an_empty_store_is_one(void **state)
{
	struct scratch *scratch = *state;
	assert_int_equal(back_up(scratch, "b"), STATUS_OK);
	assert_true(has_manifest(scratch, "b"));
}

/* A backup holds what it copies; what was dropped meanwhile goes afterwards. Here: nothing stays held. */
static void nothing_is_held_afterwards(void **state)
{
	struct scratch *scratch = *state;
	struct error err;
	fill(scratch);
	assert_int_equal(back_up(scratch, "b"), STATUS_OK);
	scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	scratch_reopen(scratch); /* asserts that no pin is left */
	char folder[PATH_MAX];
	scratch_path(scratch, folder, "releases/1");
	assert_false(scratch_exists(folder));
	assert_int_equal(back_up(scratch, "b"), STATUS_OK);
	(void)snprintf(folder, sizeof folder, "%s/b/releases/1", scratch->folder);
	assert_false(scratch_exists(folder));
}

/* Exports a release, and adopts it under a name with this number. */
static enum status move(const struct scratch *scratch, unsigned number, struct error *err)
{
	struct name id;
	struct export_result exported;
	struct adopt_result adopted;
	const struct backup_wish wish = {.dir = "e", .dir_len = 1};
	const struct adopt_wish adopt = {.dir = "e", .dir_len = 1, .id = &id};
	(void)snprintf(id.text, sizeof id.text, "moved%u", number);
	const enum status status = store_export(scratch->store, "r1", &wish, NULL, &exported, err);
	return status == STATUS_OK ? store_adopt(scratch->store, &adopt, NULL, &adopted, err)
				   : status;
}

/* A change whose last part, the file `current`, found no memory has happened all the same. */
static void refused_memory_adopts_nothing(void **state)
{
	struct scratch *scratch = *state;
	unsigned adopted = 0;
	bool refused = true;
	fill(scratch);
	for (unsigned skip = 0; refused; skip++) {
		struct error err;
		assert_true(skip < ALLOC_FAIL_RUNS_MAX);
		alloc_fail_arm(skip);
		const enum status status = move(scratch, adopted, &err);
		refused = alloc_fail_disarm();
		assert_true(status == STATUS_OK || (refused && status == STATUS_NO_MEMORY));
		adopted += status == STATUS_OK;
	}
	scratch_reopen(scratch);
	for (unsigned i = 0; i < adopted; i++) {
		char id[LIMIT_NAME_BYTES];
		(void)snprintf(id, sizeof id, "moved%u", i);
		scratch_expect(scratch, id, 0, 10, 2);
		scratch_expect(scratch, id, 10, 90, 1);
	}
	/* Each run that came so far has taken a number; those that failed have no folder. */
	char folder[PATH_MAX];
	scratch_path(scratch, folder, "releases");
	assert_int_equal(scratch_count(folder, ""), 2 + adopted);
	assert_false(scratch_heard(scratch, "damage"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_backup_of_an_empty_store_is_one,
			scratch_setup_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(nothing_is_held_afterwards, scratch_setup_store,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(refused_memory_adopts_nothing, scratch_setup_store,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(refused_memory_makes_no_backup, scratch_setup_store,
			scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
