/* test_load.c - chunks of a load count once, in their order; a wrong one changes nothing. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/load/load.h"
#include "daemon/store/seal/seal_release.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST_ROWS = 8, DIM = 4 };

/* A chunk of a few rows, in memory that may be changed. */
struct small {
	uint64_t keys[MOST_ROWS];
	float rows[MOST_ROWS][DIM];
	int8_t codes[MOST_ROWS][DIM];
	float scales[MOST_ROWS];
	int64_t times[MOST_ROWS];
	uint64_t tags[MOST_ROWS];
	struct load_chunk chunk;
};

static void make_small(struct small *small, const char *table, uint64_t number)
{
	*small = (struct small){
		.chunk = {.release = "r1",
			.table = table,
			.load = {"a"},
			.chunk = number,
			.batch.dtype = DTYPE_F32,
			.now_ms = SCRATCH_NOW_MS},
	};
	for (uint32_t i = 0; i < MOST_ROWS; i++) {
		small->keys[i] = number * 100 + i;
		small->scales[i] = 0.5f;
		scratch_row(small->keys[i], 1, small->rows[i]);
	}
	struct row_batch *batch = &small->chunk.batch;
	batch->keys = (struct keys){KEY_U64, MOST_ROWS, (const uint8_t *)small->keys, NULL};
	batch->rows = (const uint8_t *)small->rows;
	batch->rows_bytes = sizeof small->rows;
}

static void add_table(struct scratch *scratch, const struct table_spec *spec)
{
	struct error err = {0};
	scratch_must(store_table_create(scratch->store, "r1", spec, NULL, &err), &err);
}

static int setup(void **state)
{
	(void)scratch_setup_store(state);
	scratch_release(*state, "r1");
	return 0;
}

static enum status send(struct scratch *scratch, const struct load_chunk *chunk, struct error *err)
{
	struct load_progress progress;
	return store_load_chunk(scratch->store, chunk, &progress, err);
}

/* Sends a chunk that is refused, with this in the text; no load is begun by it. */
static void expect_refused(struct scratch *scratch, const struct load_chunk *chunk,
	enum status expected, const char *text)
{
	struct error err = {0};
	assert_int_equal(send(scratch, chunk, &err), expected);
	assert_int_equal(err.status, expected);
	if (strstr(err.text, text) == NULL) {
		fail_msg("'%s' is not in: %s", text, err.text);
	}
	struct load_state *states;
	size_t count;
	scratch_must(store_loads(scratch->store, "r1", &states, &count, &err), &err);
	assert_int_equal(count, 0);
	assert_null(states);
	char folder[PATH_MAX];
	scratch_path(scratch, folder, "releases/1");
	assert_int_equal(scratch_count(folder, ""), 0);
}

static struct load_state state_of(struct scratch *scratch, const char *load)
{
	struct error err = {0};
	struct load_state *states;
	struct load_state found = {0};
	size_t count;
	scratch_must(store_loads(scratch->store, "r1", &states, &count, &err), &err);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(states[i].load.text, load) == 0) {
			found = states[i];
		}
	}
	free(states);
	assert_string_equal(found.load.text, load);
	assert_string_equal(found.table.text, "t");
	return found;
}

/* ---- order ---- */

static void chunks_count_once_and_in_order(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct load_progress progress;
	struct small small;
	make_small(&small, "t", 1);
	expect_refused(scratch, &small.chunk, STATUS_GAP, "chunk: 1 given, 0 expected");
	for (uint64_t i = 0; i < 5; i++) {
		make_small(&small, "t", i);
		for (unsigned times = 0; times < 2; times++) {
			scratch_must(store_load_chunk(scratch->store, &small.chunk, &progress,
					     &err),
				&err);
			assert_int_equal(progress.next_chunk, i + 1);
			assert_int_equal(progress.rows, (i + 1) * (uint64_t)MOST_ROWS);
		}
		if (i % 2 == 0) {
			scratch_must(store_load_sync(scratch->store, &err), &err);
		}
		small.chunk.chunk = i + 2;
		assert_int_equal(send(scratch, &small.chunk, &err), STATUS_GAP);
	}
	make_small(&small, "t", 0);
	scratch_must(store_load_chunk(scratch->store, &small.chunk, &progress, &err), &err);
	assert_int_equal(progress.next_chunk, 5);
	scratch_end(scratch, "r1", "a", 5, UINT64_C(5) * MOST_ROWS);
	scratch_seal(scratch, "r1");
	for (uint64_t i = 0; i < 5; i++) {
		scratch_expect(scratch, "r1", i * 100, MOST_ROWS, 1);
	}
}

static void an_ended_load_takes_no_more(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct small small;
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 10, 1});
	make_small(&small, "t", 0);
	const uint64_t wrong[][2] = {{0, 10}, {2, 10}, {1, 9}, {1, 11}};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(store_load_end(scratch->store, &small.chunk, wrong[i][0],
					 wrong[i][1], &err),
			STATUS_CONFLICT);
		assert_non_null(strstr(err.text, "has 1 chunks and 10 rows"));
		assert_false(state_of(scratch, "a").ended);
	}
	scratch_end(scratch, "r1", "a", 1, 10);
	scratch_end(scratch, "r1", "a", 1, 10);
	assert_int_equal(store_load_end(scratch->store, &small.chunk, 2, 10, &err),
		STATUS_CONFLICT);
	for (unsigned round = 0; round < 2; round++) {
		assert_true(state_of(scratch, "a").ended);
		small.chunk.chunk = 1;
		assert_int_equal(send(scratch, &small.chunk, &err), STATUS_CONFLICT);
		assert_non_null(strstr(err.text, "'a' has ended"));
		/* It came before, and is acknowledged again. */
		scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 10, 1});
		scratch_reopen(scratch);
	}
	scratch_end(scratch, "r1", "a", 1, 10);
	scratch_seal(scratch, "r1");
	scratch_expect(scratch, "r1", 0, 10, 1);
}

static void an_aborted_load_is_forgotten(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct small small;
	uint64_t rows = 0;
	char folder[PATH_MAX];
	scratch_path(scratch, folder, "releases/1");
	make_small(&small, "t", 0);
	assert_int_equal(store_load_abort(scratch->store, &small.chunk, &rows, &err),
		STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, "'a'"));
	for (unsigned ended = 0; ended < 2; ended++) {
		scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 10, 1});
		if (ended == 1) {
			scratch_end(scratch, "r1", "a", 1, 10);
		} else {
			small.chunk.chunk = 1; /* not synced yet */
			assert_int_equal(send(scratch, &small.chunk, &err), STATUS_OK);
		}
		scratch_must(store_load_abort(scratch->store, &small.chunk, &rows, &err), &err);
		assert_int_equal(rows, ended == 1 ? 10 : 10 + MOST_ROWS);
		assert_int_equal(scratch_count(folder, ""), 0);
	}
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){5, 2, 2});
	scratch_end(scratch, "r1", "a", 1, 2);
	scratch_reopen(scratch);
	scratch_seal(scratch, "r1");
	scratch_expect(scratch, "r1", 5, 2, 2);
	assert_int_equal(scratch_version(scratch, "r1", 0), 0);
}

static void an_interrupted_load_goes_on(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct small small;
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 10, 1});
	scratch_chunk(scratch, "r1", "b", 0, (struct scratch_rows){0, 5, 2});
	scratch_chunk(scratch, "r1", "a", 1, (struct scratch_rows){10, 10, 1});
	make_small(&small, "t", 2);
	assert_int_equal(send(scratch, &small.chunk, &err), STATUS_OK); /* never synced: lost */
	scratch_reopen(scratch);
	assert_int_equal(state_of(scratch, "a").progress.next_chunk, 2);
	assert_int_equal(state_of(scratch, "a").progress.rows, 20);
	assert_int_equal(state_of(scratch, "b").progress.rows, 5);
	scratch_chunk(scratch, "r1", "a", 2, (struct scratch_rows){20, 10, 1});
	scratch_end(scratch, "r1", "a", 3, 30);
	scratch_end(scratch, "r1", "b", 1, 5);
	scratch_seal(scratch, "r1");
	scratch_expect(scratch, "r1", 0, 5, 2); /* b's run is the later one */
	scratch_expect(scratch, "r1", 5, 25, 1);
	assert_int_equal(scratch_version(scratch, "r1", 200), 0);
}

static void an_empty_chunk_counts_as_one(void **state)
{
	struct scratch *scratch = *state;
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 0, 1});
	scratch_reopen(scratch);
	assert_int_equal(state_of(scratch, "a").progress.next_chunk, 1);
	scratch_chunk(scratch, "r1", "a", 1, (struct scratch_rows){0, 3, 1});
	scratch_chunk(scratch, "r1", "a", 2, (struct scratch_rows){0, 0, 1});
	struct small none;
	struct error err = {0};
	make_small(&none, "t", 3);
	none.chunk.batch = (struct row_batch){.keys.type = KEY_U64, .dtype = DTYPE_F32};
	scratch_must(send(scratch, &none.chunk, &err), &err);
	scratch_end(scratch, "r1", "a", 4, 3);
	scratch_reopen(scratch);
	scratch_seal(scratch, "r1");
	scratch_expect(scratch, "r1", 0, 3, 1);
}

/* ---- what is refused ---- */

static void a_chunk_must_fit_its_table(void **state)
{
	struct scratch *scratch = *state;
	static const uint32_t at[] = {0};
	struct small small;
	make_small(&small, "t", 0);
	small.chunk.release = "r9";
	expect_refused(scratch, &small.chunk, STATUS_NOT_FOUND, "release: 'r9' does not exist");
	make_small(&small, "u", 0);
	expect_refused(scratch, &small.chunk, STATUS_NOT_FOUND, "table: 'u'");
	make_small(&small, "t", 0);
	small.chunk.batch.keys = (struct keys){KEY_BYTES, 1, (const uint8_t *)"\1a", at};
	expect_refused(scratch, &small.chunk, STATUS_BAD_REQUEST,
		"keys: bytes given, table 't' has u64");
	make_small(&small, "t", 0);
	small.chunk.batch.tags = (const uint8_t *)small.tags;
	expect_refused(scratch, &small.chunk, STATUS_BAD_REQUEST,
		"tags: given, table 't' has none");
	const struct table_spec bits = scratch_spec("bits", DTYPE_BIT, KEY_U64, DIM);
	add_table(scratch, &bits);
	make_small(&small, "bits", 0);
	expect_refused(scratch, &small.chunk, STATUS_BAD_REQUEST,
		"dtype: f32 given, table 'bits' is bit");
}

static void times_have_a_range(void **state)
{
	struct scratch *scratch = *state;
	static const int64_t wrong[] = {-1, INT64_MIN, LIMIT_TIME_MS + 1, INT64_MAX};
	struct small small;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		make_small(&small, "t", 0);
		small.times[5] = wrong[i];
		small.chunk.batch.times = (const uint8_t *)small.times;
		expect_refused(scratch, &small.chunk, STATUS_BAD_REQUEST, "times: row 5 has ");
	}
	struct error err = {0};
	small.times[5] = LIMIT_TIME_MS;
	assert_int_equal(send(scratch, &small.chunk, &err), STATUS_OK);
}

static void what_is_not_finite_is_refused_by_name(void **state)
{
	struct scratch *scratch = *state;
	const float wrong[] = {NAN, INFINITY, -INFINITY, -NAN};
	struct error err = {0};
	struct small small;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		make_small(&small, "t", 0);
		small.keys[3] = 77;
		small.rows[3][2] = wrong[i];
		expect_refused(scratch, &small.chunk, STATUS_BAD_REQUEST,
			"rows: row 3 (key 77), element 2 is not finite;");
	}
	small.chunk.batch.dtype = DTYPE_I8;
	small.chunk.batch.rows = (const uint8_t *)small.codes;
	small.chunk.batch.rows_bytes = sizeof small.codes;
	small.chunk.batch.scales = (const uint8_t *)small.scales;
	small.scales[4] = NAN;
	expect_refused(scratch, &small.chunk, STATUS_BAD_REQUEST, "scales: row 4 (key 4)");
	make_small(&small, "t", 0);
	small.rows[3][2] = NAN;
	small.chunk.batch.allow_nonfinite = true;
	assert_int_equal(send(scratch, &small.chunk, &err), STATUS_OK);
}

static void what_overflows_in_the_tables_dtype_is_refused(void **state)
{
	struct scratch *scratch = *state;
	const struct table_spec half = scratch_spec("half", DTYPE_F16, KEY_U64, DIM);
	add_table(scratch, &half);
	struct error err = {0};
	struct small small;
	make_small(&small, "half", 0);
	small.rows[6][1] = 65520; /* the least that rounds to infinity */
	expect_refused(scratch, &small.chunk, STATUS_BAD_REQUEST,
		"rows: row 6 (key 6), element 1 is not finite in the table's dtype");
	small.rows[6][1] = 65519;
	assert_int_equal(send(scratch, &small.chunk, &err), STATUS_OK);
	/* In the middle of a group: what came before stays. */
	make_small(&small, "half", 1);
	small.rows[0][0] = -1e30f;
	assert_int_equal(send(scratch, &small.chunk, &err), STATUS_BAD_REQUEST);
	small.chunk.batch.allow_nonfinite = true;
	assert_int_equal(send(scratch, &small.chunk, &err), STATUS_OK);
	scratch_must(store_load_sync(scratch->store, &err), &err);
	scratch_must(store_load_end(scratch->store, &small.chunk, 2, UINT64_C(2) * MOST_ROWS, &err),
		&err);
	scratch_seal(scratch, "r1");
}

static void a_table_has_so_many_loads(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	char name[16];
	for (unsigned i = 0; i < LIMIT_LOADS; i++) {
		(void)snprintf(name, sizeof name, "l%u", i);
		scratch_chunk(scratch, "r1", name, 0, (struct scratch_rows){i, 1, i + 1});
	}
	struct small small;
	make_small(&small, "t", 0);
	assert_int_equal(send(scratch, &small.chunk, &err), STATUS_TOO_LARGE);
	assert_non_null(strstr(err.text, "at most 64 allowed"));
	uint64_t rows;
	(void)snprintf(small.chunk.load.text, sizeof small.chunk.load.text, "l5");
	scratch_must(store_load_abort(scratch->store, &small.chunk, &rows, &err), &err);
	make_small(&small, "t", 0);
	assert_int_equal(send(scratch, &small.chunk, &err), STATUS_OK);
}

static void a_sealed_release_takes_no_load(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct small small;
	uint64_t rows;
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 10, 1});
	scratch_end(scratch, "r1", "a", 1, 10);
	scratch_seal(scratch, "r1");
	make_small(&small, "t", 0);
	assert_int_equal(send(scratch, &small.chunk, &err), STATUS_SEALED);
	assert_int_equal(store_load_end(scratch->store, &small.chunk, 1, 10, &err), STATUS_SEALED);
	assert_int_equal(store_load_abort(scratch->store, &small.chunk, &rows, &err),
		STATUS_SEALED);
	struct load_state *states;
	size_t count;
	scratch_must(store_loads(scratch->store, "r1", &states, &count, &err), &err);
	assert_int_equal(count, 0);
	assert_int_equal(store_loads(scratch->store, "r9", &states, &count, &err),
		STATUS_NOT_FOUND);
}

/* ---- disk ---- */

static void on_a_full_disk_nothing_is_kept_and_later_all_is(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct rlimit limit;
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 100, 1});
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	const struct rlimit small = {.rlim_cur = 10000, .rlim_max = limit.rlim_max};
	for (unsigned round = 0; round < 3; round++) {
		struct load_chunk chunk = {.load = {"a"}, .chunk = 1};
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		const enum status status = scratch_try_chunk(scratch, "r1", chunk,
			(struct scratch_rows){100, 1000, 1}, &err);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		assert_int_equal(status, STATUS_DISK_FULL);
		assert_int_equal(state_of(scratch, "a").progress.next_chunk, 1);
		assert_int_equal(state_of(scratch, "a").progress.rows, 100);
		if (round == 1) {
			scratch_reopen(scratch);
		}
	}
	assert_false(store_load_is_full(scratch->store));
	/* A load that was begun by what failed is none. */
	struct load_chunk first = {.load = {"b"}};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	const enum status status =
		scratch_try_chunk(scratch, "r1", first, (struct scratch_rows){0, 1000, 1}, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(status, STATUS_DISK_FULL);
	scratch_chunk(scratch, "r1", "a", 1, (struct scratch_rows){100, 1000, 1});
	scratch_end(scratch, "r1", "a", 2, 1100);
	scratch_seal(scratch, "r1");
	scratch_expect(scratch, "r1", 0, 1100, 1);
}

/* A chunk and the end of its load in one group: the end syncs first, and if that fails the chunk
 * must not be acknowledged by the group's own sync, which finds nothing left to do. */
static void what_an_end_could_not_sync_is_not_acknowledged(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct rlimit limit;
	struct small small;
	make_small(&small, "t", 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	const struct rlimit tiny = {.rlim_cur = 200, .rlim_max = limit.rlim_max};
	assert_int_equal(send(scratch, &small.chunk, &err), STATUS_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
	const enum status ended = store_load_end(scratch->store, &small.chunk, 1, MOST_ROWS, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(ended, STATUS_DISK_FULL);
	assert_int_equal(store_load_sync(scratch->store, &err), STATUS_DISK_FULL);
	assert_int_equal(store_load_sync(scratch->store, &err), STATUS_OK);
}

static void a_damaged_load_can_only_be_aborted(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	char path[PATH_MAX];
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 10, 1});
	scratch_chunk(scratch, "r1", "a", 1, (struct scratch_rows){10, 10, 1});
	scratch_chunk(scratch, "r1", "b", 0, (struct scratch_rows){0, 5, 1});
	scratch_close(scratch);
	scratch_path(scratch, path, "releases/1/spill-1-a");
	scratch_flip(path, 130);
	scratch_path(scratch, path, "releases/1/something");
	scratch_open(scratch);
	assert_true(scratch_heard(scratch, "event=damage release=r1 file=spill-1-a"));
	struct small small;
	make_small(&small, "t", 2);
	assert_int_equal(send(scratch, &small.chunk, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "abort it and load again"));
	assert_int_equal(store_load_end(scratch->store, &small.chunk, 2, 20, &err), STATUS_CORRUPT);
	struct seal_result result;
	scratch_end(scratch, "r1", "b", 1, 5);
	assert_int_equal(store_seal(scratch->store, "r1", NULL, &result, &err), STATUS_CORRUPT);
	uint64_t rows;
	scratch_must(store_load_abort(scratch->store, &small.chunk, &rows, &err), &err);
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){10, 10, 2});
	scratch_end(scratch, "r1", "a", 1, 10);
	scratch_seal(scratch, "r1");
	scratch_expect(scratch, "r1", 0, 5, 1);
	scratch_expect(scratch, "r1", 10, 10, 2);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_count_once_and_in_order),
		cmocka_unit_test(an_ended_load_takes_no_more),
		cmocka_unit_test(an_aborted_load_is_forgotten),
		cmocka_unit_test(an_interrupted_load_goes_on),
		cmocka_unit_test(an_empty_chunk_counts_as_one),
		cmocka_unit_test(a_chunk_must_fit_its_table),
		cmocka_unit_test(times_have_a_range),
		cmocka_unit_test(what_is_not_finite_is_refused_by_name),
		cmocka_unit_test(what_overflows_in_the_tables_dtype_is_refused),
		cmocka_unit_test(a_table_has_so_many_loads),
		cmocka_unit_test(a_sealed_release_takes_no_load),
		cmocka_unit_test(what_an_end_could_not_sync_is_not_acknowledged),
		cmocka_unit_test(on_a_full_disk_nothing_is_kept_and_later_all_is),
		cmocka_unit_test(a_damaged_load_can_only_be_aborted),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, setup, scratch_teardown);
}
