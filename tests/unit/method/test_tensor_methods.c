/* test_tensor_methods.c - tensors and adapters by their methods, on a real store. */
#include "tests/unit/method/method_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/limits.h"
#include "tests/unit/alloc_fail.h"

/* Arguments of tensor.put, but for the data; a shape ends with 0, which is not written. */
static void arg_spec(struct world *world, const char *release, const char *tensor,
	const char *dtype, const uint64_t *shape)
{
	size_t dims = 0;
	while (shape[dims] != 0) {
		dims++;
	}
	world_arg_str(world, "release", release);
	world_arg_str(world, "tensor", tensor);
	world_arg_str(world, "dtype", dtype);
	world_arg(world, "shape");
	wire_write_array(&world->args, dims);
	for (size_t i = 0; i < dims; i++) {
		wire_write_uint(&world->args, shape[i]);
	}
}

static void put_f32(struct world *world, const char *tensor, const uint64_t *shape,
	const float *data, size_t count)
{
	arg_spec(world, "live", tensor, "f32", shape);
	world_arg_bin(world, "data", data, count * sizeof *data);
	struct wire_value result = world_run(world, "tensor.put");
	assert_int_equal(world_uint_of(result, "bytes"), count * sizeof *data);
}

/* ---- tensors ---- */

static void add_one(struct world *world, const char *name, const float *data, size_t len)
{
	wire_write_map(&world->args, 4);
	wire_write_str(&world->args, "tensor");
	wire_write_str(&world->args, name);
	wire_write_str(&world->args, "dtype");
	wire_write_str(&world->args, "f32");
	wire_write_str(&world->args, "shape");
	wire_write_array(&world->args, 1);
	wire_write_uint(&world->args, 2);
	wire_write_str(&world->args, "data");
	wire_write_bin(&world->args, data, len);
}

static void expect_data(struct world *world, const char *name, const float *data)
{
	world_arg_str(world, "release", "r");
	world_arg_str(world, "tensor", name);
	const struct wire_value result = world_run(world, "tensor.get");
	assert_memory_equal(world_bin_of(result, "data").data, data, 2 * sizeof *data);
}

static void begin_many(struct world *world, size_t count)
{
	world_arg_str(world, "release", "r");
	world_arg(world, "tensors");
	wire_write_array(&world->args, count);
}

static void tensors_are_put_together(void **state)
{
	struct world *world = *state;
	static const float before[2] = {1, 2};
	static const float after[2] = {3, 4};
	world_run_on(world, "release.create", "r");
	begin_many(world, 2);
	add_one(world, "a", before, sizeof before);
	add_one(world, "b", before, sizeof before);
	struct wire_value result = world_run(world, "tensor.put");
	assert_int_equal(world_uint_of(result, "tensors"), 2);
	assert_int_equal(world_uint_of(result, "bytes"), 16);
	/* The last of them is wrong: the others stay as they are. */
	begin_many(world, 3);
	add_one(world, "b", after, sizeof after);
	add_one(world, "c", after, sizeof after);
	add_one(world, "a", after, sizeof after - 1);
	world_refuse(world, "tensor.put", STATUS_BAD_REQUEST,
		"tensors[2].data: 7 bytes given, 8 expected for [2] of f32");
	begin_many(world, 2);
	add_one(world, "b", after, sizeof after);
	add_one(world, "b", after, sizeof after);
	world_refuse(world, "tensor.put", STATUS_BAD_REQUEST,
		"tensors[1].tensor: 'b' given, as tensors[0] is already");
	begin_many(world, 0);
	world_refuse(world, "tensor.put", STATUS_BAD_REQUEST, "tensors: 0 given, 1..64 allowed");
	begin_many(world, 1);
	add_one(world, "b", after, sizeof after);
	world_arg_str(world, "tensor", "x");
	world_refuse(world, "tensor.put", STATUS_BAD_REQUEST,
		"tensor: given beside 'tensors', where it belongs");
	begin_many(world, 1);
	wire_write_uint(&world->args, 1);
	world_refuse(world, "tensor.put", STATUS_BAD_REQUEST,
		"tensors[0]: uint given, map expected");
	begin_many(world, LIMIT_TENSORS_PUT + 1);
	for (size_t i = 0; i <= LIMIT_TENSORS_PUT; i++) {
		wire_write_map(&world->args, 0);
	}
	world_refuse(world, "tensor.put", STATUS_TOO_LARGE, "tensors: 65 given, 1..64 allowed");
	expect_data(world, "a", before);
	expect_data(world, "b", before);
	begin_many(world, 3);
	add_one(world, "c", after, sizeof after);
	add_one(world, "b", after, sizeof after);
	add_one(world, "a", after, sizeof after);
	assert_int_equal(world_uint_of(world_run(world, "tensor.put"), "tensors"), 3);
	expect_data(world, "a", after);
	expect_data(world, "b", after);
	expect_data(world, "c", after);
}

static void a_tensor_comes_back_as_it_was_put(void **state)
{
	struct world *world = *state;
	static const uint16_t halves[6] = {1, 2, 3, 0x7e00, 0xffff, 6};
	world_run_on(world, "release.create", "r");
	arg_spec(world, "r", "w", "f16", (uint64_t[]){2, 3, 0});
	world_arg_bin(world, "data", halves, sizeof halves);
	struct wire_value result = world_run(world, "tensor.put");
	world_assert_str(result, "release", "r");
	world_assert_str(result, "tensor", "w");
	assert_int_equal(world_uint_of(result, "bytes"), sizeof halves);
	world_arg_str(world, "release", "r");
	world_arg_str(world, "tensor", "w");
	result = world_run(world, "tensor.get");
	world_assert_str(result, "dtype", "f16");
	assert_int_equal(wire_size(wire_get(result, "shape")), 2);
	assert_memory_equal(world_bin_of(result, "data").data, halves, sizeof halves);
	result = world_run_on(world, "tensor.list", "r");
	struct wire_value one = wire_item(wire_get(result, "tensors"), 0);
	world_assert_str(one, "tensor", "w");
	assert_int_equal(world_uint_of(one, "bytes"), sizeof halves);
	result = world_run_on(world, "release.show", "r");
	assert_int_equal(world_uint_of(result, "tensors"), 1);
	assert_int_equal(world_uint_of(result, "tensor_bytes"), sizeof halves);
	result = wire_get(world_run(world, "stats"), "store");
	assert_int_equal(world_uint_of(result, "tensors"), 1);
	world_arg_str(world, "release", "r");
	world_arg_str(world, "tensor", "w");
	world_assert_str(world_run(world, "tensor.delete"), "tensor", "w");
	assert_int_equal(wire_size(wire_get(world_run_on(world, "tensor.list", "r"), "tensors")),
		0);
}

static void wrong_tensors_are_named(void **state)
{
	struct world *world = *state;
	const uint8_t data[24] = {0};
	world_run_on(world, "release.create", "r");
	arg_spec(world, "r", "w", "f32", (uint64_t[]){2, 3, 0});
	world_arg_bin(world, "data", data, 23);
	world_refuse(world, "tensor.put", STATUS_BAD_REQUEST,
		"data: 23 bytes given, 24 expected for [2, 3] of f32");
	arg_spec(world, "r", "w", "f32", (uint64_t[]){2, 3, 0});
	world_refuse(world, "tensor.put", STATUS_BAD_REQUEST, "data: missing");
	arg_spec(world, "r", "w", "f32", (uint64_t[]){2, 3, 0});
	world_arg_uint(world, "data", 7);
	world_refuse(world, "tensor.put", STATUS_BAD_REQUEST, "data: uint given, bin expected");
	arg_spec(world, "r", "a/b", "f32", (uint64_t[]){2, 3, 0});
	world_arg_bin(world, "data", data, 24);
	world_refuse(world, "tensor.put", STATUS_BAD_REQUEST, "tensor: 'a/b' given");
	arg_spec(world, "r", "w", "bit", (uint64_t[]){2, 3, 0});
	world_refuse(world, "tensor.put", STATUS_BAD_REQUEST, "dtype: 'bit' given");
	arg_spec(world, "x", "w", "f32", (uint64_t[]){2, 3, 0});
	world_arg_bin(world, "data", data, 24);
	world_refuse(world, "tensor.put", STATUS_NOT_FOUND, "'x'");
	arg_spec(world, "live", "w", "f32", (uint64_t[]){2, 3, 0});
	world_arg_bin(world, "data", data, 24);
	world_refuse(world, "tensor.put", STATUS_NOT_FOUND, "live");
	static const char *const methods[] = {"tensor.get", "tensor.delete"};
	for (size_t i = 0; i < 2; i++) {
		world_arg_str(world, "release", "r");
		world_arg_str(world, "tensor", "w");
		world_refuse(world, methods[i], STATUS_NOT_FOUND,
			"tensor: 'w' is not in release 'r'");
		world_arg_str(world, "release", "r");
		world_refuse(world, methods[i], STATUS_BAD_REQUEST, "tensor: missing");
	}
}

/* ---- adapters ---- */

/* A live release whose table a has rows (4i, 4i + 1, 4i + 2, 4i + 3), and the layers "w", with a
 * bias, and "v", without. */
static void make_layers(struct world *world)
{
	static const float w[2][WORLD_DIM] = {{1, 0, 0, 0}, {1, 1, 1, -3}};
	static const float bias[2] = {10, -5};
	static const float v[3][2] = {{1, 0}, {0, 1}, {-1, -1}};
	world_make_release(world, "r");
	put_f32(world, "w.weight", (uint64_t[]){2, WORLD_DIM, 0}, w[0], sizeof w / 4);
	put_f32(world, "w.bias", (uint64_t[]){2, 0}, bias, 2);
	put_f32(world, "v.weight", (uint64_t[]){3, 2, 0}, v[0], 6);
}

/* The argument `parts`: keys 1, absent, 3 of a, through a list like "w,relu". */
static void arg_through(struct world *world, const char *chain, const char *dtype)
{
	static const uint64_t keys[3] = {1, WORLD_ROWS + 5, 3};
	struct wire_writer *args = &world->args;
	size_t steps = 1;
	for (const char *at = chain; *at != '\0'; at++) {
		steps += *at == ',' ? 1 : 0;
	}
	world_arg(world, "parts");
	wire_write_array(args, 1);
	wire_write_map(args, 5);
	wire_write_str(args, "table");
	wire_write_str(args, "a");
	wire_write_str(args, "keys");
	wire_write_bin(args, keys, sizeof keys);
	wire_write_str(args, "dtype");
	wire_write_str(args, dtype);
	wire_write_str(args, "why");
	wire_write_bool(args, true);
	wire_write_str(args, "through");
	wire_write_array(args, steps);
	for (const char *at = chain; steps > 0; steps--) {
		const size_t len = strcspn(at, ",");
		wire_write_str_len(args, at, len);
		at += len + 1;
	}
}

static void rows_leave_through_a_chain(void **state)
{
	struct world *world = *state;
	make_layers(world);
	arg_through(world, "w,relu,v", "f32");
	struct wire_value part = wire_item(wire_get(world_run(world, "fetch"), "parts"), 0);
	assert_int_equal(world_uint_of(part, "dim"), 3);
	assert_int_equal(world_uint_of(part, "views"), 1);
	assert_int_equal(world_uint_of(part, "stride"), 12);
	assert_int_equal(world_bin_of(part, "found").data[0], 5);
	assert_memory_equal(world_bin_of(part, "why").data, "\0\1\0", 3);
	/* Row 1: 4, 5, 6, 7 becomes 14 and 4 + 5 + 6 - 21 - 5, which is below 0. */
	static const float expected[3][3] = {{14, 0, -14}, {0}, {22, 0, -22}};
	assert_int_equal(world_bin_of(part, "rows").len, sizeof expected);
	for (size_t i = 0; i < 9; i++) {
		float value;
		memcpy(&value, world_bin_of(part, "rows").data + i * 4, 4);
		assert_true(value == expected[i / 3][i % 3]);
	}
	arg_through(world, "w", "i8");
	part = wire_item(wire_get(world_run(world, "fetch"), "parts"), 0);
	world_assert_str(part, "dtype", "i8");
	assert_int_equal(world_uint_of(part, "stride"), 2);
	static const int8_t codes[3][2] = {{127, -100}, {0}, {127, -127}};
	float scales[3];
	memcpy(scales, world_bin_of(part, "scales").data, sizeof scales);
	assert_true(scales[0] == 14.0f / 127 && scales[1] == 0);
	assert_memory_equal(world_bin_of(part, "rows").data, codes, 2);
	assert_memory_equal(world_bin_of(part, "rows").data + 2, codes[1], 2);
}

static void a_chain_that_does_not_fit_is_named(void **state)
{
	static const struct {
		const char *chain;
		enum status status;
		const char *text;
	} cases[] = {
		{"w,relu,w", STATUS_BAD_REQUEST,
			"parts[0].through[2]: 'w' has weight [2, 4], rows have 2 values there"},
		{"v", STATUS_BAD_REQUEST,
			"parts[0].through[0]: 'v' has weight [3, 2], rows have 4 values there"},
		{"gate:w", STATUS_BAD_REQUEST,
			"parts[0].through[0]: gate 'w' has weight [2, 4], [4, 4] expected"},
		{"relu,x", STATUS_NOT_FOUND,
			"parts[0].through[1]: tensor: 'x.weight' is not in release 'r'"},
		{"w,a b", STATUS_BAD_REQUEST, "parts[0].through[1]: step: 'a b' given"},
		{"tanh,tanh,tanh,tanh,tanh,tanh,tanh,tanh,tanh,tanh,tanh,tanh,tanh,tanh,tanh,tanh,"
		 "tanh",
			STATUS_BAD_REQUEST, "parts[0].through: 17 given, 1..16 allowed"},
	};
	struct world *world = *state;
	make_layers(world);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		arg_through(world, cases[i].chain, "f32");
		world_refuse(world, "fetch", cases[i].status, cases[i].text);
		assert_int_equal(world->out.len, 0);
	}
	arg_through(world, "w", "bit");
	world_refuse(world, "fetch", STATUS_BAD_REQUEST, "table 'a' comes as f32");
	world_arg(world, "parts");
	wire_write_array(&world->args, 1);
	wire_write_map(&world->args, 3);
	wire_write_str(&world->args, "table");
	wire_write_str(&world->args, "a");
	wire_write_str(&world->args, "keys");
	wire_write_array(&world->args, 0);
	wire_write_str(&world->args, "through");
	wire_write_array(&world->args, 1);
	wire_write_uint(&world->args, 7);
	world_refuse(world, "fetch", STATUS_BAD_REQUEST,
		"parts[0].through[0]: uint given, str expected");
}

/* One part of so many keys, all 0, of a, through "wide" and, if that is wanted, "narrow". */
static void arg_many(struct world *world, size_t keys, size_t steps)
{
	uint64_t *packed = calloc(keys, sizeof *packed);
	assert_non_null(packed);
	world_arg(world, "parts");
	wire_write_array(&world->args, 1);
	wire_write_map(&world->args, 3);
	wire_write_str(&world->args, "table");
	wire_write_str(&world->args, "a");
	wire_write_str(&world->args, "keys");
	wire_write_bin(&world->args, packed, keys * sizeof *packed);
	wire_write_str(&world->args, "through");
	wire_write_array(&world->args, steps);
	wire_write_str(&world->args, "wide");
	if (steps > 1) {
		wire_write_str(&world->args, "narrow");
	}
	free(packed);
}

static void a_long_chain_leaves_the_loop_and_a_longer_one_is_refused(void **state)
{
	struct world *world = *state;
	enum { WIDE = 60000 };
	static float wide[WIDE * WORLD_DIM];
	world_make_release(world, "r");
	put_f32(world, "wide.weight", (uint64_t[]){WIDE, WORLD_DIM, 0}, wide, sizeof wide / 4);
	put_f32(world, "narrow.weight", (uint64_t[]){1, WIDE, 0}, wide, WIDE);
	/* 300,000 multiply-adds a row, of which 4 bytes leave. */
	for (size_t keys = 20; keys <= 40; keys += 20) {
		arg_many(world, keys, 2);
		world_prepare(world);
		wire_writer_clear(&world->out);
		struct call call = {
			.service = &world->service,
			.params = wire_root(world->params),
			.out = &world->out,
		};
		assert_int_equal(fetch_run(&call), keys == 20 ? STATUS_OK : STATUS_AGAIN);
		call.may_block = true;
		wire_writer_clear(&world->out);
		assert_int_equal(fetch_run(&call), STATUS_OK);
	}
	arg_many(world, 200000, 2);
	world_refuse(world, "fetch", STATUS_TOO_LARGE,
		" ms for stored layers), at most 5000 allowed");
	arg_many(world, 300, 1);
	world_refuse(world, "fetch", STATUS_TOO_LARGE, "the reply would have");
}

struct attempt {
	struct world *world;
	const char *method;
};

static bool run_once(void *arg)
{
	const struct attempt *attempt = arg;
	wire_writer_fini(&attempt->world->out);
	attempt->world->out = (struct wire_writer){0};
	return world_run_prepared(attempt->world, attempt->method) == STATUS_OK;
}

static void refused_memory_is_an_error(void **state)
{
	struct world *world = *state;
	static const float weight[2][WORLD_DIM] = {{1, 2, 3, 4}, {5, 6, 7, 8}};
	world_make_release(world, "r");
	put_f32(world, "w.weight", (uint64_t[]){2, WORLD_DIM, 0}, weight[0], sizeof weight / 4);
	static const char *const methods[] = {"tensor.get", "tensor.list"};
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if (i == 0) {
			world_arg_str(world, "tensor", "w.weight");
		}
		world_prepare(world);
		struct attempt attempt = {.world = world, .method = methods[i]};
		assert_int_equal(world_run_prepared(world, methods[i]), STATUS_OK);
		assert_true(alloc_fail_each(run_once, &attempt) > 0);
	}
	arg_through(world, "w,sigmoid", "f16");
	world_prepare(world);
	struct attempt attempt = {.world = world, .method = "fetch"};
	assert_true(alloc_fail_each(run_once, &attempt) > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tensors_are_put_together, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(a_tensor_comes_back_as_it_was_put, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(wrong_tensors_are_named, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(rows_leave_through_a_chain, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(a_chain_that_does_not_fit_is_named, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(
			a_long_chain_leaves_the_loop_and_a_longer_one_is_refused, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(refused_memory_is_an_error, world_setup,
			world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
