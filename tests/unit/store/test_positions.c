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

static void lower_to(struct positions *positions, const char *layer, const char *source,
	uint64_t before)
{
	const struct source_position to = position(layer, source, before);
	positions_lower(positions, &to, false);
}

static void forget(struct positions *positions, const char *layer, const char *source)
{
	const struct source_position what = position(layer, source, 0);
	positions_lower(positions, &what, true);
}

/* UINT64_MAX: nothing was counted. */
static uint64_t next_of(struct positions *positions, const char *layer, const char *source)
{
	uint64_t next = UINT64_MAX;
	const bool found = positions_next(positions, layer, source, &next);
	assert_int_equal(found, next != UINT64_MAX);
	return next;
}

/* All positions as text: "layer/source=next ...". */
static const char *text_of(struct positions *positions, bool marked)
{
	static char text[512];
	struct source_position *all;
	size_t count;
	size_t len = 0;
	assert_int_equal((marked ? positions_marked : positions_now)(positions, &all, &count),
		STATUS_OK);
	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%s/%s=%" PRIu64,
			i == 0 ? "" : " ", all[i].layer.text, all[i].source.text, all[i].next);
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
	assert_int_equal(positions_now(positions, &all, &count), STATUS_OK);
	assert_null(all);
	assert_int_equal(count, 0);
	assert_string_equal(text_of(positions, true), "");
	lower_to(positions, "fm", "a", 3);
	forget(positions, "fm", "a");
	positions_mark(positions);
	assert_string_equal(text_of(positions, false), "");
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
	assert_string_equal(text_of(positions, false), "f/ma=9 fm/a=0 fm/ab=7 fm/b=6 mlp2/a=5");
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

/* As a group that fails takes batches back: the oldest first. */
static void what_is_taken_back_is_as_it_was(void **state)
{
	struct positions *positions = positions_new();
	(void)state;
	raise_to(positions, "fm", "a", 10);
	raise_to(positions, "fm", "a", 20);
	raise_to(positions, "fm", "new", 105);
	raise_to(positions, "fm", "a", 30);
	raise_to(positions, "fm", "new", 110);
	lower_to(positions, "fm", "a", 10);
	forget(positions, "fm", "new");
	lower_to(positions, "fm", "a", 20);
	lower_to(positions, "fm", "new", 105);
	assert_string_equal(text_of(positions, false), "fm/a=10");
	assert_int_equal(next_of(positions, "fm", "new"), UINT64_MAX);
	/* It begins anywhere again, also below. */
	raise_to(positions, "fm", "new", 3);
	assert_int_equal(next_of(positions, "fm", "new"), 3);
	positions_drop(positions);
}

static void a_mark_keeps_what_was_counted_by_then(void **state)
{
	struct positions *positions = positions_new();
	(void)state;
	raise_to(positions, "fm", "a", 10);
	raise_to(positions, "fm", "b", 1);
	assert_string_equal(text_of(positions, true), "");
	positions_mark(positions);
	raise_to(positions, "fm", "a", 20);
	raise_to(positions, "fm", "0", 7);
	assert_string_equal(text_of(positions, true), "fm/a=10 fm/b=1");
	assert_string_equal(text_of(positions, false), "fm/0=7 fm/a=20 fm/b=1");
	positions_mark(positions);
	assert_string_equal(text_of(positions, true), "fm/0=7 fm/a=20 fm/b=1");
	/* What is taken back after it does not touch it, and before it is not in it. */
	raise_to(positions, "fm", "c", 4);
	forget(positions, "fm", "c");
	positions_mark(positions);
	assert_string_equal(text_of(positions, true), "fm/0=7 fm/a=20 fm/b=1");
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

static void there_is_room_for_so_many_sources(void **state)
{
	struct positions *positions = positions_new();
	char source[32];
	struct source_position *all;
	size_t count;
	(void)state;
	for (unsigned i = 0; i < LIMIT_SOURCES; i++) {
		(void)snprintf(source, sizeof source, "s%u", (i * 7919u) % LIMIT_SOURCES);
		raise_to(positions, "fm", source, i + 1);
	}
	const struct source_position more = position("fm", "t", 1);
	assert_int_equal(positions_raise(positions, &more), STATUS_TOO_LARGE);
	raise_to(positions, "fm", "s0", 1000000);
	assert_int_equal(positions_now(positions, &all, &count), STATUS_OK);
	assert_int_equal(count, LIMIT_SOURCES);
	for (size_t i = 1; i < count; i++) {
		assert_true(strcmp(all[i - 1].source.text, all[i].source.text) < 0);
	}
	free(all);
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
		done = positions_now(positions, &now, &count) == STATUS_OK && count == MANY &&
		       positions_marked(positions, &marked, &count) == STATUS_OK && count == MANY;
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
		cmocka_unit_test(a_mark_keeps_what_was_counted_by_then),
		cmocka_unit_test(it_goes_with_the_last_release_that_has_it),
		cmocka_unit_test(there_is_room_for_so_many_sources),
		cmocka_unit_test(refused_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
