/* test_wire.c - what is written is read again, and stays in place. */
#include "schema/wire.h"

#include "tests/unit/alloc_fail.h"
#include "tests/unit/seed.h"

#include <math.h>
#include <msgpack.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Opens what a writer holds; skims it on the way. */
static struct wire_message *open_written(const struct wire_writer *writer)
{
	assert_int_equal(writer->status, STATUS_OK);
	struct wire_skim skim = {0};
	assert_int_equal(wire_skim(&skim, writer->data, writer->len), STATUS_OK);
	assert_int_equal(skim.at, writer->len);
	struct wire_message *message = NULL;
	assert_int_equal(wire_open(writer->data, writer->len, &message), STATUS_OK);
	return message;
}

static void unsigned_numbers_come_back(void **state)
{
	(void)state;
	static const uint64_t values[] = {0, 1, 127, 128, 255, 256, 65535, 65536, UINT32_MAX,
		(uint64_t)UINT32_MAX + 1, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
	static const size_t sizes[] = {1, 1, 1, 2, 2, 3, 3, 5, 5, 9, 9, 9, 9};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct wire_writer writer = {0};
		wire_write_uint(&writer, values[i]);
		assert_int_equal(writer.len, sizes[i]);
		struct wire_message *message = open_written(&writer);
		struct wire_value root = wire_root(message);
		uint64_t number = 0;
		int64_t integer = -7;
		double real = 0;
		assert_int_equal(wire_type(root), WIRE_UINT);
		assert_true(wire_uint(root, &number));
		assert_int_equal(number, values[i]);
		assert_int_equal(wire_int(root, &integer), values[i] <= INT64_MAX);
		assert_int_equal(integer, values[i] <= INT64_MAX ? (int64_t)values[i] : -7);
		assert_true(wire_float(root, &real));
		assert_true(real == (double)values[i]);
		wire_close(message);
		wire_writer_fini(&writer);
	}
}

static void signed_numbers_come_back(void **state)
{
	(void)state;
	static const int64_t values[] = {0, 5, -1, -32, -33, -128, -129, -32768, -32769, INT32_MIN,
		(int64_t)INT32_MIN - 1, INT64_MIN, INT64_MAX};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct wire_writer writer = {0};
		wire_write_int(&writer, values[i]);
		struct wire_message *message = open_written(&writer);
		struct wire_value root = wire_root(message);
		int64_t integer = 0;
		uint64_t number = 7;
		assert_int_equal(wire_type(root), values[i] < 0 ? WIRE_INT : WIRE_UINT);
		assert_true(wire_int(root, &integer));
		assert_int_equal(integer, values[i]);
		assert_int_equal(wire_uint(root, &number), values[i] >= 0);
		assert_int_equal(number, values[i] >= 0 ? (uint64_t)values[i] : 7);
		wire_close(message);
		wire_writer_fini(&writer);
	}
}

static void floats_come_back(void **state)
{
	(void)state;
	static const double values[] = {0.5, -1.5, 1e300, 3.0};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct wire_writer writer = {0};
		wire_write_float(&writer, values[i]);
		struct wire_message *message = open_written(&writer);
		double real = 7;
		assert_int_equal(wire_type(wire_root(message)), WIRE_FLOAT);
		assert_true(wire_float(wire_root(message), &real));
		assert_true(real == values[i]);
		assert_int_equal(wire_uint(wire_root(message), &(uint64_t){0}), values[i] == 3.0);
		wire_close(message);
		wire_writer_fini(&writer);
	}
	static const uint8_t single[] = {0xca, 0x3f, 0xc0, 0x00, 0x00};
	struct wire_message *message = NULL;
	double real = 0;
	assert_int_equal(wire_open(single, sizeof single, &message), STATUS_OK);
	assert_true(wire_float(wire_root(message), &real) && real == 1.5);
	wire_close(message);
}

static void a_whole_float_is_an_integer(void **state)
{
	(void)state;
	static const double most = 9007199254740991; /* 2^53 - 1 */
	static const struct {
		double given;
		bool is_uint, is_int;
	} cases[] = {
		{0, true, true},
		{-0.0, true, true},
		{1, true, true},
		{298080447363, true, true},
		{most, true, true},
		{most + 1, false, false}, /* 2^53 + 1 is written as this, too */
		{-1, false, true},
		{-most, false, true},
		{-most - 1, false, false},
		{0.5, false, false},
		{-1.5, false, false},
		{1.8446744073709552e19, false, false},
		{1e300, false, false},
		{-1e300, false, false},
		{INFINITY, false, false},
		{-INFINITY, false, false},
		{NAN, false, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wire_writer writer = {0};
		wire_write_float(&writer, cases[i].given);
		struct wire_message *message = open_written(&writer);
		uint64_t number = 7;
		int64_t integer = -7;
		assert_int_equal(wire_uint(wire_root(message), &number), cases[i].is_uint);
		assert_int_equal(wire_int(wire_root(message), &integer), cases[i].is_int);
		assert_true(cases[i].is_uint ? (double)number == cases[i].given : number == 7);
		assert_true(cases[i].is_int ? (double)integer == cases[i].given : integer == -7);
		wire_close(message);
		wire_writer_fini(&writer);
	}
}

static void nil_in_a_map_is_not_given(void **state)
{
	(void)state;
	struct wire_writer writer = {0};
	wire_write_map(&writer, 2);
	wire_write_str(&writer, "a");
	wire_write_nil(&writer);
	wire_write_str(&writer, "b");
	wire_write_bool(&writer, false);
	struct wire_message *message = open_written(&writer);
	assert_int_equal(wire_type(wire_get(wire_root(message), "a")), WIRE_ABSENT);
	assert_int_equal(wire_type(wire_get(wire_root(message), "b")), WIRE_BOOL);
	assert_int_equal(wire_type(wire_map_value(wire_root(message), 0)), WIRE_NIL);
	wire_close(message);
	wire_writer_fini(&writer);
}

static void texts_and_bins_stay_where_they_were(void **state)
{
	(void)state;
	static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536, 200000};
	uint8_t *bytes = malloc(200000);
	assert_non_null(bytes);
	memset(bytes, 'q', 200000);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct wire_writer writer = {0};
		wire_write_array(&writer, 3);
		wire_write_str_len(&writer, bytes, lengths[i]);
		wire_write_bin(&writer, bytes, lengths[i]);
		uint8_t *space = wire_write_bin_space(&writer, lengths[i]);
		assert_non_null(space);
		assert_ptr_equal(space + lengths[i], writer.data + writer.len);
		memset(space, 'q', lengths[i]);
		struct wire_message *message = open_written(&writer);
		for (size_t at = 0; at < 3; at++) {
			struct wire_value value = wire_item(wire_root(message), at);
			struct wire_bytes got = {0};
			assert_int_equal(wire_type(value), at == 0 ? WIRE_STR : WIRE_BIN);
			/* Encoders from before bin write bytes as str, too. */
			assert_true(wire_bin(value, &got));
			assert_int_equal(got.len, lengths[i]);
			assert_true(wire_str(value, &got));
			assert_int_equal(got.len, lengths[i]);
			assert_memory_equal(got.data, bytes, got.len);
			assert_non_null(got.data);
			if (got.len > 0) {
				assert_in_range((uintptr_t)got.data, (uintptr_t)writer.data,
					(uintptr_t)writer.data + writer.len - got.len);
			}
		}
		wire_close(message);
		wire_writer_fini(&writer);
	}
	free(bytes);
}

static void maps_and_arrays_are_walked(void **state)
{
	(void)state;
	struct wire_writer writer = {0};
	wire_write_map(&writer, 4);
	wire_write_str(&writer, "a");
	wire_write_uint(&writer, 1);
	wire_write_uint(&writer, 9);
	wire_write_nil(&writer);
	wire_write_bin(&writer, "list", 4);
	wire_write_array(&writer, 2);
	wire_write_bool(&writer, true);
	wire_write_bool(&writer, false);
	wire_write_str(&writer, "a");
	wire_write_uint(&writer, 2);
	struct wire_message *message = open_written(&writer);
	struct wire_value map = wire_root(message);
	assert_int_equal(wire_type(map), WIRE_MAP);
	assert_int_equal(wire_size(map), 4);
	uint64_t number = 0;
	assert_true(wire_uint(wire_get(map, "a"), &number));
	assert_int_equal(number, 2);
	assert_true(wire_uint(wire_map_key(map, 1), &number));
	assert_int_equal(number, 9);
	assert_int_equal(wire_type(wire_map_value(map, 1)), WIRE_NIL);
	struct wire_value list = wire_get(map, "list");
	assert_int_equal(wire_type(list), WIRE_ARRAY);
	assert_int_equal(wire_size(list), 2);
	bool truth = false;
	assert_true(wire_bool(wire_item(list, 0), &truth) && truth);
	assert_true(wire_bool(wire_item(list, 1), &truth) && !truth);
	/* Nothing beyond the ends, nor of another kind. */
	assert_int_equal(wire_type(wire_item(list, 2)), WIRE_ABSENT);
	assert_int_equal(wire_type(wire_map_key(map, 4)), WIRE_ABSENT);
	assert_int_equal(wire_type(wire_map_value(map, 4)), WIRE_ABSENT);
	assert_int_equal(wire_type(wire_get(map, "b")), WIRE_ABSENT);
	assert_int_equal(wire_type(wire_get(map, "")), WIRE_ABSENT);
	assert_int_equal(wire_type(wire_get(list, "a")), WIRE_ABSENT);
	assert_int_equal(wire_type(wire_item(map, 0)), WIRE_ABSENT);
	assert_int_equal(wire_type(wire_map_key(list, 0)), WIRE_ABSENT);
	wire_close(message);
	wire_writer_fini(&writer);
}

static void other_types_leave_the_result_alone(void **state)
{
	(void)state;
	static const uint8_t ext[] = {0xd4, 5, 1};
	struct wire_message *message = NULL;
	assert_int_equal(wire_open(ext, sizeof ext, &message), STATUS_OK);
	const struct wire_value values[] = {wire_root(message), {0}};
	for (size_t i = 0; i < 2; i++) {
		bool truth = true;
		uint64_t number = 3;
		int64_t integer = -3;
		double real = 0.5;
		struct wire_bytes bytes = {.data = ext, .len = 3};
		assert_int_equal(wire_type(values[i]), i == 0 ? WIRE_EXT : WIRE_ABSENT);
		assert_false(wire_bool(values[i], &truth));
		assert_false(wire_uint(values[i], &number));
		assert_false(wire_int(values[i], &integer));
		assert_false(wire_float(values[i], &real));
		assert_false(wire_str(values[i], &bytes));
		assert_false(wire_bin(values[i], &bytes));
		assert_int_equal(wire_size(values[i]), 0);
		assert_true(truth && number == 3 && integer == -3 && real == 0.5);
		assert_true(bytes.data == ext && bytes.len == 3);
	}
	wire_close(message);
}

static void types_have_names(void **state)
{
	(void)state;
	for (int type = WIRE_ABSENT; type <= WIRE_EXT; type++) {
		assert_true(strlen(wire_type_name((enum wire_type)type)) > 0);
	}
	assert_string_equal(wire_type_name(WIRE_UINT), "uint");
	assert_string_equal(wire_type_name(WIRE_MAP), "map");
}

static void only_one_whole_message_opens(void **state)
{
	(void)state;
	static const uint8_t data[] = {0x92, 0x01, 0xa2, 'a', 'b', 0xc0};
	struct wire_message *message = NULL;
	for (size_t len = 0; len <= sizeof data; len++) {
		enum status status = wire_open(data, len, &message);
		assert_int_equal(status, len == 5 ? STATUS_OK : STATUS_PROTOCOL);
		if (status == STATUS_OK) {
			wire_close(message);
		}
	}
	static const uint8_t none[] = {0x91, 0xc1};
	assert_int_equal(wire_open(none, sizeof none, &message), STATUS_PROTOCOL);
	wire_close(NULL);
}

/* ---- random messages: the same numbers decide what is written and what is expected ---- */

static uint32_t next_random(uint64_t *random)
{
	*random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*random >> 33);
}

static void write_random(struct wire_writer *writer, uint64_t *random, unsigned depth);

static void write_random_children(struct wire_writer *writer, uint64_t *random, unsigned depth,
	size_t count)
{
	for (size_t i = 0; i < count; i++) {
		write_random(writer, random, depth + 1);
	}
}

static void write_random(struct wire_writer *writer, uint64_t *random, unsigned depth)
{
	uint32_t what = next_random(random) % (depth < 8 ? 9 : 7);
	uint64_t number = (uint64_t)next_random(random) << (next_random(random) % 34);
	static const uint8_t zeros[600];
	switch (what) {
	case 0:
		wire_write_nil(writer);
		break;
	case 1:
		wire_write_bool(writer, number & 1);
		break;
	case 2:
		wire_write_uint(writer, number);
		break;
	case 3:
		wire_write_int(writer, -(int64_t)(number >> 1) - 1);
		break;
	case 4:
		wire_write_float(writer, (double)number);
		break;
	case 5:
		wire_write_str_len(writer, zeros, number % 300);
		break;
	case 6:
		wire_write_bin(writer, zeros, number % 600);
		break;
	case 7:
		wire_write_array(writer, number % 20);
		write_random_children(writer, random, depth, number % 20);
		break;
	default:
		wire_write_map(writer, number % 10);
		write_random_children(writer, random, depth, number % 10 * 2);
		break;
	}
}

/* Whether `value`, no container, is what write_random makes of `what` and `number`. */
static bool is_written(struct wire_value value, uint32_t what, uint64_t number)
{
	bool truth = false;
	uint64_t unsigned_number = 0;
	int64_t integer = 0;
	double real = 0;
	struct wire_bytes bytes = {0};
	switch (what) {
	case 1:
		return wire_bool(value, &truth) && truth == (number & 1);
	case 2:
		return wire_uint(value, &unsigned_number) && unsigned_number == number;
	case 3:
		return wire_int(value, &integer) && integer == -(int64_t)(number >> 1) - 1;
	case 4:
		return wire_float(value, &real) && real == (double)number;
	case 5:
		return wire_str(value, &bytes) && bytes.len == number % 300;
	case 6:
		return wire_bin(value, &bytes) && bytes.len == number % 600;
	default:
		return true;
	}
}

static void expect_random(struct wire_value value, uint64_t *random, unsigned depth)
{
	static const enum wire_type types[] = {WIRE_NIL, WIRE_BOOL, WIRE_UINT, WIRE_INT, WIRE_FLOAT,
		WIRE_STR, WIRE_BIN, WIRE_ARRAY, WIRE_MAP};
	uint32_t what = next_random(random) % (depth < 8 ? 9 : 7);
	uint64_t number = (uint64_t)next_random(random) << (next_random(random) % 34);
	assert_int_equal(wire_type(value), types[what]);
	assert_true(is_written(value, what, number));
	size_t count = what == 7 ? number % 20 : what == 8 ? number % 10 : 0;
	assert_int_equal(wire_size(value), count);
	for (size_t i = 0; i < count; i++) {
		expect_random(what == 7 ? wire_item(value, i) : wire_map_key(value, i), random,
			depth + 1);
		if (what == 8) {
			expect_random(wire_map_value(value, i), random, depth + 1);
		}
	}
}

static void random_messages_come_back(void **state)
{
	(void)state;
	struct wire_writer writer = {0};
	for (uint64_t seed = 1; seed <= 1000; seed++) {
		uint64_t random = seed_from(seed * 7919);
		wire_writer_clear(&writer);
		/* Small messages and large ones, but none that is over the limits. */
		unsigned depth = (unsigned)(5 + seed % 3);
		write_random(&writer, &random, depth);
		struct wire_message *message = open_written(&writer);
		random = seed_from(seed * 7919);
		expect_random(wire_root(message), &random, depth);
		wire_close(message);
	}
	wire_writer_fini(&writer);
}

/* ---- refused memory ---- */

static bool open_much(void *arg)
{
	const struct wire_writer *writer = arg;
	struct wire_message *message = NULL;
	enum status status = wire_open(writer->data, writer->len, &message);
	assert_int_equal(status == STATUS_OK, message != NULL);
	assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
	wire_close(message);
	return status == STATUS_OK;
}

static void refused_memory_is_reported(void **state)
{
	(void)state;
	struct wire_writer writer = {0};
	wire_write_array(&writer, 50);
	for (unsigned i = 0; i < 50; i++) {
		wire_write_map(&writer, 1);
		wire_write_uint(&writer, i);
		wire_write_array(&writer, 100);
		for (unsigned at = 0; at < 100; at++) {
			wire_write_nil(&writer);
		}
	}
	/* msgpack-c's own allocations are among them: it is linked statically here, which this
	 * reference sees to. */
	assert_non_null(msgpack_unpack);
	assert_true(alloc_fail_each(open_much, &writer) > 10);
	wire_writer_fini(&writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unsigned_numbers_come_back),
		cmocka_unit_test(signed_numbers_come_back),
		cmocka_unit_test(floats_come_back),
		cmocka_unit_test(a_whole_float_is_an_integer),
		cmocka_unit_test(nil_in_a_map_is_not_given),
		cmocka_unit_test(texts_and_bins_stay_where_they_were),
		cmocka_unit_test(maps_and_arrays_are_walked),
		cmocka_unit_test(other_types_leave_the_result_alone),
		cmocka_unit_test(types_have_names),
		cmocka_unit_test(only_one_whole_message_opens),
		cmocka_unit_test(random_messages_come_back),
		cmocka_unit_test(refused_memory_is_reported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
