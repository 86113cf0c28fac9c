/* test_at_hand.c - a set is known to be at hand until one of its segments is lost, in whatever way. */
#include "daemon/store/base/at_hand.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/mapfault.h"
#include "tests/unit/store/scratch.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Keeps the compiler from dropping a read. */
static volatile unsigned seen;

/* A store whose janitor looks at nothing, with a table of several segments. */
static int setup(void **state)
{
	(void)scratch_setup_quiet(state);
	struct scratch *scratch = *state;
	scratch->sizes.segment_bytes = 4096;
	scratch_open(scratch);
	scratch_sealed(scratch, "r1", 0, 600, 1);
	return 0;
}

/* All of its segments are read. */
static struct base_set *ready_set(struct scratch *scratch)
{
	struct base_set *set = scratch_table(scratch, "t")->bases;
	snapshot_end(scratch->store); /* nobody changes it */
	for (size_t i = 0; i < set->segment_count; i++) {
		assert_int_equal(base_segment_wait(set, i), BASE_READY);
	}
	assert_true(base_set_is_at_hand(set));
	assert_true(set->segment_count > 6);
	return set;
}

static void a_set_is_at_hand_while_all_segments_are_ready(void **state)
{
	struct base_set *set = ready_set(*state);
	for (size_t i = 0; i < set->segment_count; i++) {
		const size_t other = (i + 3) % set->segment_count;
		for (unsigned round = 0; round < 2; round++) {
			base_segment_lose(set->segments[i], BASE_AWAY);
			assert_false(base_set_is_at_hand(set));
			base_segment_lose(set->segments[other], BASE_UNCHECKED);
			assert_int_equal(base_segment_wait(set, i), BASE_READY);
			assert_false(base_set_is_at_hand(set));
			assert_int_equal(base_segment_wait(set, other), BASE_READY);
			assert_true(base_set_is_at_hand(set));
		}
	}
}

static void who_asks_again_looks_at_no_segment(void **state)
{
	struct base_set *set = ready_set(*state);
	atomic_store(&set->segments[5]->state, BASE_AWAY); /* nobody has counted it */
	assert_true(base_set_is_at_hand(set));
	base_segment_lose(set->segments[2], BASE_AWAY);
	assert_false(base_set_is_at_hand(set));
	assert_int_equal(base_segment_wait(set, 2), BASE_READY);
	assert_false(base_set_is_at_hand(set));
}

/* The same, and the file of its first segment. Which number that has depends on which thread of the seal was the first. */
static struct base_set *ready_set_in(struct scratch *scratch, char path[PATH_MAX])
{
	char name[64];
	struct base_set *set = ready_set(scratch);
	const struct base_file_info *info = table_file(scratch_table(scratch, "t"), 0);
	snapshot_end(scratch->store);
	assert_int_equal(info->segments[0].prefix, set->segments[0]->info->prefix);
	base_file_name(name, sizeof name, 1, info->number);
	(void)snprintf(path, PATH_MAX, "%s/releases/1/%s", scratch->data, name);
	return set;
}

static void the_system_takes_a_page(void **state)
{
	struct base_set *set = ready_set(*state);
	const size_t last = set->segment_count - 1;
	atomic_store(&set->segments[last]->pages[0], BASE_PAGE_AWAY);
	assert_int_equal(base_segment_look(set, last), STATUS_OK);
	assert_int_equal(base_segment_state(set->segments[last]), BASE_AWAY);
	assert_false(base_set_is_at_hand(set));
}

static void a_page_rots(void **state)
{
	char path[PATH_MAX];
	struct base_set *set = ready_set_in(*state, path);
	const struct base_segment_info *info = set->segments[0]->info;
	scratch_flip(path, info->offset + info->bytes - 1);
	assert_int_equal(base_segment_check_again(set, 0), BASE_DAMAGED);
	assert_false(base_set_is_at_hand(set));
}

static void a_file_is_cut(void **state)
{
	char path[PATH_MAX];
	struct base_set *set = ready_set_in(*state, path);
	scratch_cut(path, set->segments[0]->info->offset);
	base_set_look(set);
	assert_false(base_set_is_at_hand(set));
}

static void a_map_cannot_be_read(void **state)
{
	char path[PATH_MAX];
	struct base_set *set = ready_set_in(*state, path);
	assert_int_equal(mapfault_install(), STATUS_OK); /* cmocka took the signal */
	scratch_cut(path, 4096);
	seen = set->segments[0]->data[set->segments[0]->info->bytes - 1];
	assert_false(base_set_is_at_hand(set));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_set_is_at_hand_while_all_segments_are_ready),
		TEST(who_asks_again_looks_at_no_segment),
		TEST(the_system_takes_a_page),
		TEST(a_page_rots),
		TEST(a_file_is_cut),
		TEST(a_map_cannot_be_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
