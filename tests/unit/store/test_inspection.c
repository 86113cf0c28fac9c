/* test_inspection.c - the look at all files in the background: keys before rows, and requests before itself. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/base/find_cold.h"
#include "daemon/store/base/pages.h"
#include "daemon/store/inspection/inspection.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/reader.h"

#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/store/plain.h"
#include "tests/unit/wait.h"

#include <cmocka.h>

enum { ROWS = 9000, DIM = 256 };

/* A table of three pieces, in a store whose own janitor looks at nothing. */
struct fixture {
	struct scratch *scratch;
	struct plain plain;
	const struct table *table;
	struct inspection inspection;
	unsigned asked;   /* how often it was asked whether to go on */
	unsigned stop_at; /* the time at which it is to stop; 0: never */
	unsigned pauses;
	bool is_read_beside; /* a request reads a cold row each time that is asked */
};

static int setup(void **state)
{
	void *scratch_state;
	(void)scratch_setup_quiet(&scratch_state);
	struct fixture *fixture = calloc(1, sizeof *fixture);
	assert_non_null(fixture);
	fixture->scratch = scratch_state;
	fixture->scratch->sizes.segment_bytes = 6 << 20;
	scratch_open(fixture->scratch);
	const struct table_spec spec = scratch_spec("p", DTYPE_F32, KEY_U64, DIM);
	plain_seal(&fixture->plain, fixture->scratch, &spec, ROWS, 3000);
	fixture->table = scratch_table(fixture->scratch, "p");
	snapshot_end(fixture->scratch->store); /* nobody changes it */
	assert_true(fixture->table->bases->segment_count > 1);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	plain_fini(&fixture->plain);
	void *scratch_state = fixture->scratch;
	(void)scratch_teardown(&scratch_state);
	free(fixture);
	return 0;
}

static struct base_segment *segment(const struct fixture *fixture, size_t i)
{
	return fixture->table->bases->segments[i];
}

static void forget(const struct fixture *fixture, enum base_segment_state state)
{
	for (size_t i = 0; i < fixture->table->bases->segment_count; i++) {
		scratch_mark(segment(fixture, i), BASE_PAGE_AWAY, state);
	}
}

static enum status fetch(const struct fixture *fixture, uint32_t number, bool may_block)
{
	struct keys keys;
	float row[DIM];
	uint8_t found = 0;
	plain_batch(&fixture->plain, &number, 1, &keys);
	struct lookup lookup = {
		.table = fixture->table,
		.keys = keys,
		.dtype = DTYPE_F32,
		.now_ms = SCRATCH_NOW_MS,
		.may_block = may_block,
		.rows = (uint8_t *)row,
		.found = &found,
	};
	(void)snapshot_begin(fixture->scratch->store);
	const enum status status = table_lookup(&lookup, NULL);
	snapshot_end(fixture->scratch->store);
	free((uint8_t *)keys.packed);
	free((uint32_t *)keys.at);
	assert_int_equal(found, status == STATUS_OK && number < ROWS);
	return status;
}

static uint64_t cold_reads(void)
{
	struct histogram_figures figures;
	find_cold_figures(&figures);
	return histogram_count(&figures);
}

static bool go_on(void *arg)
{
	struct fixture *fixture = arg;
	fixture->asked++;
	if (fixture->is_read_beside) {
		scratch_mark(segment(fixture, 0), BASE_PAGE_AWAY, BASE_AWAY);
		for (uint32_t number = 0; number < 20; number++) {
			assert_int_equal(fetch(fixture, number, true), STATUS_OK);
		}
	}
	return fixture->asked != fixture->stop_at;
}

static void count_pause(void *arg, uint64_t ms)
{
	struct fixture *fixture = arg;
	assert_in_range(ms, 1, 200);
	fixture->pauses++;
}

static bool inspect(struct fixture *fixture)
{
	fixture->asked = 0;
	fixture->pauses = 0;
	fixture->inspection = (struct inspection){.store = fixture->scratch->store,
		.go_on = go_on,
		.pause = count_pause,
		.arg = fixture};
	return inspection_run(&fixture->inspection, false);
}

static void all_is_checked(void **state)
{
	struct fixture *fixture = *state;
	forget(fixture, BASE_UNCHECKED);
	assert_int_equal(fetch(fixture, 1, false), STATUS_AGAIN);
	assert_true(inspect(fixture));
	for (size_t i = 0; i < fixture->table->bases->segment_count; i++) {
		assert_int_equal(base_segment_state(segment(fixture, i)), BASE_READY);
	}
	assert_int_equal(fetch(fixture, 1, false), STATUS_OK);
	assert_int_equal(fixture->pauses, 0);
}

/* Stopped behind the last keys, it has read no row. */
static void keys_come_first_and_then_a_row_costs_its_page(void **state)
{
	struct fixture *fixture = *state;
	forget(fixture, BASE_UNCHECKED);
	fixture->stop_at = (unsigned)fixture->table->bases->segment_count;
	assert_false(inspect(fixture));
	unsigned cold = 0;
	for (uint32_t number = 0; number < 50; number++) {
		const uint32_t asked = number % 5 == 4 ? ROWS + number : number * 37;
		const uint64_t pages = base_pages_checked();
		const uint64_t reads = cold_reads();
		/* Now and then its row is on a page with another one's. */
		const bool is_cold = fetch(fixture, asked, false) == STATUS_AGAIN;
		assert_int_equal(fetch(fixture, asked, true), STATUS_OK);
		assert_int_equal(base_pages_checked() - pages, is_cold);
		assert_int_equal(cold_reads() - reads, is_cold);
		assert_true(asked < ROWS || !is_cold);
		cold += is_cold;
	}
	assert_true(cold > 30);
}

/* What the system has taken is read again, but of checked segments that is keys alone. */
static void keys_that_were_taken_are_read_again(void **state)
{
	struct fixture *fixture = *state;
	forget(fixture, BASE_AWAY);
	assert_true(inspect(fixture));
	const uint64_t pages = base_pages_checked();
	assert_int_equal(fetch(fixture, 5, true), STATUS_OK);
	assert_int_equal(base_pages_checked() - pages, 1);
}

static void it_makes_way_for_requests(void **state)
{
	struct fixture *fixture = *state;
	forget(fixture, BASE_UNCHECKED);
	fixture->is_read_beside = true;
	assert_true(inspect(fixture));
	assert_true(fixture->pauses > 0);
}

/* The janitor removes the folder of a release that is dropped. */
static void have_the_janitor_work(const struct fixture *fixture, const char *id)
{
	struct error err = {0};
	char releases[PATH_MAX];
	struct wait wait = {0};
	scratch_path(fixture->scratch, releases, "releases");
	const size_t before = scratch_count(releases, "");
	scratch_release(fixture->scratch, id);
	assert_int_equal(scratch_count(releases, ""), before + 1);
	scratch_must(store_release_drop(fixture->scratch->store, id, &err), &err);
	while (scratch_count(releases, "") > before) {
		wait_a_moment(&wait);
	}
}

/* What is asked for right after a start has the disk alone, while the janitor does what else it has to do. */
static void the_first_look_is_not_at_once(void **state)
{
	struct fixture *fixture = *state;
	scratch_close(fixture->scratch); /* its first look is a day later */
	const uint64_t pages = base_pages_checked();
	scratch_open(fixture->scratch);
	have_the_janitor_work(fixture, "a");
	have_the_janitor_work(fixture, "b");
	have_the_janitor_work(fixture, "c");
	assert_int_equal(base_pages_checked(), pages);
	scratch_close(fixture->scratch);
	fixture->scratch->sizes.first_look_ms = 1;
	scratch_open(fixture->scratch);
	struct wait wait = {0};
	while (base_pages_checked() == pages) {
		wait_a_moment(&wait);
	}
}

static bool count_bytes(void *arg, uint64_t bytes)
{
	assert_int_equal(bytes, 4 << 20);
	return go_on(arg);
}

static void a_read_ends_when_it_is_told(void **state)
{
	struct fixture *fixture = *state;
	forget(fixture, BASE_UNCHECKED);
	fixture->asked = 0;
	fixture->stop_at = 1;
	assert_false(
		base_segment_read(fixture->table->bases, 0, BASE_PART_ALL, count_bytes, fixture));
	const uint32_t count = segment(fixture, 0)->view.page_count;
	const struct base_pages first = {segment(fixture, 0), 0, 1};
	const struct base_pages last = {segment(fixture, 0), count - 1, 1};
	assert_int_equal(base_pages_state(&first), BASE_PAGE_GOOD);
	assert_int_equal(base_pages_state(&last), BASE_PAGE_AWAY);
}

/* Whether the map that has this address is marked as read at random. */
static bool is_at_random(const void *at)
{
	char line[512];
	bool is_it = false;
	bool is_random = false;
	FILE *maps = fopen("/proc/self/smaps", "r");
	assert_non_null(maps);
	while (fgets(line, sizeof line, maps) != NULL) {
		char *behind;
		const unsigned long long from = strtoull(line, &behind, 16);
		if (behind != line && *behind == '-') {
			const unsigned long long end = strtoull(behind + 1, NULL, 16);
			is_it = (uintptr_t)at >= from && (uintptr_t)at < end;
		} else if (is_it && strncmp(line, "VmFlags:", 8) == 0) {
			is_random = strstr(line, " rr") != NULL;
		}
	}
	(void)fclose(maps);
	return is_random;
}

/* The system must keep what is used of a table that is in memory, and read one page for a row of another. */
static void what_is_in_memory_is_kept_by_use(void **state)
{
	struct fixture *fixture = *state;
	const struct base_segment *first = segment(fixture, 0);
	assert_int_equal(base_segment_wait(fixture->table->bases, 0), BASE_READY);
	assert_false(is_at_random(first->data));
	assert_int_equal(madvise((uint8_t *)first->data - SEGMENT_LEAD_BYTES,
				 (size_t)first->view.page_count * SEGMENT_PAGE_BYTES, MADV_RANDOM),
		0);
	atomic_store(&segment(fixture, 0)->is_here, false);
	assert_int_equal(base_segment_look(fixture->table->bases, 0), STATUS_OK);
	assert_false(is_at_random(first->data)); /* all of it is in memory */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_is_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_come_first_and_then_a_row_costs_its_page,
			setup, teardown),
		cmocka_unit_test_setup_teardown(keys_that_were_taken_are_read_again, setup,
			teardown),
		cmocka_unit_test_setup_teardown(it_makes_way_for_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(the_first_look_is_not_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_read_ends_when_it_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_in_memory_is_kept_by_use, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
