/* test_snapshot.c - snapshots share what did not change, and find things by name. */
#include "daemon/store/snapshot/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/alloc_fail.h"

static struct table *make_table(const char *name, uint64_t number)
{
	struct table_spec spec = {.entity = ENTITY_USER,
		.kind = KIND_UR,
		.dtype = DTYPE_F32,
		.key_type = KEY_U64,
		.dim = 4,
		.views = 1};
	(void)snprintf(spec.name.text, sizeof spec.name.text, "%s", name);
	return table_new(&spec, number);
}

static struct release *make_release(const char *id, uint64_t number)
{
	struct release *release = release_copy(NULL);
	if (release != NULL) {
		(void)snprintf(release->id.text, sizeof release->id.text, "%s", id);
		release->number = number;
	}
	return release;
}

static struct snapshot *make_snapshot(void)
{
	const struct snapshot empty = {.next_release = 1};
	struct snapshot *snapshot = snapshot_copy(&empty);
	assert_non_null(snapshot);
	return snapshot;
}

static void put(struct snapshot *snapshot, const char *id, uint64_t number)
{
	assert_int_equal(snapshot_put(snapshot, make_release(id, number)), STATUS_OK);
}

static void releases_are_found_by_name(void **state)
{
	(void)state;
	struct snapshot *snapshot = make_snapshot();
	const struct release *found = NULL;
	struct error err;
	assert_int_equal(snapshot_release(snapshot, NULL, &found, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, "none is live"));
	put(snapshot, "r1", 1);
	put(snapshot, "r2", 2);
	assert_int_equal(snapshot_release(snapshot, "live", &found, &err), STATUS_NOT_FOUND);
	assert_int_equal(snapshot_release(snapshot, "r3", &found, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, "'r3'"));
	assert_null(found);
	assert_int_equal(snapshot_release(snapshot, "r2", &found, &err), STATUS_OK);
	assert_int_equal(found->number, 2);
	snapshot->live = snapshot->releases[0];
	assert_int_equal(snapshot_release(snapshot, "live", &found, &err), STATUS_OK);
	assert_int_equal(found->number, 1);
	assert_int_equal(snapshot_release(snapshot, NULL, &found, &err), STATUS_OK);
	assert_int_equal(found->number, 1);
	snapshot_drop(snapshot);
}

static void tables_stand_in_the_order_of_their_names(void **state)
{
	(void)state;
	static const char *const names[] = {"m", "a", "z", "ir@mlp2", "ir", "b", "ir@mlp1"};
	static const char *const sorted[] = {"a", "b", "ir", "ir@mlp1", "ir@mlp2", "m", "z"};
	struct release *release = make_release("r1", 1);
	assert_non_null(release);
	const struct table *found = NULL;
	struct error err;
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(release_table(release, names[i], &found, &err), STATUS_NOT_FOUND);
		assert_int_equal(release_put(release, make_table(names[i], i + 1)), STATUS_OK);
		assert_int_equal(release_table(release, names[i], &found, &err), STATUS_OK);
		assert_int_equal(found->number, i + 1);
	}
	assert_int_equal(release->table_count, 7);
	for (size_t i = 0; i < 7; i++) {
		assert_string_equal(release->tables[i]->spec.name.text, sorted[i]);
	}
	assert_int_equal(release_table(release, "c", &found, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, "'c'"));
	assert_non_null(strstr(err.text, "'r1'"));
	/* The same name takes the place of the one before. */
	assert_int_equal(release_put(release, make_table("ir", 9)), STATUS_OK);
	assert_int_equal(release->table_count, 7);
	assert_int_equal(release_table(release, "ir", &found, &err), STATUS_OK);
	assert_int_equal(found->number, 9);
	release_drop(release);
}

static void a_copy_shares_what_did_not_change(void **state)
{
	(void)state;
	struct snapshot *first = make_snapshot();
	put(first, "r1", 1);
	put(first, "r2", 2);
	assert_int_equal(release_put(first->releases[0], make_table("t", 1)), STATUS_OK);
	first->live = first->releases[1];
	struct snapshot *second = snapshot_copy(first);
	assert_non_null(second);
	assert_ptr_equal(second->live, first->live);
	struct release *changed = release_copy(first->releases[0]);
	assert_non_null(changed);
	assert_int_equal(changed->refs, 1);
	changed->state = RELEASE_SEALED;
	assert_int_equal(snapshot_put(second, changed), STATUS_OK);
	assert_int_equal(second->release_count, 2);
	assert_int_equal(first->releases[0]->state, RELEASE_OPEN);
	assert_ptr_equal(first->releases[0]->tables[0], second->releases[0]->tables[0]);
	assert_int_equal(changed->tables[0]->refs, 2);
	assert_ptr_equal(first->releases[1], second->releases[1]);
	/* The live one is replaced with its release. */
	struct release *live = release_copy(second->live);
	assert_non_null(live);
	assert_int_equal(snapshot_put(second, live), STATUS_OK);
	assert_ptr_equal(second->live, live);
	snapshot_drop(first);
	assert_int_equal(second->releases[0]->tables[0]->refs, 1);
	snapshot_drop(second);
	snapshot_drop(NULL);
	release_drop(NULL);
	table_drop(NULL);
}

static void a_removed_release_leaves_the_history(void **state)
{
	(void)state;
	struct snapshot *snapshot = make_snapshot();
	put(snapshot, "r1", 1);
	put(snapshot, "r2", 2);
	put(snapshot, "r3", 3);
	snapshot->live = snapshot->releases[2];
	snapshot->history_count = 3;
	snapshot->history[0] = 2;
	snapshot->history[1] = 1;
	snapshot->history[2] = 2;
	snapshot_remove(snapshot, 1);
	assert_int_equal(snapshot->release_count, 2);
	assert_int_equal(snapshot->releases[0]->number, 2);
	assert_int_equal(snapshot->releases[1]->number, 3);
	/* 2, 1, 2 without 1 is a single stay of 2. */
	assert_int_equal(snapshot->history_count, 1);
	assert_int_equal(snapshot->history[0], 2);
	snapshot_remove(snapshot, 77);
	assert_int_equal(snapshot->release_count, 2);
	snapshot_drop(snapshot);
}

static void a_rollback_never_leads_to_where_one_is(void **state)
{
	(void)state;
	struct snapshot *snapshot = make_snapshot();
	put(snapshot, "r1", 1);
	put(snapshot, "r2", 2);
	snapshot->live = snapshot->releases[0];
	snapshot->history_count = 2;
	snapshot->history[0] = 1; /* r1, then r2, then r1 again */
	snapshot->history[1] = 2;
	snapshot_remove(snapshot, 2);
	assert_int_equal(snapshot->history_count, 0);
	snapshot_drop(snapshot);
}

static bool makes_a_snapshot(void *arg)
{
	(void)arg;
	const struct snapshot empty = {.next_release = 1};
	struct snapshot *snapshot = snapshot_copy(&empty);
	struct release *release = snapshot == NULL ? NULL : make_release("r1", 1);
	struct table *table = release == NULL ? NULL : make_table("t", 1);
	bool fine = table != NULL;
	if (fine) {
		fine = release_put(release, table) == STATUS_OK;
	}
	struct release *copy = fine ? release_copy(release) : NULL;
	if (copy == NULL) {
		release_drop(release);
		snapshot_drop(snapshot);
		return false;
	}
	release_drop(copy);
	fine = snapshot_put(snapshot, release) == STATUS_OK;
	struct snapshot *second = fine ? snapshot_copy(snapshot) : NULL;
	fine = second != NULL;
	snapshot_drop(second);
	snapshot_drop(snapshot);
	return fine;
}

static void refused_memory_leaves_nothing_behind(void **state)
{
	(void)state;
	assert_true(alloc_fail_each(makes_a_snapshot, NULL) >= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(releases_are_found_by_name),
		cmocka_unit_test(tables_stand_in_the_order_of_their_names),
		cmocka_unit_test(a_copy_shares_what_did_not_change),
		cmocka_unit_test(a_removed_release_leaves_the_history),
		cmocka_unit_test(a_rollback_never_leads_to_where_one_is),
		cmocka_unit_test(refused_memory_leaves_nothing_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
