/* test_adapter.c - chains of layers against a plain reference, on every instruction set. */
#include "daemon/retrieval/layers/adapter.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/layers/adapter_kernels.h"
#include "schema/dtype.h"
#include "tests/unit/alloc_fail.h"

#include <cmocka.h>

static uint32_t seed = 1;

/* -1..1, and now and then a zero of either sign. */
static float random_float(void)
{
	seed = seed * 1664525u + 1013904223u;
	const float value = (float)(int32_t)seed / 2147483648.0f;
	return seed % 64 < 60 ? value : seed % 2 == 0 ? 0.0f : -0.0f;
}

static float *random_floats(size_t count)
{
	float *values = malloc((count + 1) * sizeof *values);
	assert_non_null(values);
	for (size_t i = 0; i < count; i++) {
		values[i] = random_float();
	}
	return values;
}

/* ---- kernels ---- */

/* As adapter_kernels.h says, word by word. */
static float expected_dot(const float *x, const float *w, size_t in)
{
	float sums[16] = {0};
	for (size_t i = 0; i < (in + 15) / 16 * 16; i++) {
		sums[i % 16] =
			i < in ? fmaf(w[i], x[i], sums[i % 16]) : fmaf(0.0f, 0.0f, sums[i % 16]);
	}
	for (size_t width = 8; width > 0; width /= 2) {
		for (size_t i = 0; i < width; i++) {
			sums[i] = sums[i] + sums[i + width];
		}
	}
	return sums[0];
}

enum { OUTS = 9, ROWS = 7, STRIDE = 11 };

/* Only what was asked for is written, and with the right bits. */
static void expect_product(const struct adapter_product *product)
{
	for (size_t i = 0; i < (size_t)ROWS * STRIDE; i++) {
		const size_t r = i / STRIDE;
		const size_t o = i % STRIDE;
		float expected;
		memset(&expected, 0x55, sizeof expected);
		if (r < product->rows && o < product->outs) {
			expected = expected_dot(product->x + r * product->in,
				product->w + o * product->in, product->in);
			expected += product->bias == NULL ? -0.0f : product->bias[o];
		}
		assert_memory_equal(&product->y[i], &expected, sizeof expected);
	}
}

static void products_have_the_same_bits_on_every_set(void **state)
{
	(void)state;
	for (size_t in = 1; in <= 100; in++) {
		float *x = random_floats(ROWS * in);
		float *w = random_floats(OUTS * in);
		float *bias = random_floats(OUTS);
		for (size_t set = 0; adapter_kernels_at(set) != NULL; set++) {
			float y[ROWS][STRIDE];
			memset(y, 0x55, sizeof y);
			/* Rows and outputs that do and do not fill a block. */
			const size_t rows = 1 + (in + set) % ROWS;
			const size_t outs = 1 + in * 5 % OUTS;
			const struct adapter_product product = {
				.x = x,
				.w = w,
				.bias = in % 3 == 0 ? NULL : bias,
				.y = y[0],
				.rows = rows,
				.outs = outs,
				.in = in,
				.y_stride = STRIDE,
			};
			adapter_kernels_at(set)->product(&product);
			expect_product(&product);
		}
		free(x);
		free(w);
		free(bias);
	}
}

typedef void activation(float *values, size_t count);

static double exact_sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static double exact(unsigned which, double x)
{
	return which == 0   ? fmax(x, 0)
	       : which == 1 ? x * exact_sigmoid(x)
	       : which == 2 ? exact_sigmoid(x)
			    : tanh(x);
}

static activation *activation_of(size_t set, unsigned which)
{
	const struct adapter_kernels *kernels = adapter_kernels_at(set);
	return which == 0   ? kernels->relu
	       : which == 1 ? kernels->silu
	       : which == 2 ? kernels->sigmoid
			    : kernels->tanh;
}

/* One activation of all values, in pieces, so that what is left of a vector is met too. */
static void activate(size_t set, unsigned which, float *values, size_t count)
{
	for (size_t at = 0, some = 1; at < count; at += some, some = some % 67 + 1) {
		const size_t left = count - at;
		activation_of(set, which)(values + at, some < left ? some : left);
	}
}

static void expect_near(unsigned which, const float *x, const float *y, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const double expected = exact(which, (double)x[i]);
		if (fabs((double)y[i] - expected) > fabs(expected) * 4e-7 + 1e-35) {
			fail_msg("activation %u of %g: %g, not %g", which, (double)x[i],
				(double)y[i], expected);
		}
	}
}

static void activations_are_right_and_the_same_on_every_set(void **state)
{
	(void)state;
	enum { COUNT = 40001 };
	static const float scales[] = {100, 1, 0.01f, 1e-30f};
	static float x[COUNT];
	static float first[COUNT];
	static float y[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		x[i] = ((float)i / 20000 - 1) * scales[i % 4];
	}
	for (unsigned which = 0; which < 4; which++) {
		memcpy(first, x, sizeof x);
		activate(0, which, first, COUNT);
		expect_near(which, x, first, COUNT);
		for (size_t set = 1; adapter_kernels_at(set) != NULL; set++) {
			memcpy(y, x, sizeof x);
			activate(set, which, y, COUNT);
			assert_memory_equal(y, first, sizeof y);
		}
	}
}

static void what_is_not_finite_goes_through(void **state)
{
	(void)state;
	for (size_t set = 0; adapter_kernels_at(set) != NULL; set++) {
		for (unsigned which = 0; which < 4; which++) {
			float values[3] = {NAN, INFINITY, -INFINITY};
			activation_of(set, which)(values, 3);
			assert_true(isnan(values[0]));
			assert_true(which < 2 ? isinf(values[1]) : values[1] == 1.0f);
			assert_true(which == 0   ? values[2] == 0.0f
				    : which == 1 ? isnan(values[2])
				    : which == 2 ? values[2] == 0.0f
						 : values[2] == -1.0f);
		}
	}
}

/* ---- chains ---- */

/* A tensor with random elements of a dtype, and what they are as f32. */
struct made {
	struct tensor_spec spec;
	uint8_t *data;
	float *floats;
};

static struct made make(enum tensor_dtype dtype, uint32_t out, uint32_t in)
{
	struct made made = {.spec = {.dtype = dtype, .dims = in == 0 ? 1 : 2, .shape = {out, in}}};
	const size_t count = (size_t)out * (in == 0 ? 1 : in);
	made.floats = random_floats(count);
	/* Every other one a byte off: no reader may count on more. */
	made.data = malloc(count * 8 + 1);
	assert_non_null(made.data);
	for (size_t i = 0; i < count; i++) {
		uint8_t *at = made.data + out % 2 + i * tensor_dtype_bytes(dtype);
		float value = made.floats[i];
		uint16_t half;
		double wide;
		if (dtype == TENSOR_F32) {
			memcpy(at, &value, 4);
		} else if (dtype == TENSOR_F64) {
			wide = (double)value;
			memcpy(at, &wide, 8);
		} else {
			half = dtype == TENSOR_F16 ? dtype_f16_of_f32(value)
						   : dtype_bf16_of_f32(value);
			memcpy(at, &half, 2);
			made.floats[i] = dtype == TENSOR_F16 ? dtype_f32_of_f16(half)
							     : dtype_f32_of_bf16(half);
		}
	}
	return made;
}

static struct adapter_tensor view(const struct made *made)
{
	return (struct adapter_tensor){&made->spec, made->data + made->spec.shape[0] % 2};
}

static void unmake(struct made *made)
{
	free(made->data);
	free(made->floats);
}

static void add(struct adapter *adapter, const char *text, const struct made *weight,
	const struct made *bias)
{
	static const struct adapter_tensor none;
	struct adapter_name name;
	struct error err = {0};
	if (adapter_name_read(text, strlen(text), &name, &err) != STATUS_OK ||
		adapter_add(adapter, &name, weight == NULL ? none : view(weight),
			bias == NULL ? none : view(bias), &err) != STATUS_OK) {
		fail_msg("%s: %s", text, err.text);
	}
}

/* Rows through a chain, `step` at a time. */
static float *run(const struct adapter *adapter, const float *rows, uint32_t count, uint32_t step)
{
	struct adapter_space space;
	float *out = malloc(((size_t)count * adapter->out + 1) * sizeof *out);
	assert_non_null(out);
	assert_int_equal(adapter_space_init(&space, adapter, count), STATUS_OK);
	assert_int_equal(space.rows_max % 8, 0);
	step = step < space.rows_max ? step : space.rows_max;
	for (uint32_t at = 0; at < count; at += step) {
		const uint32_t some = count - at < step ? count - at : step;
		memcpy(space.rows, rows + (size_t)at * adapter->in,
			(size_t)some * adapter->in * sizeof *rows);
		memcpy(out + (size_t)at * adapter->out, adapter_run(adapter, &space, some),
			(size_t)some * adapter->out * sizeof *out);
	}
	adapter_space_fini(&space);
	return out;
}

static float expected_layer(const struct made *weight, const struct made *bias, const float *x,
	uint32_t out)
{
	const uint32_t in = weight->spec.shape[1];
	const float sum = expected_dot(x, weight->floats + (size_t)out * in, in);
	return bias == NULL ? sum : sum + bias->floats[out];
}

static void a_chain_is_its_steps_one_after_the_other(void **state)
{
	(void)state;
	enum { IN = 70, MIDDLE = 33, OUT = 10, COUNT = 300 };
	static const enum tensor_dtype dtypes[] = {TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_F64};
	for (size_t i = 0; i < 4; i++) {
		struct made w0 = make(dtypes[i], MIDDLE, IN);
		struct made b0 = make(dtypes[(i + 1) % 4], MIDDLE, 0);
		struct made g = make(dtypes[i], MIDDLE, MIDDLE);
		struct made w2 = make(TENSOR_F32, OUT, MIDDLE);
		float *rows = random_floats((size_t)COUNT * IN);
		struct adapter adapter;
		adapter_init(&adapter, IN);
		add(&adapter, "m.0", &w0, &b0);
		add(&adapter, "tanh", NULL, NULL);
		add(&adapter, "gate:g", &g, i == 0 ? &b0 : NULL);
		add(&adapter, "m.2", &w2, NULL);
		assert_int_equal(adapter.out, OUT);
		assert_int_equal(adapter.widest, IN);
		float *out = run(&adapter, rows, COUNT, COUNT);
		for (uint32_t step = 1; step < 20; step += 6) {
			float *again = run(&adapter, rows, COUNT, step);
			assert_memory_equal(out, again, (size_t)COUNT * OUT * sizeof *out);
			free(again);
		}
		const struct adapter_kernels *plain = adapter_kernels_at(0);
		for (uint32_t row = 0; row < COUNT; row++) {
			float middle[MIDDLE];
			float gated[MIDDLE];
			for (uint32_t o = 0; o < MIDDLE; o++) {
				middle[o] = expected_layer(&w0, &b0, rows + (size_t)row * IN, o);
			}
			plain->tanh(middle, MIDDLE);
			for (uint32_t o = 0; o < MIDDLE; o++) {
				gated[o] = expected_layer(&g, i == 0 ? &b0 : NULL, middle, o);
			}
			plain->gate(gated, middle, MIDDLE);
			for (uint32_t o = 0; o < OUT; o++) {
				const float expected = expected_layer(&w2, NULL, gated, o);
				assert_memory_equal(&out[row * OUT + o], &expected, 4);
			}
		}
		free(out);
		free(rows);
		unmake(&w0);
		unmake(&b0);
		unmake(&g);
		unmake(&w2);
	}
}

static void weights_of_any_size_are_converted_in_tiles(void **state)
{
	(void)state;
	static const struct {
		uint32_t in;
		uint32_t out;
	} sizes[] = {{1, 1}, {1, 70000}, {20000, 9}, {3, 4096}, {1024, 100}};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct made weight = make(TENSOR_F16, sizes[i].out, sizes[i].in);
		struct made bias = make(TENSOR_BF16, sizes[i].out, 0);
		float *rows = random_floats((size_t)3 * sizes[i].in);
		struct adapter adapter;
		adapter_init(&adapter, sizes[i].in);
		add(&adapter, "l", &weight, &bias);
		float *out = run(&adapter, rows, 3, 3);
		for (uint32_t o = 0; o < 3 * sizes[i].out; o++) {
			const float expected = expected_layer(&weight, &bias,
				rows + (size_t)(o / sizes[i].out) * sizes[i].in, o % sizes[i].out);
			assert_memory_equal(&out[o], &expected, sizeof expected);
		}
		free(out);
		free(rows);
		unmake(&weight);
		unmake(&bias);
	}
}

static void work_is_counted(void **state)
{
	(void)state;
	struct made weight = make(TENSOR_F16, 10, 64);
	struct adapter adapter;
	adapter_init(&adapter, 64);
	assert_int_equal(adapter_work(&adapter, 500), 500 * 64 * 8);
	add(&adapter, "l", &weight, NULL);
	assert_in_range(adapter_work(&adapter, 500), 500 * (512 + 640), 500 * (512 + 640) + 640);
	add(&adapter, "relu", NULL, NULL);
	assert_in_range(adapter_work(&adapter, 500), 500 * (512 + 650), 500 * (512 + 750));
	unmake(&weight);
}

/* ---- what does not fit ---- */

static void steps_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum status status;
		enum adapter_kind kind;
		const char *weight;
		const char *error;
	} cases[] = {
		{"adapter.0", STATUS_OK, ADAPTER_LINEAR, "adapter.0.weight", NULL},
		{"gate:g", STATUS_OK, ADAPTER_GATE, "g.weight", NULL},
		{"gate:relu", STATUS_OK, ADAPTER_GATE, "relu.weight", NULL},
		{"relu", STATUS_OK, ADAPTER_RELU, "", NULL},
		{"silu", STATUS_OK, ADAPTER_SILU, "", NULL},
		{"sigmoid", STATUS_OK, ADAPTER_SIGMOID, "", NULL},
		{"tanh", STATUS_OK, ADAPTER_TANH, "", NULL},
		{"relu6", STATUS_OK, ADAPTER_LINEAR, "relu6.weight", NULL},
		{"", STATUS_BAD_REQUEST, 0, NULL, "step: '' given"},
		{"gate:", STATUS_BAD_REQUEST, 0, NULL, "gate:NAME"},
		{"max:x", STATUS_BAD_REQUEST, 0, NULL, "'max:x' given"},
		{"n23456789012345678901234567890123456789012345678901234567", STATUS_OK,
			ADAPTER_LINEAR,
			"n23456789012345678901234567890123456789012345678901234567.weight", NULL},
		{"n234567890123456789012345678901234567890123456789012345678", STATUS_BAD_REQUEST,
			0, NULL, "longer than the 57 bytes"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct adapter_name name;
		struct error err = {0};
		assert_int_equal(adapter_name_read(cases[i].text, strlen(cases[i].text), &name,
					 &err),
			cases[i].status);
		if (cases[i].error != NULL) {
			assert_non_null(strstr(err.text, cases[i].error));
			continue;
		}
		assert_int_equal(name.kind, cases[i].kind);
		assert_string_equal(name.weight.text, cases[i].weight);
		assert_int_equal(adapter_has_tensors(&name), cases[i].weight[0] != '\0');
	}
}

static void a_shape_that_does_not_fit_is_shown(void **state)
{
	(void)state;
	static const uint8_t data[8];
	static const struct {
		const char *step;
		struct tensor_spec weight;
		struct tensor_spec bias;
		const char *error;
	} cases[] = {
		{"a.2", {.dtype = TENSOR_F32, .dims = 2, .shape = {10, 64}}, {.dims = 9},
			"'a.2' has weight [10, 64], rows have 32 values there"},
		{"a", {.dtype = TENSOR_F32, .dims = 1, .shape = {32}}, {.dims = 9},
			"'a' has weight [32], [out, in] expected"},
		{"gate:a", {.dtype = TENSOR_F32, .dims = 2, .shape = {10, 32}}, {.dims = 9},
			"gate 'a' has weight [10, 32], [32, 32] expected"},
		{"a", {.dtype = TENSOR_F32, .dims = 2, .shape = {10, 32}},
			{.dtype = TENSOR_F32, .dims = 1, .shape = {11}},
			"'a' has weight [10, 32] and bias [11], [10] expected"},
		{"a", {.dtype = TENSOR_F32, .dims = 2, .shape = {10, 32}},
			{.dtype = TENSOR_F32, .dims = 2, .shape = {10, 1}},
			"'a' has weight [10, 32] and bias [10, 1], [10] expected"},
		{"a", {.name = {"a.weight"}, .dtype = TENSOR_I8, .dims = 2, .shape = {10, 32}},
			{.dims = 9}, "tensor 'a.weight' holds i8, f32, f16, bf16 or f64 allowed"},
		{"a", {.dtype = TENSOR_F32, .dims = 2, .shape = {10, 32}},
			{.name = {"a.bias"}, .dtype = TENSOR_U64, .dims = 1, .shape = {10}},
			"tensor 'a.bias' holds u64"},
		{"a", {.dtype = TENSOR_F16, .dims = 2, .shape = {LIMIT_ADAPTER_WIDTH + 1, 32}},
			{.dims = 9}, "up to 262144 values"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct adapter adapter;
		struct adapter_name name;
		struct error err = {0};
		const struct adapter_tensor weight = {&cases[i].weight, data};
		const struct adapter_tensor bias = {cases[i].bias.dims == 9 ? NULL : &cases[i].bias,
			data};
		adapter_init(&adapter, 32);
		assert_int_equal(adapter_name_read(cases[i].step, strlen(cases[i].step), &name,
					 &err),
			STATUS_OK);
		assert_int_equal(adapter_add(&adapter, &name, weight, bias, &err),
			STATUS_BAD_REQUEST);
		if (strstr(err.text, cases[i].error) == NULL) {
			fail_msg("'%s' does not say '%s'", err.text, cases[i].error);
		}
		assert_int_equal(adapter.count, 0);
		assert_int_equal(adapter.out, 32);
	}
}

static bool take_space(void *arg)
{
	struct adapter_space space;
	const bool taken = adapter_space_init(&space, arg, 100) == STATUS_OK;
	adapter_space_fini(&space);
	return taken;
}

static void refused_memory_is_an_error(void **state)
{
	(void)state;
	struct adapter adapter;
	adapter_init(&adapter, 64);
	assert_int_equal(alloc_fail_each(take_space, &adapter), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(products_have_the_same_bits_on_every_set),
		cmocka_unit_test(activations_are_right_and_the_same_on_every_set),
		cmocka_unit_test(what_is_not_finite_goes_through),
		cmocka_unit_test(a_chain_is_its_steps_one_after_the_other),
		cmocka_unit_test(weights_of_any_size_are_converted_in_tiles),
		cmocka_unit_test(work_is_counted),
		cmocka_unit_test(steps_are_named),
		cmocka_unit_test(a_shape_that_does_not_fit_is_shown),
		cmocka_unit_test(refused_memory_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
