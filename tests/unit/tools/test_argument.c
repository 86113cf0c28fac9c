/* test_argument.c - what a person writes and reads: numbers, times, sizes. */
#include "tools/command/argument.h"
#include "tools/format/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/alloc_fail.h"

static void numbers_are_digits_alone(void **state)
{
	(void)state;
	uint64_t value = 0;
	assert_true(argument_count("0", &value) && value == 0);
	assert_true(argument_count("18446744073709551615", &value) && value == UINT64_MAX);
	value = 7;
	const char *const wrong[] = {"", "-1", "+1", " 1", "1 ", "1x", "0x10",
		"18446744073709551616", "1e3", "x"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_false(argument_count(wrong[i], &value));
		assert_int_equal(value, 7);
	}
}

static void bits_may_be_hexadecimal(void **state)
{
	(void)state;
	uint64_t value = 0;
	assert_true(argument_bits("17", &value) && value == 17);
	assert_true(argument_bits("0", &value) && value == 0);
	assert_true(argument_bits("0x1F", &value) && value == 31);
	assert_true(argument_bits("0Xffffffffffffffff", &value) && value == UINT64_MAX);
	const char *const wrong[] = {"", "0x", "0x ", "0x-1", "x1", "1f", "0x10000000000000000",
		"0x1g", "-1"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_false(argument_bits(wrong[i], &value));
		assert_true(value == UINT64_MAX);
	}
}

static void floats_are_decimal_and_finite(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		float value;
	} rows[] = {{"0", 0.0F}, {"1", 1.0F}, {"-0.5", -0.5F}, {"+.25", 0.25F}, {"1e-3", 1e-3F},
		{"2.E2", 200.0F}, {"0.1", 0.1F}, {"3.4028235e38", 3.4028235e38F}, {"1e-45", 1e-45F},
		{"1e-99", 0.0F}};
	float value = 0;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_true(argument_float(rows[i].text, &value));
		assert_true(value == rows[i].value);
	}
	value = 7;
	const char *const wrong[] = {"", "-", "+", ".", "e3", " 1", "1 ", "1,5", "1e", "1x",
		"0x1p3", "inf", "-inf", "nan", "--1", "1-1", "1e39", "-3.5e38", "ff"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_false(argument_float(wrong[i], &value));
		assert_true(value == 7);
	}
	double number = 7;
	assert_false(argument_number("1e999", &number));
	assert_false(argument_number("nan", &number));
	assert_true(number == 7);
	assert_true(argument_number("1e39", &number) && number == 1e39);
}

static void durations_have_a_unit(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t ms;
	} rows[] = {{"500ms", 500}, {"30s", 30000}, {"5m", 300000}, {"1h", 3600000},
		{"7d", 604800000}, {"0", 0}, {"0s", 0}};
	uint64_t value = 0;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_true(argument_duration(rows[i].text, &value));
		assert_int_equal(value, rows[i].ms);
	}
	const char *const wrong[] = {"", "5", "s", "-5s", "5 s", "5S", "5sec", "1.5h",
		"213503982335d", "99999999999999999999999999s"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_false(argument_duration(wrong[i], &value));
	}
}

static void a_decay_is_by_events_or_by_time_or_both(void **state)
{
	(void)state;
	struct decay_argument decay;
	assert_true(argument_decay("events=0.99", &decay));
	assert_true(decay.has_events);
	assert_float_equal(decay.events, 0.99, 0);
	assert_int_equal(decay.half_life_ms, 0);
	assert_true(argument_decay("half_life=7d,events=1", &decay));
	assert_float_equal(decay.events, 1, 0);
	assert_int_equal(decay.half_life_ms, 604800000);
	assert_true(argument_decay("half_life=1ms", &decay));
	assert_false(decay.has_events);
	const char *const wrong[] = {"", "0.99", "events=", "events=x", "events=nan", "half_life=7",
		"half_life=0", "events=1,", ",events=1", "events=1,events=1", "event=1",
		"half_life=1d,half_life=2d",
		"events=0.0000000000000000000000000000000000000000000000000000000000001"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_false(argument_decay(wrong[i], &decay));
	}
}

static void steps_are_cut_at_commas(void **state)
{
	(void)state;
	static const char most[] = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16";
	struct steps_argument steps = {0};
	struct error err;
	assert_int_equal(argument_steps("w", &steps, &err), STATUS_OK);
	assert_int_equal(steps.count, 1);
	assert_string_equal(steps.steps[0], "w");
	steps_argument_fini(&steps);
	assert_int_equal(argument_steps("w.a,relu,b c", &steps, &err), STATUS_OK);
	assert_int_equal(steps.count, 3);
	assert_string_equal(steps.steps[0], "w.a");
	assert_string_equal(steps.steps[1], "relu");
	assert_string_equal(steps.steps[2], "b c");
	steps_argument_fini(&steps);
	_Static_assert(LIMIT_ADAPTER_STEPS == 16, "as many as in `most`");
	assert_int_equal(argument_steps(most, &steps, &err), STATUS_OK);
	assert_int_equal(steps.count, LIMIT_ADAPTER_STEPS);
	assert_string_equal(steps.steps[LIMIT_ADAPTER_STEPS - 1], "16");
	steps_argument_fini(&steps);
	steps_argument_fini(&steps);

	static const struct {
		const char *text;
		const char *told;
	} wrong[] = {{"", "'': step 1 is empty"}, {",", "',': step 1 is empty"},
		{"a,,b", "'a,,b': step 2 is empty"}, {"a,", "'a,': step 2 is empty"},
		{",a", "',a': step 1 is empty"},
		{"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
			"'1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17': at most 16 steps"}};
	steps.count = 7;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_int_equal(argument_steps(wrong[i].text, &steps, &err), STATUS_BAD_REQUEST);
		assert_string_equal(err.text, wrong[i].told);
		assert_int_equal(steps.count, 7);
	}
}

static bool cut_some_steps(void *arg)
{
	(void)arg;
	struct steps_argument steps;
	const enum status status = argument_steps("a,b", &steps, NULL);
	if (status != STATUS_OK) {
		assert_int_equal(status, STATUS_NO_MEMORY);
		return false;
	}
	steps_argument_fini(&steps);
	return true;
}

static void steps_without_memory_are_no_steps(void **state)
{
	(void)state;
	assert_int_equal(alloc_fail_each(cut_some_steps, NULL), 1);
}

static void a_place_is_a_release_and_a_table(void **state)
{
	(void)state;
	struct place place;
	assert_true(argument_place("live/ur@mlp2", &place));
	assert_string_equal(place.release, "live");
	assert_string_equal(place.table, "ur@mlp2");
	char longest[300];
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	const char *const wrong[] = {"", "ur", "/ur", "live/", "/", longest};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_false(argument_place(wrong[i], &place));
	}
	longest[1] = '/';
	assert_false(argument_place(longest, &place));
	longest[1] = 'x';
	longest[100] = '/';
	assert_false(argument_place(longest, &place));
}

static void a_shard_is_one_of_n(void **state)
{
	(void)state;
	struct shard_argument shard;
	assert_true(argument_shard("0/1", &shard));
	assert_int_equal(shard.number, 0);
	assert_int_equal(shard.count, 1);
	assert_true(argument_shard("4294967294/4294967295", &shard));
	assert_int_equal(shard.number, 4294967294);
	assert_int_equal(shard.count, 4294967295);
	const char *const wrong[] = {"", "/", "1", "1/", "/2", "1/1", "2/1", "-1/2", "0/-2", "0/0",
		"0/2/3", " 0/2", "0/2 ", "0/4294967296", "4294967296/4294967297",
		"00000000000000000/1", "a/b", "0x0/2"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_false(argument_shard(wrong[i], &shard));
		assert_int_equal(shard.count, 4294967295);
	}
}

static void sizes_and_times_are_for_a_person(void **state)
{
	(void)state;
	char text[TEXT_BYTES];
	assert_string_equal(text_size(0, text), "0 B");
	assert_string_equal(text_size(1023, text), "1023 B");
	assert_string_equal(text_size(1536, text), "1.5 KiB");
	assert_string_equal(text_size(UINT64_MAX, text), "16.0 EiB");
	assert_string_equal(text_time(0, text), "1970-01-01 00:00:00.000Z");
	assert_string_equal(text_time(1700000000123, text), "2023-11-14 22:13:20.123Z");
	assert_string_equal(text_time(-1, text), "1969-12-31 23:59:59.999Z");
	text_time(INT64_MIN, text);
	text_time(INT64_MAX, text);
	assert_string_equal(text_duration(1500, text), "1.5 s");
	assert_string_equal(text_duration(90000, text), "1m 30s");
	assert_string_equal(text_duration(604800000, text), "7d 0h");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_digits_alone),
		cmocka_unit_test(bits_may_be_hexadecimal),
		cmocka_unit_test(floats_are_decimal_and_finite),
		cmocka_unit_test(durations_have_a_unit),
		cmocka_unit_test(a_decay_is_by_events_or_by_time_or_both),
		cmocka_unit_test(steps_are_cut_at_commas),
		cmocka_unit_test(steps_without_memory_are_no_steps),
		cmocka_unit_test(a_shard_is_one_of_n),
		cmocka_unit_test(a_place_is_a_release_and_a_table),
		cmocka_unit_test(sizes_and_times_are_for_a_person),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
