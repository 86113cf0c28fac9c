/* test_read_ahead.c - what a batch needs of the disk is read before it has the writer's lock: all of it, and no more. */
#include "daemon/store/base/find.h"
#include "daemon/store/base/pages.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/read_ahead.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/write/write_part.h"
#include "daemon/store/write/writer.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/store/observe_fixture.h"
#include "tests/unit/store/plain.h"

#include <cmocka.h>

/* Of keys there are more blocks than threads, and the last block is not whole. */
enum { KEYS = FIND_BLOCK * (READ_AHEAD_THREADS + 2) + 7 };
enum { WANTS = FIND_ROWS | FIND_TIMES | FIND_TAGS | FIND_LOWS };

/* A store whose janitor looks at no pages, with a release r1 whose keys are [0, KEYS). */
static int setup(void **state)
{
	(void)scratch_setup_quiet(state);
	scratch_open(*state);
	scratch_sealed(*state, "r1", 0, KEYS, 1);
	return 0;
}

/* The same, with the release of the samples. */
static int setup_samples(void **state)
{
	(void)scratch_setup_quiet(state);
	scratch_open(*state);
	samples_release(*state, "r1");
	return 0;
}

static void forget(struct scratch *scratch, const char *name)
{
	const struct table *table = scratch_table(scratch, name);
	for (size_t i = 0; i < table->bases->segment_count; i++) {
		scratch_mark(table->bases->segments[i], BASE_PAGE_AWAY, BASE_AWAY);
	}
	snapshot_end(scratch->store);
}

/* Reads ahead for keys [0, KEYS) of table "t"; the pages that were read for it. */
static uint64_t read_ahead(struct scratch *scratch, const uint64_t *numbers)
{
	const struct release *release;
	const struct table *table;
	const struct keys keys = {.type = KEY_U64,
		.count = KEYS,
		.packed = (const uint8_t *)numbers};
	const uint64_t before = base_pages_checked();
	const struct snapshot *snapshot = snapshot_begin_long(scratch->store, "r1");
	assert_non_null(snapshot);
	assert_int_equal(snapshot_release(snapshot, "r1", &release, NULL), STATUS_OK);
	assert_int_equal(release_table(release, "t", &table, NULL), STATUS_OK);
	table_read_ahead(table, &keys, store_visible(scratch->store), WANTS, NULL);
	snapshot_end(scratch->store);
	return base_pages_checked() - before;
}

static void list(uint64_t *numbers)
{
	for (uint64_t i = 0; i < KEYS; i++) {
		numbers[i] = i;
	}
}

/* Whether all keys are found, with what is wanted of them, without a page that would have to be read. */
static bool are_found(struct scratch *scratch, const uint64_t *numbers, unsigned wants)
{
	enum status status = STATUS_OK;
	const struct table *table = scratch_table(scratch, "t");
	for (uint32_t first = 0; first < KEYS && status == STATUS_OK; first += FIND_BLOCK) {
		const uint32_t count = KEYS - first < FIND_BLOCK ? KEYS - first : FIND_BLOCK;
		const struct keys keys = {.type = KEY_U64,
			.count = KEYS,
			.packed = (const uint8_t *)numbers};
		uint64_t hashes[FIND_BLOCK];
		struct found_row rows[FIND_BLOCK];
		const struct find find = {.keys = &keys, .hashes = hashes, .wants = wants};
		keys_hash(&keys, &table->seed, first, count, hashes);
		status = table_find_rows(table, &find, first, count, rows);
	}
	snapshot_end(scratch->store);
	assert_true(status == STATUS_OK || status == STATUS_AGAIN);
	return status == STATUS_OK;
}

static bool are_at_hand(struct scratch *scratch, const uint64_t *numbers)
{
	return are_found(scratch, numbers, WANTS);
}

static bool times_are_at_hand(struct scratch *scratch, const uint64_t *numbers)
{
	return are_found(scratch, numbers, FIND_TIMES);
}

static void all_blocks_of_a_batch_are_read(void **state)
{
	struct scratch *scratch = *state;
	uint64_t numbers[KEYS];
	list(numbers);
	forget(scratch, "t");
	assert_false(are_at_hand(scratch, numbers));
	assert_true(read_ahead(scratch, numbers) > 0);
	assert_true(are_at_hand(scratch, numbers));
	assert_int_equal(read_ahead(scratch, numbers), 0);
}

static void what_was_written_since_needs_no_page(void **state)
{
	struct scratch *scratch = *state;
	uint64_t numbers[KEYS];
	list(numbers);
	scratch_put(scratch, "r1", (struct scratch_rows){.from = 0, .count = KEYS, .version = 2});
	forget(scratch, "t");
	assert_int_equal(read_ahead(scratch, numbers), 0);
	assert_false(are_at_hand(scratch, numbers));
}

/* A batch that is refused once it has the lock has read by then. */
static void the_states_of_samples_are_read_before_the_lock(void **state)
{
	struct scratch *scratch = *state;
	static struct sample_batch batch;
	struct observe_result result;
	samples_send(scratch, 0, SAMPLE_BATCH_MAX, SAMPLE_BATCH_MAX);
	samples_merge(scratch);
	forget(scratch, "cr_user@fm");
	forget(scratch, "cr_item@fm");
	const uint64_t before = base_pages_checked();
	assert_int_equal(samples_try(scratch, samples_make(&batch, 1000, 100), &result, NULL),
		STATUS_GAP);
	const uint64_t ahead = base_pages_checked();
	assert_true(ahead > before);
	samples_send(scratch, SAMPLE_BATCH_MAX, 0, 0);
	samples_send(scratch, SAMPLE_BATCH_MAX, 100, 100);
	samples_expect(scratch, 0, SAMPLE_BATCH_MAX + 100);
}

/* A write that is refused once it has the lock, since its first part names no table, has read by then for its second;
 * a put that does not depend on what is there has not. */
static void what_writes_look_at_is_read_before_the_lock(void **state)
{
	struct scratch *scratch = *state;
	uint64_t numbers[KEYS];
	list(numbers);
	struct table_write parts[] = {{.table = "none"}, {.table = "t"}};
	const struct row_write write = {
		.release = "r1",
		.parts = parts,
		.part_count = 2,
		.if_newer = true,
		.now_ms = 1,
	};
	struct row_write plain = write;
	plain.if_newer = false;
	for (size_t i = 0; i < 2; i++) {
		parts[i].batch.keys = (struct keys){
			.type = KEY_U64,
			.count = KEYS,
			.packed = (const uint8_t *)numbers,
		};
	}
	struct write_result result;
	struct write_ticket *ticket;
	forget(scratch, "t");
	assert_int_equal(store_put(scratch->store, &plain, &result, &ticket, NULL),
		STATUS_NOT_FOUND);
	assert_false(times_are_at_hand(scratch, numbers));
	assert_int_equal(store_put(scratch->store, &write, &result, &ticket, NULL),
		STATUS_NOT_FOUND);
	assert_true(times_are_at_hand(scratch, numbers));
	forget(scratch, "t");
	assert_int_equal(store_delete(scratch->store, &plain, &result, &ticket, NULL),
		STATUS_NOT_FOUND);
	assert_true(times_are_at_hand(scratch, numbers));
}

/* Neither before the lock nor under it: what the memtable has tells all. */
static void deletes_of_what_was_written_since_need_no_page(void **state)
{
	struct scratch *scratch = *state;
	uint64_t numbers[KEYS];
	list(numbers);
	const struct table_write part = {
		.table = "t",
		.batch.keys = {.type = KEY_U64, .count = KEYS, .packed = (const uint8_t *)numbers},
	};
	const struct row_write write = {
		.release = "r1",
		.parts = &part,
		.part_count = 1,
		.now_ms = 1,
	};
	struct write_result result;
	struct write_ticket *ticket;
	scratch_put(scratch, "r1", (struct scratch_rows){.from = 0, .count = KEYS, .version = 2});
	forget(scratch, "t");
	const uint64_t before = base_pages_checked();
	assert_int_equal(store_delete(scratch->store, &write, &result, &ticket, NULL), STATUS_OK);
	assert_int_equal(store_write_wait(ticket, NULL), STATUS_OK);
	assert_int_equal(result.count, KEYS);
	assert_int_equal(base_pages_checked(), before);
}

/* A merge may take rows out of the memtable between the look at them and the write: what was seen is kept. */
static void what_the_memtable_has_is_kept_until_the_write(void **state)
{
	struct scratch *scratch = *state;
	uint64_t numbers[KEYS];
	list(numbers);
	const struct table_write given = {
		.table = "t",
		.batch.keys = {.type = KEY_U64, .count = KEYS, .packed = (const uint8_t *)numbers},
	};
	struct write_part part = {.given = &given, .kind = FRAME_DELETE, .now_ms = 1};
	scratch_put(scratch, "r1", (struct scratch_rows){.from = 0, .count = KEYS, .version = 2});
	uint32_t kept = 0;
	lock_take(&scratch->store->writer->apply_lock);
	part.table = scratch_table(scratch, "t");
	const enum status status = write_part_prepare(&part, NULL);
	for (uint32_t i = 0; status == STATUS_OK && i < KEYS; i++) {
		kept += part.base_times[i] != INT64_MIN ? 1 : 0;
	}
	write_part_fini(&part);
	snapshot_end(scratch->store);
	lock_release(&scratch->store->writer->apply_lock);
	assert_int_equal(kept, KEYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_blocks_of_a_batch_are_read, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(what_was_written_since_needs_no_page, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(what_writes_look_at_is_read_before_the_lock, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(deletes_of_what_was_written_since_need_no_page,
			setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(what_the_memtable_has_is_kept_until_the_write,
			setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(the_states_of_samples_are_read_before_the_lock,
			setup_samples, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
