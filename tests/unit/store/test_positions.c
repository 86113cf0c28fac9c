/* test_positions.c - positions of sources: raised, taken back, marked, copied in order. */
#include "daemon/store/log/positions.h"
#include "schema/limits.h"
#include "tests/unit/alloc_fail.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct source_position position(const char *layer, const char *source, uint64_t next)
{
	struct source_position made = {.next = next};
	(void)snprintf(made.layer.text, sizeof made.layer.text, "%s", layer);
	(void)snprintf(made.source.text, sizeof made.source.text, "%s", source);
	return made;
}

static void raise_to(struct positions *positions, const char *layer, const char *source,
	uint64_t next)
{
	const struct source_position to = position(layer, source, next);
	assert_int_equal(positions_raise(positions, &to), STATUS_OK);
}

/* The commit thread says that the frame of a raise, or of a forgetting, was written. */
static void settle(struct positions *positions, const char *layer, const char *source,
	const uint64_t *to, bool synced)
{
	const struct source_position of = position(layer, source, 0);
	positions_settle(positions, &of, to, synced);
}

/* Raises it by a frame that is written and synced at once. */
static void count_to(struct positions *positions, const char *layer, const char *source,
	uint64_t next)
{
	raise_to(positions, layer, source, next);
	settle(positions, layer, source, &next, true);
}

/* UINT64_MAX: nothing was counted. */
static uint64_t next_of(struct positions *positions, const char *layer, const char *source)
{
	uint64_t next = UINT64_MAX;
	const bool found = positions_next(positions, layer, source, &next);
	assert_int_equal(found, next != UINT64_MAX);
	return next;
}

/* All positions of one step as text: "layer/source=next ..."; with what is durable behind a dot, where
 * that is something else. */
static const char *text_of(struct positions *positions, enum position_step step)
{
	static char text[512];
	struct source_position *all;
	size_t count;
	size_t len = 0;
	assert_int_equal(positions_list(positions, step, &all, &count), STATUS_OK);
	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%s/%s=%" PRIu64,
			i == 0 ? "" : " ", all[i].layer.text, all[i].source.text, all[i].next);
		if (step == POSITION_COUNTED && !all[i].is_durable) {
			len += (size_t)snprintf(text + len, sizeof text - len, ".none");
		} else if (step == POSITION_COUNTED && all[i].durable != all[i].next) {
			len += (size_t)snprintf(text + len, sizeof text - len, ".%" PRIu64,
				all[i].durable);
		}
		assert_true(len < sizeof text);
	}
	free(all);
	return text;
}

static void a_new_one_has_counted_nothing(void **state)
{
	struct positions *positions = positions_new();
	struct source_position *all = (void *)&state;
	size_t count = 7;
	assert_non_null(positions);
	assert_int_equal(next_of(positions, "fm", "a"), UINT64_MAX);
	assert_int_equal(positions_list(positions, POSITION_APPLIED, &all, &count), STATUS_OK);
	assert_null(all);
	assert_int_equal(count, 0);
	assert_string_equal(text_of(positions, POSITION_MARKED), "");
	positions_forget(positions, "fm", "a");
	positions_mark(positions);
	assert_string_equal(text_of(positions, POSITION_APPLIED), "");
	positions_drop(positions);
	positions_drop(NULL);
}

static void positions_are_of_a_layer_and_a_source_and_in_their_order(void **state)
{
	struct positions *positions = positions_new();
	(void)state;
	raise_to(positions, "mlp2", "a", 5);
	raise_to(positions, "fm", "b", 6);
	raise_to(positions, "fm", "ab", 7);
	raise_to(positions, "fm", "a", 0);
	raise_to(positions, "f", "ma", 9);
	assert_string_equal(text_of(positions, POSITION_APPLIED),
		"f/ma=9 fm/a=0 fm/ab=7 fm/b=6 mlp2/a=5");
	assert_int_equal(next_of(positions, "fm", "a"), 0);
	assert_int_equal(next_of(positions, "mlp2", "a"), 5);
	assert_int_equal(next_of(positions, "mlp2", "b"), UINT64_MAX);
	assert_int_equal(next_of(positions, "", ""), UINT64_MAX);
	positions_drop(positions);
}

static void a_position_is_raised_and_never_lowered_by_it(void **state)
{
	struct positions *positions = positions_new();
	(void)state;
	raise_to(positions, "fm", "a", 10);
	raise_to(positions, "fm", "a", 4);
	assert_int_equal(next_of(positions, "fm", "a"), 10);
	raise_to(positions, "fm", "a", UINT64_MAX - 1);
	assert_int_equal(next_of(positions, "fm", "a"), UINT64_MAX - 1);
	positions_drop(positions);
}

/* As a group that fails takes batches back: all that is not counted. */
static void what_is_taken_back_is_as_it_was(void **state)
{
	struct positions *positions = positions_new();
	const uint64_t counted = 12;
	(void)state;
	raise_to(positions, "fm", "a", 12);
	raise_to(positions, "fm", "a", 20);
	raise_to(positions, "fm", "new", 105);
	raise_to(positions, "fm", "a", 30);
	raise_to(positions, "fm", "new", 110);
	settle(positions, "fm", "a", &counted, true);
	positions_undo(positions, "fm", "a");
	positions_undo(positions, "fm", "new");
	positions_undo(positions, "fm", "a");
	positions_undo(positions, "fm", "new");
	assert_string_equal(text_of(positions, POSITION_APPLIED), "fm/a=12");
	assert_int_equal(next_of(positions, "fm", "new"), UINT64_MAX);
	assert_int_equal(positions_count(positions), 1);
	/* It begins anywhere again, also below. */
	raise_to(positions, "fm", "new", 3);
	assert_int_equal(next_of(positions, "fm", "new"), 3);
	assert_int_equal(positions_count(positions), 2);
	positions_drop(positions);
}

static void what_is_counted_is_what_was_written_and_what_is_durable_what_was_synced(void **state)
{
	struct positions *positions = positions_new();
	const uint64_t ends[] = {10, 20, 30};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		raise_to(positions, "fm", "a", ends[i]);
	}
	assert_string_equal(text_of(positions, POSITION_COUNTED), "");
	settle(positions, "fm", "a", &ends[0], false);
	assert_string_equal(text_of(positions, POSITION_COUNTED), "fm/a=10.none");
	positions_synced(positions);
	settle(positions, "fm", "a", &ends[1], false);
	assert_string_equal(text_of(positions, POSITION_COUNTED), "fm/a=20.10");
	positions_synced(positions);
	assert_string_equal(text_of(positions, POSITION_COUNTED), "fm/a=20");
	settle(positions, "fm", "a", &ends[2], true);
	assert_string_equal(text_of(positions, POSITION_COUNTED), "fm/a=30");
	/* After a replay all is. */
	raise_to(positions, "fm", "b", 7);
	positions_settle_all(positions);
	assert_string_equal(text_of(positions, POSITION_COUNTED), "fm/a=30 fm/b=7");
	positions_drop(positions);
}

static void a_mark_keeps_what_was_counted_by_then(void **state)
{
	struct positions *positions = positions_new();
	(void)state;
	count_to(positions, "fm", "a", 10);
	count_to(positions, "fm", "b", 1);
	assert_string_equal(text_of(positions, POSITION_MARKED), "");
	positions_mark(positions);
	count_to(positions, "fm", "a", 20);
	count_to(positions, "fm", "0", 7);
	assert_string_equal(text_of(positions, POSITION_MARKED), "fm/a=10 fm/b=1");
	assert_string_equal(text_of(positions, POSITION_APPLIED), "fm/0=7 fm/a=20 fm/b=1");
	positions_mark(positions);
	assert_string_equal(text_of(positions, POSITION_MARKED), "fm/0=7 fm/a=20 fm/b=1");
	/* What is taken back after it does not touch it, and before it is not in it. */
	raise_to(positions, "fm", "c", 4);
	positions_undo(positions, "fm", "c");
	positions_mark(positions);
	assert_string_equal(text_of(positions, POSITION_MARKED), "fm/0=7 fm/a=20 fm/b=1");
	positions_drop(positions);
}

/* ---- forgotten ---- */

static void a_forgotten_source_is_as_one_that_was_never_seen(void **state)
{
	struct positions *positions = positions_new();
	const uint64_t low = 3;
	(void)state;
	count_to(positions, "fm", "a", 10);
	count_to(positions, "fm", "b", 1);
	positions_mark(positions);
	positions_forget(positions, "fm", "a");
	assert_int_equal(next_of(positions, "fm", "a"), UINT64_MAX);
	assert_int_equal(positions_count(positions), 1);
	/* Until that is written it is counted, and a failure brings it back. */
	assert_string_equal(text_of(positions, POSITION_COUNTED), "fm/a=10 fm/b=1");
	positions_undo(positions, "fm", "a");
	assert_int_equal(next_of(positions, "fm", "a"), 10);
	positions_forget(positions, "fm", "a");
	raise_to(positions, "fm", "a", 3);
	settle(positions, "fm", "a", NULL, false);
	assert_string_equal(text_of(positions, POSITION_COUNTED), "fm/b=1");
	settle(positions, "fm", "a", &low, false);
	assert_string_equal(text_of(positions, POSITION_COUNTED), "fm/a=3.none fm/b=1");
	assert_string_equal(text_of(positions, POSITION_MARKED), "fm/a=10 fm/b=1");
	positions_drop(positions);
}

/* A batch and the forgetting of its source are applied; only the batch is written. */
static void a_batch_is_counted_though_its_source_was_to_be_forgotten(void **state)
{
	struct positions *positions = positions_new();
	const uint64_t next = 5;
	(void)state;
	raise_to(positions, "fm", "a", 5);
	positions_forget(positions, "fm", "a");
	settle(positions, "fm", "a", &next, true);
	positions_undo(positions, "fm", "a");
	assert_int_equal(next_of(positions, "fm", "a"), 5);
	assert_string_equal(text_of(positions, POSITION_COUNTED), "fm/a=5");
	positions_drop(positions);
}

static void what_was_forgotten_before_a_mark_must_be_saved(void **state)
{
	struct positions *positions = positions_new();
	(void)state;
	count_to(positions, "fm", "a", 10);
	positions_mark(positions);
	assert_false(positions_must_save(positions));
	positions_forget(positions, "fm", "a");
	settle(positions, "fm", "a", NULL, true);
	assert_false(positions_must_save(positions));
	positions_mark(positions);
	assert_true(positions_must_save(positions));
	assert_string_equal(text_of(positions, POSITION_MARKED), "");
	positions_forget(positions, "fm", "b"); /* of a replay: it is not there */
	positions_saved(positions);
	assert_false(positions_must_save(positions));
	positions_mark(positions);
	assert_true(positions_must_save(positions));
	positions_drop(positions);
}

static void it_goes_with_the_last_release_that_has_it(void **state)
{
	struct positions *positions = positions_new();
	(void)state;
	assert_ptr_equal(positions_share(positions), positions);
	assert_ptr_equal(positions_share(positions), positions);
	positions_drop(positions);
	positions_drop(positions);
	raise_to(positions, "fm", "a", 1);
	assert_int_equal(next_of(positions, "fm", "a"), 1);
	positions_drop(positions);
}

static void sources_come_and_go(void **state)
{
	struct positions *positions = positions_new();
	char source[32];
	struct source_position *all;
	size_t count;
	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < LIMIT_SOURCES; i++) {
			(void)snprintf(source, sizeof source, "s%u-%u", round,
				(i * 7919u) % LIMIT_SOURCES);
			count_to(positions, "fm", source, i + 1);
		}
		assert_int_equal(positions_count(positions), LIMIT_SOURCES);
		assert_int_equal(positions_list(positions, POSITION_COUNTED, &all, &count),
			STATUS_OK);
		assert_int_equal(count, LIMIT_SOURCES);
		for (size_t i = 1; i < count; i++) {
			assert_true(strcmp(all[i - 1].source.text, all[i].source.text) < 0);
		}
		for (size_t i = 0; i < count; i++) {
			positions_forget(positions, "fm", all[i].source.text);
			settle(positions, "fm", all[i].source.text, NULL, true);
		}
		free(all);
		assert_int_equal(positions_count(positions), 0);
	}
	positions_drop(positions);
}

/* ---- memory ---- */

enum { MANY = 100 };

static bool fill_and_copy(void *arg)
{
	struct source_position *now = NULL;
	struct source_position *marked = NULL;
	size_t count = 0;
	char source[32];
	struct positions *positions = positions_new();
	bool done = positions != NULL;
	(void)arg;
	for (unsigned i = 0; done && i < MANY; i++) {
		(void)snprintf(source, sizeof source, "s%u", i);
		const struct source_position to = position("fm", source, i + 1);
		const enum status status = positions_raise(positions, &to);
		done = status == STATUS_OK;
		if (!done) {
			/* What was there is there, and nothing else. */
			assert_int_equal(status, STATUS_NO_MEMORY);
			assert_int_equal(next_of(positions, "fm", source), UINT64_MAX);
			assert_true(i == 0 || next_of(positions, "fm", "s0") == 1);
		}
	}
	if (done) {
		positions_mark(positions);
		done = positions_list(positions, POSITION_APPLIED, &now, &count) == STATUS_OK &&
		       count == MANY &&
		       positions_list(positions, POSITION_MARKED, &marked, &count) == STATUS_OK &&
		       count == MANY;
	}
	free(now);
	free(marked);
	positions_drop(positions);
	return done;
}

static void refused_memory_is_told(void **state)
{
	(void)state;
	assert_true(alloc_fail_each(fill_and_copy, NULL) >= 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_one_has_counted_nothing),
		cmocka_unit_test(positions_are_of_a_layer_and_a_source_and_in_their_order),
		cmocka_unit_test(a_position_is_raised_and_never_lowered_by_it),
		cmocka_unit_test(what_is_taken_back_is_as_it_was),
		cmocka_unit_test(
			what_is_counted_is_what_was_written_and_what_is_durable_what_was_synced),
		cmocka_unit_test(a_mark_keeps_what_was_counted_by_then),
		cmocka_unit_test(a_forgotten_source_is_as_one_that_was_never_seen),
		cmocka_unit_test(a_batch_is_counted_though_its_source_was_to_be_forgotten),
		cmocka_unit_test(what_was_forgotten_before_a_mark_must_be_saved),
		cmocka_unit_test(it_goes_with_the_last_release_that_has_it),
		cmocka_unit_test(sources_come_and_go),
		cmocka_unit_test(refused_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
