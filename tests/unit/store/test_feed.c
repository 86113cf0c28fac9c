/* test_feed.c - positions of sources: raised, taken back, marked, copied in order. */
#include "daemon/store/log/feed.h"
#include "schema/limits.h"
#include "tests/unit/alloc_fail.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct feed_position position(const char *layer, const char *source, uint64_t next)
{
	struct feed_position made = {.next = next};
	(void)snprintf(made.layer.text, sizeof made.layer.text, "%s", layer);
	(void)snprintf(made.source.text, sizeof made.source.text, "%s", source);
	return made;
}

static void raise_to(struct feed *feed, const char *layer, const char *source, uint64_t next)
{
	const struct feed_position to = position(layer, source, next);
	assert_int_equal(feed_raise(feed, &to), STATUS_OK);
}

static void lower_to(struct feed *feed, const char *layer, const char *source, uint64_t before)
{
	const struct feed_position to = position(layer, source, before);
	feed_lower(feed, &to, false);
}

static void forget(struct feed *feed, const char *layer, const char *source)
{
	const struct feed_position what = position(layer, source, 0);
	feed_lower(feed, &what, true);
}

/* UINT64_MAX: nothing was counted. */
static uint64_t next_of(struct feed *feed, const char *layer, const char *source)
{
	uint64_t next = UINT64_MAX;
	const bool found = feed_next(feed, layer, source, &next);
	assert_int_equal(found, next != UINT64_MAX);
	return next;
}

/* All positions as text: "layer/source=next ...". */
static const char *text_of(struct feed *feed, bool marked)
{
	static char text[512];
	struct feed_position *all;
	size_t count;
	size_t len = 0;
	assert_int_equal((marked ? feed_marked : feed_now)(feed, &all, &count), STATUS_OK);
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
	struct feed *feed = feed_new();
	struct feed_position *all = (void *)&state;
	size_t count = 7;
	assert_non_null(feed);
	assert_int_equal(next_of(feed, "fm", "a"), UINT64_MAX);
	assert_int_equal(feed_now(feed, &all, &count), STATUS_OK);
	assert_null(all);
	assert_int_equal(count, 0);
	assert_string_equal(text_of(feed, true), "");
	lower_to(feed, "fm", "a", 3);
	forget(feed, "fm", "a");
	feed_mark(feed);
	assert_string_equal(text_of(feed, false), "");
	feed_drop(feed);
	feed_drop(NULL);
}

static void positions_are_of_a_layer_and_a_source_and_in_their_order(void **state)
{
	struct feed *feed = feed_new();
	(void)state;
	raise_to(feed, "mlp2", "a", 5);
	raise_to(feed, "fm", "b", 6);
	raise_to(feed, "fm", "ab", 7);
	raise_to(feed, "fm", "a", 0);
	raise_to(feed, "f", "ma", 9);
	assert_string_equal(text_of(feed, false), "f/ma=9 fm/a=0 fm/ab=7 fm/b=6 mlp2/a=5");
	assert_int_equal(next_of(feed, "fm", "a"), 0);
	assert_int_equal(next_of(feed, "mlp2", "a"), 5);
	assert_int_equal(next_of(feed, "mlp2", "b"), UINT64_MAX);
	assert_int_equal(next_of(feed, "", ""), UINT64_MAX);
	feed_drop(feed);
}

static void a_position_is_raised_and_never_lowered_by_it(void **state)
{
	struct feed *feed = feed_new();
	(void)state;
	raise_to(feed, "fm", "a", 10);
	raise_to(feed, "fm", "a", 4);
	assert_int_equal(next_of(feed, "fm", "a"), 10);
	raise_to(feed, "fm", "a", UINT64_MAX - 1);
	assert_int_equal(next_of(feed, "fm", "a"), UINT64_MAX - 1);
	feed_drop(feed);
}

/* As a group that fails takes batches back: the oldest first. */
static void what_is_taken_back_is_as_it_was(void **state)
{
	struct feed *feed = feed_new();
	(void)state;
	raise_to(feed, "fm", "a", 10);
	raise_to(feed, "fm", "a", 20);
	raise_to(feed, "fm", "new", 105);
	raise_to(feed, "fm", "a", 30);
	raise_to(feed, "fm", "new", 110);
	lower_to(feed, "fm", "a", 10);
	forget(feed, "fm", "new");
	lower_to(feed, "fm", "a", 20);
	lower_to(feed, "fm", "new", 105);
	assert_string_equal(text_of(feed, false), "fm/a=10");
	assert_int_equal(next_of(feed, "fm", "new"), UINT64_MAX);
	/* It begins anywhere again, also below. */
	raise_to(feed, "fm", "new", 3);
	assert_int_equal(next_of(feed, "fm", "new"), 3);
	feed_drop(feed);
}

static void a_mark_keeps_what_was_counted_by_then(void **state)
{
	struct feed *feed = feed_new();
	(void)state;
	raise_to(feed, "fm", "a", 10);
	raise_to(feed, "fm", "b", 1);
	assert_string_equal(text_of(feed, true), "");
	feed_mark(feed);
	raise_to(feed, "fm", "a", 20);
	raise_to(feed, "fm", "0", 7);
	assert_string_equal(text_of(feed, true), "fm/a=10 fm/b=1");
	assert_string_equal(text_of(feed, false), "fm/0=7 fm/a=20 fm/b=1");
	feed_mark(feed);
	assert_string_equal(text_of(feed, true), "fm/0=7 fm/a=20 fm/b=1");
	/* What is taken back after it does not touch it, and before it is not in it. */
	raise_to(feed, "fm", "c", 4);
	forget(feed, "fm", "c");
	feed_mark(feed);
	assert_string_equal(text_of(feed, true), "fm/0=7 fm/a=20 fm/b=1");
	feed_drop(feed);
}

static void it_goes_with_the_last_release_that_has_it(void **state)
{
	struct feed *feed = feed_new();
	(void)state;
	assert_ptr_equal(feed_share(feed), feed);
	assert_ptr_equal(feed_share(feed), feed);
	feed_drop(feed);
	feed_drop(feed);
	raise_to(feed, "fm", "a", 1);
	assert_int_equal(next_of(feed, "fm", "a"), 1);
	feed_drop(feed);
}

static void there_is_room_for_so_many_sources(void **state)
{
	struct feed *feed = feed_new();
	char source[32];
	struct feed_position *all;
	size_t count;
	(void)state;
	for (unsigned i = 0; i < LIMIT_SOURCES; i++) {
		(void)snprintf(source, sizeof source, "s%u", (i * 7919u) % LIMIT_SOURCES);
		raise_to(feed, "fm", source, i + 1);
	}
	const struct feed_position more = position("fm", "t", 1);
	assert_int_equal(feed_raise(feed, &more), STATUS_TOO_LARGE);
	raise_to(feed, "fm", "s0", 1000000);
	assert_int_equal(feed_now(feed, &all, &count), STATUS_OK);
	assert_int_equal(count, LIMIT_SOURCES);
	for (size_t i = 1; i < count; i++) {
		assert_true(strcmp(all[i - 1].source.text, all[i].source.text) < 0);
	}
	free(all);
	feed_drop(feed);
}

/* ---- memory ---- */

enum { MANY = 100 };

static bool fill_and_copy(void *arg)
{
	struct feed_position *now = NULL;
	struct feed_position *marked = NULL;
	size_t count = 0;
	char source[32];
	struct feed *feed = feed_new();
	bool done = feed != NULL;
	(void)arg;
	for (unsigned i = 0; done && i < MANY; i++) {
		(void)snprintf(source, sizeof source, "s%u", i);
		const struct feed_position to = position("fm", source, i + 1);
		const enum status status = feed_raise(feed, &to);
		done = status == STATUS_OK;
		if (!done) {
			/* What was there is there, and nothing else. */
			assert_int_equal(status, STATUS_NO_MEMORY);
			assert_int_equal(next_of(feed, "fm", source), UINT64_MAX);
			assert_true(i == 0 || next_of(feed, "fm", "s0") == 1);
		}
	}
	if (done) {
		feed_mark(feed);
		done = feed_now(feed, &now, &count) == STATUS_OK && count == MANY &&
		       feed_marked(feed, &marked, &count) == STATUS_OK && count == MANY;
	}
	free(now);
	free(marked);
	feed_drop(feed);
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
