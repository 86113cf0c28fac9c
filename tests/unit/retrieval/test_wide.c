/* test_wide.c - sums that leave f32, and layers whose values do. */
#include "daemon/retrieval/layers/wide.h"

#include "daemon/retrieval/layers/adapter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { IN = 20, OUT = 3, COUNT = 5 };

static void finite_values_close_to_finite_ones(void **state)
{
	(void)state;
	assert_true(wide_close(1e39) == FLT_MAX);
	assert_true(wide_close(-1e300) == -FLT_MAX);
	assert_true(wide_close((double)FLT_MAX) == FLT_MAX);
	assert_true(wide_close(1e-46) == 0);
	assert_true(wide_close(1e-44) == 1e-44f);
	assert_true(isinf(wide_close(INFINITY)));
	assert_true(isnan(wide_close(NAN)));
}

static void sums_neither_overflow_nor_vanish(void **state)
{
	(void)state;
	float large[IN];
	float small[IN];
	for (size_t i = 0; i < IN; i++) {
		large[i] = 0x1p127f;
		small[i] = i % 2 == 0 ? 0x1p-149f : -0x1p-149f;
	}
	for (size_t count = 0; count <= IN; count++) {
		assert_true(wide_dot(large, large, count) == (double)count * 0x1p254);
		assert_true(wide_dot(small, small, count) == (double)count * 0x1p-298);
		assert_true(wide_dot(large, small, count) == (double)(count % 2) * 0x1p-22);
		assert_true(wide_distance(large, large, count) == 0);
		assert_true(wide_distance(large, small, count) == (double)count * 0x1p254);
	}
}

static void add_layer(struct adapter *adapter, const float *weights, const float *biases)
{
	static const struct tensor_spec weight = {.dtype = TENSOR_F32,
		.dims = 2,
		.shape = {OUT, IN}};
	static const struct tensor_spec bias = {.dtype = TENSOR_F32, .dims = 1, .shape = {OUT}};
	struct adapter_name name;
	struct error err;
	assert_int_equal(adapter_name_read("m", 1, &name, &err), STATUS_OK);
	assert_int_equal(adapter_add(adapter, &name,
				 (struct adapter_tensor){&weight, (const uint8_t *)weights},
				 (struct adapter_tensor){&bias, (const uint8_t *)biases}, &err),
		STATUS_OK);
}

/* Products of 1e20 and 1e30 that add up, cancel, or meet a bias. */
static void values_of_a_layer_beyond_f32_become_the_largest(void **state)
{
	(void)state;
	float weights[OUT * IN];
	const float biases[OUT] = {-7, 7, 7};
	for (size_t i = 0; i < (size_t)OUT * IN; i++) {
		weights[i] = i / IN == 1 || (i / IN == 2 && i % 2 == 0) ? -1e30f : 1e30f;
	}
	struct adapter adapter;
	struct adapter_space space;
	adapter_init(&adapter, IN);
	add_layer(&adapter, weights, biases);
	assert_int_equal(adapter_space_init(&space, &adapter, COUNT), STATUS_OK);
	for (size_t i = 0; i < (size_t)COUNT * IN; i++) {
		space.rows[i] = 1e20f;
	}
	const float *out = adapter_run(&adapter, &space, COUNT);
	for (size_t row = 0; row < COUNT; row++) {
		assert_true(out[row * OUT] == FLT_MAX);
		assert_true(out[row * OUT + 1] == -FLT_MAX);
		assert_true(out[row * OUT + 2] == 7);
	}
	adapter_space_fini(&space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finite_values_close_to_finite_ones),
		cmocka_unit_test(sums_neither_overflow_nor_vanish),
		cmocka_unit_test(values_of_a_layer_beyond_f32_become_the_largest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
