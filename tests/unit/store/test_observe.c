/* test_observe.c - samples into a store: each counts once, or the whole batch changes nothing. */
#include "daemon/store/log/positions.h"
#include "daemon/store/observe/observe.h"
#include "daemon/store/state/state.h"
#include "daemon/store/write/write.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/observe_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- positions ---- */

static void what_was_counted_is_passed_over(void **state)
{
	struct scratch *scratch = *state;
	assert_int_equal(samples_next(scratch, "s"), UINT64_MAX);
	samples_send(scratch, 0, 10, 10);
	samples_send(scratch, 0, 10, 0);
	samples_send(scratch, 5, 10, 5);
	samples_send(scratch, 3, 2, 0);
	samples_send(scratch, 15, 0, 0);
	samples_send(scratch, 0, 40, 25);
	assert_int_equal(samples_next(scratch, "s"), 40);
	samples_expect(scratch, 0, 40);
}

static void a_leap_is_refused_naming_the_next(void **state)
{
	struct scratch *scratch = *state;
	static struct sample_batch batch;
	static const uint32_t counts[] = {0, 1, 50};
	struct observe_result result;
	samples_send(scratch, 0, 17, 17);
	for (unsigned i = 0; i < 3; i++) {
		struct error err = {0};
		assert_int_equal(samples_try(scratch, samples_make(&batch, 18, counts[i]), &result,
					 &err),
			STATUS_GAP);
		assert_non_null(strstr(err.text, "18 given"));
		assert_non_null(strstr(err.text, "'s'"));
		assert_non_null(strstr(err.text, "up to 17 in layer 'fm'"));
	}
	assert_int_equal(samples_next(scratch, "s"), 17);
	samples_expect(scratch, 0, 17);
	samples_send(scratch, 17, 1, 1);
}

/* Else a pipeline that goes on after a publish would leave out what the new release has not seen. */
static void an_unknown_source_begins_at_0_or_says_that_it_is_its_first_batch(void **state)
{
	struct scratch *scratch = *state;
	static struct sample_batch batch;
	struct observe_result result;
	struct error err = {0};
	struct observation *given = samples_make(&batch, 1, 10);
	given->first = false;
	assert_int_equal(samples_try(scratch, given, &result, &err), STATUS_GAP);
	assert_non_null(strstr(err.text, "1 given"));
	assert_non_null(strstr(err.text, "source 's'"));
	assert_non_null(strstr(err.text, "layer 'fm' of release 'r1'"));
	assert_non_null(strstr(err.text, "begin at 0, or say first"));
	assert_int_equal(samples_next(scratch, "s"), UINT64_MAX);
	given->first = true;
	scratch_must(samples_try(scratch, given, &result, &err), &err);
	assert_int_equal(result.next, 11);
	/* It is known now: the same again counts nothing, and a leap is one. */
	scratch_must(samples_try(scratch, given, &result, &err), &err);
	assert_int_equal(result.write.count, 0);
	assert_int_equal(samples_try(scratch, samples_make(&batch, 12, 1), &result, &err),
		STATUS_GAP);
	given = samples_make(&batch, 0, 10);
	given->first = false;
	given->source = "other";
	scratch_must(samples_try(scratch, given, &result, &err), &err);
	assert_int_equal(samples_next(scratch, "other"), 10);
}

static void a_source_may_begin_anywhere_but_not_beyond_64_bits(void **state)
{
	struct scratch *scratch = *state;
	static struct sample_batch batch;
	struct observe_result result;
	struct error err = {0};
	struct observation *given = samples_make(&batch, 0, 2);
	given->position = UINT64_MAX - 1;
	assert_int_equal(samples_try(scratch, given, &result, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "position: 18446744073709551614"));
	assert_int_equal(samples_next(scratch, "s"), UINT64_MAX);
	given->position = UINT64_MAX - 3;
	scratch_must(samples_try(scratch, given, &result, &err), &err);
	assert_int_equal(result.next, UINT64_MAX - 1);
	assert_int_equal(samples_next(scratch, "s"), UINT64_MAX - 1);
	samples_expect(scratch, 0, 2);
}

static void without_a_source_all_count(void **state)
{
	struct scratch *scratch = *state;
	static struct sample_batch batch;
	struct observe_result result;
	struct error err = {0};
	for (uint64_t first = 0; first < 300; first += 100) {
		struct observation *given = samples_make(&batch, first, 100);
		given->source = NULL;
		given->position = 7;
		scratch_must(samples_try(scratch, given, &result, &err), &err);
		assert_int_equal(result.write.count, 100);
	}
	assert_int_equal(samples_next(scratch, "s"), UINT64_MAX);
	samples_expect(scratch, 0, 300);
}

static void a_source_too_many_is_refused_and_changes_nothing(void **state)
{
	struct scratch *scratch = *state;
	static struct sample_batch batch;
	struct observe_result result;
	struct error err = {0};
	lock_take(&scratch->store->admin_lock);
	struct positions *positions = snapshot_find(store_current(scratch->store), 1)->positions;
	lock_release(&scratch->store->admin_lock);
	samples_send(scratch, 0, 10, 10);
	for (unsigned i = 1; i < LIMIT_SOURCES; i++) {
		struct source_position position = {.layer = {"fm"}, .next = 1};
		(void)snprintf(position.source.text, sizeof position.source.text, "x%u", i);
		assert_int_equal(positions_raise(positions, &position), STATUS_OK);
	}
	struct observation *given = samples_make(&batch, 10, 20);
	given->source = "one-more";
	assert_int_equal(samples_try(scratch, given, &result, &err), STATUS_TOO_LARGE);
	assert_non_null(strstr(err.text, "'one-more'"));
	assert_non_null(strstr(err.text, "16384"));
	assert_non_null(strstr(err.text, "repstore positions --forget"));
	samples_expect(scratch, 0, 10);
	samples_send(scratch, 10, 5, 5);
	samples_expect(scratch, 0, 15);
	/* One goes, and there is room for one. */
	positions_forget(positions, "fm", "x7");
	given = samples_make(&batch, 15, 20);
	given->source = "one-more";
	scratch_must(samples_try(scratch, given, &result, &err), &err);
	assert_int_equal(samples_next(scratch, "one-more"), 35);
}

/* ---- memory ---- */

/* The batch with its skip-th allocation refused, of a source of its own; true: one was. */
static bool refuse_one(struct scratch *scratch, unsigned round, unsigned skip, uint64_t *end)
{
	static struct sample_batch batch;
	static uint8_t unaligned[sizeof batch.rows + 1];
	struct observe_result result;
	struct error err = {0};
	char source[32];
	(void)snprintf(source, sizeof source, "s%u-%u", round, skip);
	samples_make(&batch, *end, 40)->source = source;
	if (round % 2 == 1) {
		memmove(unaligned + 1, batch.rows, batch.given.rows_bytes);
		batch.given.rows = unaligned + 1; /* copied, too */
	}
	alloc_fail_arm(skip);
	const enum status status = samples_try(scratch, &batch.given, &result, &err);
	const bool refused = alloc_fail_disarm();
	if (status == STATUS_OK) {
		*end += 40;
	} else {
		assert_true(refused);
		assert_int_equal(status, STATUS_NO_MEMORY);
		assert_non_null(strstr(err.text, "no memory"));
	}
	assert_int_equal(samples_next(scratch, source), status == STATUS_OK ? *end : UINT64_MAX);
	samples_expect(scratch, 0, *end);
	return refused;
}

/* Many times, since memory that was given once is kept for more sources and rows. */
static void a_batch_that_is_refused_memory_changes_nothing(void **state)
{
	struct scratch *scratch = *state;
	uint64_t end = 0;
	unsigned refusals = 0;
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned skip = 0; refuse_one(scratch, round, skip, &end); skip++) {
			refusals++;
			assert_true(skip < ALLOC_FAIL_RUNS_MAX);
		}
	}
	assert_true(refusals > 20 * 14);
	assert_true(end >= (uint64_t)20 * 40);
	scratch_reopen(scratch);
	samples_expect(scratch, 0, end);
}

static void positions_that_are_refused_memory_say_so(void **state)
{
	struct scratch *scratch = *state;
	bool refused = true;
	unsigned skip = 0;
	samples_send(scratch, 0, 5, 5);
	for (; refused; skip++) {
		struct position_list positions = {0};
		struct error err = {0};
		alloc_fail_arm(skip);
		const enum status status = store_positions(scratch->store, "r1", &positions, &err);
		refused = alloc_fail_disarm();
		assert_int_equal(status, refused ? STATUS_NO_MEMORY : STATUS_OK);
		if (status == STATUS_OK) {
			assert_int_equal(positions.count, 1);
		}
		free(positions.all);
	}
	assert_int_equal(skip, 2); /* the last refuses nothing */
}

/* ---- shapes ---- */

/* What is wrong with a batch, and what the error names. */
static const char *const spoiled_words[] = {"rows: ", "users: 19 given", "items: 21 given",
	"users: missing", "items: missing", "users: bytes given", "rows: sample 19, element 3",
	"rows: sample 0, element 0", "times: sample 19", "times: sample 0 has -1", "source",
	"'nope'", "'dcn'"};
enum {
	SPOILED = sizeof spoiled_words / sizeof *spoiled_words,
	SPOILED_NOT_FOUND = SPOILED - 2 /* this one and the next are of names */
};

static void spoil(struct sample_batch *batch, unsigned how)
{
	static const struct keys none = {KEY_NONE, 0, NULL, NULL};
	struct observation *given = &batch->given;
	switch (how) {
	case 0:
		given->rows_bytes -= 4;
		break;
	case 1:
		given->users.count--;
		break;
	case 2:
		given->items.count++;
		break;
	case 3:
		given->users = none;
		break;
	case 4:
		given->items = none;
		break;
	case 5:
		given->users = given->items;
		break;
	case 6:
		batch->rows[19][3] = NAN;
		break;
	case 7:
		batch->rows[0][0] = -INFINITY;
		break;
	case 8:
		batch->times[19] = LIMIT_TIME_MS + 1;
		break;
	case 9:
		batch->times[0] = -1;
		break;
	case 10:
		given->source = "a b";
		break;
	case 11:
		given->release = "nope";
		break;
	default:
		given->layer = "dcn";
		break;
	}
}

static void what_does_not_fit_is_refused_by_name(void **state)
{
	struct scratch *scratch = *state;
	static struct sample_batch batch;
	struct observe_result result;
	struct error err = {0};
	samples_send(scratch, 0, 10, 10);
	for (unsigned i = 0; i < SPOILED; i++) {
		(void)samples_make(&batch, 10, 20);
		spoil(&batch, i);
		assert_int_equal(samples_try(scratch, &batch.given, &result, &err),
			i >= SPOILED_NOT_FOUND ? STATUS_NOT_FOUND : STATUS_BAD_REQUEST);
		assert_non_null(strstr(err.text, spoiled_words[i]));
		assert_int_equal(samples_next(scratch, "s"), 10);
		samples_expect(scratch, 0, 10);
	}
	scratch_must(samples_try(scratch, samples_make(&batch, 10, 20), &result, &err), &err);
	samples_expect(scratch, 0, 30);
}

static void an_open_release_takes_no_samples(void **state)
{
	struct scratch *scratch = *state;
	static struct sample_batch batch;
	struct observe_result result;
	struct error err = {0};
	scratch_release(scratch, "open");
	samples_make(&batch, 0, 5)->release = "open";
	assert_int_equal(samples_try(scratch, &batch.given, &result, &err), STATUS_NOT_SEALED);
	assert_non_null(strstr(err.text, "'open'"));
}

static void samples_come_in_any_dtype_at_any_address(void **state)
{
	struct scratch *scratch = *state;
	static struct sample_batch batch;
	static uint8_t rows[SAMPLE_BATCH_MAX * SAMPLE_DIM * 4 + 1];
	static float scales[SAMPLE_BATCH_MAX];
	static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_I8};
	uint64_t end = 0;
	for (unsigned i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
		struct observe_result result;
		struct error err = {0};
		struct observation *given = samples_make(&batch, end, 100);
		const struct dtype_rows from = {.dtype = DTYPE_F32, .rows = batch.rows};
		const struct dtype_rows to = {.dtype = dtypes[i],
			.rows = rows + 1,
			.scales = scales};
		dtype_convert(&to, &from, 100, SAMPLE_DIM, 1);
		if (dtypes[i] == DTYPE_I8) {
			for (uint32_t j = 0; j < 100 * SAMPLE_DIM; j++) {
				rows[1 + j] = (uint8_t)(int8_t)(batch.rows[j / SAMPLE_DIM]
									  [j % SAMPLE_DIM] *
								8);
			}
			for (uint32_t j = 0; j < 100; j++) {
				scales[j] = 0.125F;
			}
			given->scales = (const uint8_t *)scales;
		}
		given->dtype = dtypes[i];
		given->rows = rows + 1;
		given->rows_bytes = 100 * dtype_row_bytes(dtypes[i], SAMPLE_DIM, 1);
		scratch_must(samples_try(scratch, given, &result, &err), &err);
		end += 100;
		samples_expect(scratch, 0, end);
	}
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_counted_is_passed_over),
		cmocka_unit_test(a_leap_is_refused_naming_the_next),
		cmocka_unit_test(an_unknown_source_begins_at_0_or_says_that_it_is_its_first_batch),
		cmocka_unit_test(a_source_may_begin_anywhere_but_not_beyond_64_bits),
		cmocka_unit_test(without_a_source_all_count),
		cmocka_unit_test(a_source_too_many_is_refused_and_changes_nothing),
		cmocka_unit_test(a_batch_that_is_refused_memory_changes_nothing),
		cmocka_unit_test(positions_that_are_refused_memory_say_so),
		cmocka_unit_test(what_does_not_fit_is_refused_by_name),
		cmocka_unit_test(an_open_release_takes_no_samples),
		cmocka_unit_test(samples_come_in_any_dtype_at_any_address),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, samples_setup, scratch_teardown);
}
