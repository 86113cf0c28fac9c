/* test_pages.c - rows are found page by page where a segment is not in memory, and a damaged page costs the keys
 * that are on it. */
#include "daemon/store/base/pages.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/reader.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/seed.h"
#include "tests/unit/store/plain.h"

#include <cmocka.h>

enum { ROWS = 900, STRIDE_MAX = 8192, BATCH = 200 };

/* A store whose janitor looks at no pages. */
static int setup_quiet(void **state)
{
	(void)scratch_setup_quiet(state);
	scratch_open(*state);
	return 0;
}

struct answer {
	uint8_t rows[BATCH * STRIDE_MAX];
	float scales[BATCH];
	int64_t times[BATCH];
	uint64_t tags[BATCH];
	uint8_t found[(BATCH + 7) / 8];
	uint8_t why[BATCH];
};

/* Looks keys up by their numbers; those from plain->count on are absent. */
static enum status look_up(const struct table *table, const struct plain *plain,
	const uint32_t *numbers, uint32_t count, bool may_block, struct answer *answer)
{
	struct keys keys;
	plain_batch(plain, numbers, count, &keys);
	struct lookup lookup = {
		.table = table,
		.keys = keys,
		.dtype = plain->spec.dtype,
		.now_ms = SCRATCH_NOW_MS,
		.may_block = may_block,
		.rows = answer->rows,
		.found = answer->found,
		.scales = plain->spec.dtype == DTYPE_I8 ? (uint8_t *)answer->scales : NULL,
		.times = (uint8_t *)answer->times,
		.tags = (uint8_t *)answer->tags,
		.why = answer->why,
	};
	const enum status status = table_lookup(&lookup, NULL);
	free((uint8_t *)keys.packed);
	free((uint32_t *)keys.at);
	return status;
}

/* Compares answer i with what was loaded. */
static void expect_row(const struct answer *answer, uint32_t i, const struct plain *plain,
	uint32_t number)
{
	const size_t stride = spec_row_bytes(&plain->spec);
	if (number >= plain->count) {
		assert_int_equal(answer->why[i], WHY_ABSENT);
		return;
	}
	assert_int_equal(answer->why[i], WHY_FOUND);
	assert_memory_equal(answer->rows + i * stride, plain->rows + number * stride, stride);
	assert_int_equal(answer->times[i], plain->times[number]);
	assert_int_equal(answer->tags[i], plain->tags[number]);
	if (plain->spec.dtype == DTYPE_I8) {
		assert_memory_equal(&answer->scales[i], &plain->scales[number], sizeof(float));
	}
}

static void forget_all(const struct table *table, enum base_segment_state state)
{
	for (size_t i = 0; i < table->bases->segment_count; i++) {
		scratch_mark(table->bases->segments[i], BASE_PAGE_AWAY, state);
	}
}

static struct table_spec spec_of(enum dtype dtype, enum key_type key_type, uint32_t dim, bool tags)
{
	struct table_spec spec = scratch_spec("p", dtype, key_type, dim);
	spec.tags = tags;
	return spec;
}

static void what_is_away_is_read_page_by_page(void **state)
{
	struct scratch *scratch = *state;
	uint64_t random = seed_from(5);
	const struct table_spec specs[] = {
		spec_of(DTYPE_F32, KEY_U64, 64, false), spec_of(DTYPE_I8, KEY_BYTES, 70, true),
		spec_of(DTYPE_F32, KEY_BYTES, 1100, false), /* a row is on three pages */
	};
	struct answer *answer = malloc(sizeof *answer);
	assert_non_null(answer);
	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
		struct plain plain;
		plain_seal(&plain, scratch, &specs[i], ROWS, 300);
		const struct table *table = scratch_table(scratch, "p");
		for (unsigned round = 0; round < 30; round++) {
			uint32_t numbers[BATCH];
			const uint32_t count = (uint32_t)(plain_random(&random) % BATCH) + 1;
			for (uint32_t j = 0; j < count; j++) {
				numbers[j] = (uint32_t)(plain_random(&random) % (ROWS + ROWS / 4));
			}
			if (round % 3 != 2) { /* else some are here, and some are not */
				forget_all(table, round % 3 == 0 ? BASE_UNCHECKED : BASE_AWAY);
				assert_int_equal(look_up(table, &plain, numbers, count, false,
							 answer),
					STATUS_AGAIN);
			}
			const uint64_t before = base_pages_checked();
			assert_int_equal(look_up(table, &plain, numbers, count, true, answer),
				STATUS_OK);
			assert_true(round % 3 == 2 || base_pages_checked() > before);
			for (uint32_t j = 0; j < count; j++) {
				expect_row(answer, j, &plain, numbers[j]);
			}
			/* Now they are here, so a loop may ask. */
			const uint64_t after = base_pages_checked();
			assert_int_equal(look_up(table, &plain, numbers, count, false, answer),
				STATUS_OK);
			assert_int_equal(base_pages_checked(), after);
			for (uint32_t j = 0; j < count; j++) {
				expect_row(answer, j, &plain, numbers[j]);
			}
		}
		snapshot_end(scratch->store);
		plain_fini(&plain);
		void *again = scratch;
		(void)scratch_teardown(&again);
		(void)setup_quiet(&again);
		*state = again;
		scratch = again;
	}
	free(answer);
}

static void one_row_costs_a_few_pages(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	const struct table_spec spec = spec_of(DTYPE_F32, KEY_U64, 64, false);
	struct answer *answer = malloc(sizeof *answer);
	assert_non_null(answer);
	plain_seal(&plain, scratch, &spec, ROWS * 10, 3000);
	const struct table *table = scratch_table(scratch, "p");
	for (uint32_t number = 0; number < 20; number++) {
		const uint32_t asked = number % 4 == 3 ? plain.count + number : number;
		forget_all(table, BASE_AWAY);
		const uint64_t before = base_pages_checked();
		assert_int_equal(look_up(table, &plain, &asked, 1, true, answer), STATUS_OK);
		expect_row(answer, 0, &plain, asked);
		/* slot, key, time, row; now and then the run of slots goes on on a second page */
		assert_in_range(base_pages_checked() - before, 1, asked == number ? 5 : 2);
	}
	snapshot_end(scratch->store);
	plain_fini(&plain);
	free(answer);
}

/* Looks all keys up, and as many that are absent. Returns how many are said to be damaged; what is answered
 * otherwise must be right. */
static uint32_t count_damaged(const struct table *table, const struct plain *plain,
	struct answer *answer)
{
	uint32_t damaged = 0;
	for (uint32_t first = 0; first < plain->count * 2; first += BATCH) {
		uint32_t numbers[BATCH];
		const uint32_t left = plain->count * 2 - first;
		const uint32_t count = left < BATCH ? left : BATCH;
		for (uint32_t i = 0; i < count; i++) {
			numbers[i] = first + i;
		}
		assert_int_equal(look_up(table, plain, numbers, count, true, answer), STATUS_OK);
		for (uint32_t i = 0; i < count; i++) {
			if (answer->why[i] == WHY_CORRUPT) {
				damaged++;
			} else {
				expect_row(answer, i, plain, numbers[i]);
			}
		}
	}
	return damaged;
}

/* The base file of a table that has one. */
static void path_of(const struct scratch *scratch, const struct table *table, char path[PATH_MAX])
{
	char name[64] = "releases/1/";
	assert_int_equal(table_file_count(table), 1);
	base_file_name(name + strlen(name), sizeof name - strlen(name), table->number,
		table_file(table, 0)->number);
	scratch_path(scratch, path, name);
}

static void a_damaged_page_costs_the_keys_on_it(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	char path[PATH_MAX];
	const struct table_spec spec = spec_of(DTYPE_F32, KEY_BYTES, 64, true);
	struct answer *answer = malloc(sizeof *answer);
	assert_non_null(answer);
	plain_seal(&plain, scratch, &spec, ROWS, 300);
	const struct table *table = scratch_table(scratch, "p");
	assert_int_equal(table->bases->segment_count, 1);
	const struct segment *view = &table->bases->segments[0]->view;
	const uint64_t offset = table->bases->segments[0]->info->offset;
	const uint32_t pages = view->page_count;
	const uint32_t first = segment_list_page(view, pages - 1) + 1;
	const uint32_t first_row =
		base_pages_of(table->bases->segments[0], view->row_data, 1).first;
	path_of(scratch, table, path);
	snapshot_end(scratch->store);
	uint64_t random = seed_from(9);
	for (uint32_t page = 0; page < pages; page++) {
		const uint64_t in_page = page == 0 ? plain_random(&random) % SEGMENT_HEADER_BYTES
						   : plain_random(&random) % SEGMENT_PAGE_BYTES;
		const uint64_t at = page == 0
					    ? offset + in_page
					    : offset - SEGMENT_LEAD_BYTES +
						      (uint64_t)page * SEGMENT_PAGE_BYTES + in_page;
		scratch_close(scratch);
		scratch_flip(path, at);
		scratch_open(scratch);
		table = scratch_table(scratch, "p");
		const uint32_t damaged = count_damaged(table, &plain, answer);
		snapshot_end(scratch->store);
		if (page < first) {
			assert_int_equal(damaged, ROWS * 2); /* head, or all checksums */
		} else if (page >= first_row) {
			assert_in_range(damaged, 0, SEGMENT_PAGE_BYTES / (64 * 4) + 1);
		} else {
			assert_true(damaged < ROWS * 2);
		}
		scratch_close(scratch);
		scratch_flip(path, at);
		scratch_open(scratch);
	}
	table = scratch_table(scratch, "p");
	assert_int_equal(count_damaged(table, &plain, answer), 0);
	snapshot_end(scratch->store);
	plain_fini(&plain);
	free(answer);
}

/* The states of a segment's pages from one on. */
static uint32_t count_pages(const struct base_segment *segment, uint32_t from, uint32_t behind,
	enum base_page_state state)
{
	uint32_t count = 0;
	for (uint32_t page = from; page < behind; page++) {
		count += atomic_load(&segment->pages[page]) == (unsigned char)state;
	}
	return count;
}

static void damage_in_the_list_costs_the_pages_it_lists(void **state)
{
	enum { MANY = 12000, LISTED = SEGMENT_PAGE_BYTES / 8 };
	struct scratch *scratch = *state;
	struct plain plain;
	char path[PATH_MAX];
	const struct table_spec spec = spec_of(DTYPE_F32, KEY_U64, 64, false);
	plain_seal(&plain, scratch, &spec, MANY, 3000);
	const struct table *table = scratch_table(scratch, "p");
	const uint64_t offset = table->bases->segments[0]->info->offset;
	assert_int_equal(segment_head_pages(&table->bases->segments[0]->view), 1);
	path_of(scratch, table, path);
	snapshot_end(scratch->store);
	scratch_close(scratch);
	scratch_flip(path, offset - SEGMENT_LEAD_BYTES + SEGMENT_PAGE_BYTES + 800);
	scratch_open(scratch);
	table = scratch_table(scratch, "p");
	struct base_segment *segment = table->bases->segments[0];
	const uint32_t pages = segment->view.page_count;
	assert_true(pages > LISTED + 100);
	/* The look after the start may have found the damage, and left the rest to whoever needs it. */
	assert_int_equal(base_segment_wait(table->bases, 0), BASE_DAMAGED);
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(base_segment_check_again(table->bases, 0), BASE_DAMAGED);
		assert_int_equal(count_pages(segment, LISTED, pages, BASE_PAGE_GOOD),
			pages - LISTED);
		/* The head and the second page of the list are good. */
		assert_int_equal(count_pages(segment, 0, LISTED, BASE_PAGE_GOOD), 2);
		assert_int_equal(count_pages(segment, 0, LISTED, BASE_PAGE_DAMAGED), LISTED - 2);
	}
	snapshot_end(scratch->store);
	plain_fini(&plain);
}

static void a_page_is_compared_again_when_it_comes_again(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	const struct table_spec spec = spec_of(DTYPE_F32, KEY_U64, 64, false);
	struct answer *answer = malloc(sizeof *answer);
	assert_non_null(answer);
	char path[PATH_MAX];
	plain_seal(&plain, scratch, &spec, ROWS, 300);
	const struct table *table = scratch_table(scratch, "p");
	struct base_segment *segment = table->bases->segments[0];
	assert_int_equal(count_damaged(table, &plain, answer), 0);
	/* What is in memory and was compared is believed; the map shows what the file has. */
	path_of(scratch, table, path);
	const uint64_t at =
		segment->info->offset + (uint64_t)(segment->view.row_data - segment->data) + 77;
	scratch_flip(path, at);
	scratch_mark(segment, BASE_PAGE_AWAY, BASE_AWAY);
	assert_in_range(count_damaged(table, &plain, answer), 1, 16);
	assert_int_equal(base_segment_state(segment), BASE_DAMAGED);
	/* Damage stays, whatever the file has later. */
	scratch_flip(path, at);
	assert_int_equal(base_segment_look(table->bases, 0), STATUS_OK);
	assert_in_range(count_damaged(table, &plain, answer), 1, 16);
	snapshot_end(scratch->store);
	plain_fini(&plain);
	free(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_away_is_read_page_by_page, setup_quiet,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(one_row_costs_a_few_pages, setup_quiet,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_damaged_page_costs_the_keys_on_it, setup_quiet,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(damage_in_the_list_costs_the_pages_it_lists,
			setup_quiet, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_page_is_compared_again_when_it_comes_again,
			setup_quiet, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
