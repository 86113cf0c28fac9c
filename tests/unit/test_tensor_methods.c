/* test_tensor_methods.c - tensors and adapters by their methods, on a real store. */
#include "tests/unit/method_fixture.h"

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
	world_arg_str(world, "data", "text");
	world_refuse(world, "tensor.put", STATUS_BAD_REQUEST, "data: str given, bin expected");
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
	put_f32(world, "w.weight", (uint64_t[]){2, WORLD_DIM, 0}, weight[0], 2 * WORLD_DIM);
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
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_tensor_comes_back_as_it_was_put, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(wrong_tensors_are_named, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(refused_memory_is_an_error, world_setup,
			world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
