/* adapter.c - checks the shapes of a chain and runs rows through it, block by block. */
#include "daemon/retrieval/layers/adapter.h"

#include "daemon/retrieval/layers/adapter_kernels.h"
#include "daemon/retrieval/layers/wide.h"
#include "schema/dtype.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* Values of a block of rows: so many stay in the second-level cache. */
	SPACE_FLOATS = 64 << 10,
	SPACE_ROWS_MAX = 512,
	SPACE_ROWS_STEP = 8,
	TILE_FLOATS = 32 << 10,
	/* In multiply-adds: the cost of finding and converting a value, and that of an activation
	 * of a value. */
	VALUE_WORK = 8,
	ACTIVATION_WORK = 8,
};

/* ---- names ---- */

static const struct {
	const char *name;
	enum adapter_kind kind;
} activations[] = {
	{"relu", ADAPTER_RELU},
	{"silu", ADAPTER_SILU},
	{"sigmoid", ADAPTER_SIGMOID},
	{"tanh", ADAPTER_TANH},
};

bool adapter_has_tensors(const struct adapter_name *name)
{
	return name->kind == ADAPTER_LINEAR || name->kind == ADAPTER_GATE;
}

/* Sets NAME.weight and NAME.bias, which must not be longer than a name may be. */
static enum status set_tensors(struct adapter_name *name, struct error *err)
{
	static const char suffix[] = ".weight";
	const size_t len = strlen(name->text.text);
	if (len + sizeof suffix > sizeof name->weight.text) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s' is longer than the %zu bytes that a tensor's name has before '%s'",
			name->text.text, sizeof name->weight.text - sizeof suffix, suffix);
	}
	memcpy(name->weight.text, name->text.text, len);
	memcpy(name->weight.text + len, suffix, sizeof suffix);
	memcpy(name->bias.text, name->text.text, len);
	memcpy(name->bias.text + len, ".bias", sizeof ".bias");
	return STATUS_OK;
}

enum status adapter_name_read(const char *text, size_t len, struct adapter_name *out,
	struct error *err)
{
	static const char gate[] = "gate:";
	struct adapter_name name = {.kind = ADAPTER_LINEAR};
	const size_t skip = strlen(gate);
	if (len >= skip && memcmp(text, gate, skip) == 0) {
		name.kind = ADAPTER_GATE;
		text += skip;
		len -= skip;
	}
	struct error reason;
	if (name_check(text, len, "step", &name.text, &reason) != STATUS_OK) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%s, or gate:NAME, or relu, silu, sigmoid, tanh", reason.text);
	}
	for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
		if (name.kind == ADAPTER_LINEAR &&
			strcmp(activations[i].name, name.text.text) == 0) {
			name.kind = activations[i].kind;
		}
	}
	const enum status status = adapter_has_tensors(&name) ? set_tensors(&name, err) : STATUS_OK;
	if (status == STATUS_OK) {
		*out = name;
	}
	return status;
}

/* ---- shapes ---- */

static bool is_float(enum tensor_dtype dtype)
{
	return dtype == TENSOR_F32 || dtype == TENSOR_F16 || dtype == TENSOR_BF16 ||
	       dtype == TENSOR_F64;
}

static enum status check_dtype(const struct tensor_spec *spec, struct error *err)
{
	return is_float(spec->dtype)
		       ? STATUS_OK
		       : error_set(err, STATUS_BAD_REQUEST,
				 "tensor '%s' holds %s, f32, f16, bf16 or f64 allowed",
				 spec->name.text, tensor_dtype_name(spec->dtype));
}

static enum status check_weight(const struct adapter *adapter, const struct adapter_name *name,
	const struct tensor_spec *weight, struct error *err)
{
	char shape[TENSOR_SHAPE_BYTES];
	if (weight->dims != 2) {
		return error_set(err, STATUS_BAD_REQUEST, "'%s' has weight %s, [out, in] expected",
			name->text.text, tensor_shape_print(weight, shape));
	}
	if (weight->shape[1] != adapter->out) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s' has weight %s, rows have %" PRIu32 " values there", name->text.text,
			tensor_shape_print(weight, shape), adapter->out);
	}
	if (name->kind == ADAPTER_GATE && weight->shape[0] != weight->shape[1]) {
		return error_set(err, STATUS_BAD_REQUEST,
			"gate '%s' has weight %s, [%" PRIu32 ", %" PRIu32 "] expected",
			name->text.text, tensor_shape_print(weight, shape), adapter->out,
			adapter->out);
	}
	if (weight->shape[0] > LIMIT_ADAPTER_WIDTH) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s' has weight %s, up to %u values a row allowed", name->text.text,
			tensor_shape_print(weight, shape), LIMIT_ADAPTER_WIDTH);
	}
	return check_dtype(weight, err);
}

static enum status check_bias(const struct adapter_name *name, const struct tensor_spec *weight,
	const struct tensor_spec *bias, struct error *err)
{
	if (bias == NULL) {
		return STATUS_OK;
	}
	if (bias->dims != 1 || bias->shape[0] != weight->shape[0]) {
		char shapes[2][TENSOR_SHAPE_BYTES];
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s' has weight %s and bias %s, [%" PRIu32 "] expected", name->text.text,
			tensor_shape_print(weight, shapes[0]), tensor_shape_print(bias, shapes[1]),
			weight->shape[0]);
	}
	return check_dtype(bias, err);
}

void adapter_init(struct adapter *adapter, uint32_t in)
{
	assert(in > 0);
	*adapter = (struct adapter){.in = in, .out = in, .widest = in};
}

enum status adapter_add(struct adapter *adapter, const struct adapter_name *name,
	struct adapter_tensor weight, struct adapter_tensor bias, struct error *err)
{
	assert(adapter->count < LIMIT_ADAPTER_STEPS);
	struct adapter_step step = {.kind = name->kind, .in = adapter->out, .out = adapter->out};
	if (adapter_has_tensors(name)) {
		enum status status = check_weight(adapter, name, weight.spec, err);
		if (status == STATUS_OK) {
			status = check_bias(name, weight.spec, bias.spec, err);
		}
		if (status != STATUS_OK) {
			return status;
		}
		step.out = weight.spec->shape[0];
		step.weight = weight;
		step.bias = bias;
	}
	adapter->steps[adapter->count++] = step;
	adapter->out = step.out;
	adapter->widest = step.out > adapter->widest ? step.out : adapter->widest;
	assert(adapter->widest >= adapter->in && adapter->widest >= adapter->out);
	return STATUS_OK;
}

/* ---- space ---- */

/* How many rows a block has. */
static uint32_t rows_at_once(const struct adapter *adapter, uint64_t rows)
{
	uint64_t count = SPACE_FLOATS / adapter->widest;
	count = count < SPACE_ROWS_MAX ? count : SPACE_ROWS_MAX;
	count = count < rows ? count : rows;
	return (uint32_t)((count + SPACE_ROWS_STEP) / SPACE_ROWS_STEP * SPACE_ROWS_STEP);
}

static bool is_direct(const struct adapter_tensor *tensor)
{
	return tensor->spec == NULL ||
	       (tensor->spec->dtype == TENSOR_F32 && (uintptr_t)tensor->data % sizeof(float) == 0);
}

static uint64_t matrix_of(const struct adapter_step *step)
{
	return step->weight.spec == NULL ? 0 : (uint64_t)step->in * step->out;
}

uint64_t adapter_work(const struct adapter *adapter, uint64_t rows)
{
	uint64_t of_row = (uint64_t)adapter->in * VALUE_WORK;
	uint64_t of_block = 0;
	for (size_t i = 0; i < adapter->count; i++) {
		const struct adapter_step *step = &adapter->steps[i];
		of_row += matrix_of(step);
		of_row += step->kind == ADAPTER_LINEAR ? 0 : (uint64_t)step->out * ACTIVATION_WORK;
		of_block += is_direct(&step->weight) ? 0 : matrix_of(step);
	}
	const uint64_t at_once = rows_at_once(adapter, rows);
	return rows * of_row + (rows + at_once - 1) / at_once * of_block;
}

/* The weights and biases of so many outputs are converted at once. */
static uint32_t outs_at_once(const struct adapter *adapter)
{
	const uint32_t outs = TILE_FLOATS / (adapter->widest + 1);
	return outs < 4 ? 4 : outs;
}

enum status adapter_space_init(struct adapter_space *space, const struct adapter *adapter,
	uint32_t rows)
{
	const size_t rows_max = rows_at_once(adapter, rows);
	const size_t tile_outs = outs_at_once(adapter);
	const size_t floats = rows_max * adapter->widest;
	const size_t tile_floats = tile_outs * (adapter->widest + 1);
	assert(rows_max > 0 && rows_max % SPACE_ROWS_STEP == 0);
	*space = (struct adapter_space){.rows_max = (uint32_t)rows_max};
	float *memory = malloc((2 * floats + tile_floats) * sizeof *memory);
	if (memory == NULL) {
		return STATUS_NO_MEMORY;
	}
	space->memory = memory;
	space->rows = memory;
	space->other = memory + floats;
	space->tile = memory + 2 * floats;
	space->tile_outs = (uint32_t)tile_outs;
	return STATUS_OK;
}

void adapter_space_fini(struct adapter_space *space)
{
	free(space->memory);
	*space = (struct adapter_space){0};
}

/* ---- run ---- */

/* Converts elements [first, first + count) of a tensor to f32. */
static void convert(const struct adapter_tensor *tensor, size_t first, size_t count, float *out)
{
	const uint8_t *from = tensor->data + first * tensor_dtype_bytes(tensor->spec->dtype);
	if (tensor->spec->dtype == TENSOR_F64) {
		for (size_t i = 0; i < count; i++) {
			double value;
			memcpy(&value, from + i * sizeof value, sizeof value);
			out[i] = wide_close(value);
		}
		return;
	}
	const struct dtype_rows source = {
		.dtype = tensor->spec->dtype == TENSOR_F16    ? DTYPE_F16
			 : tensor->spec->dtype == TENSOR_BF16 ? DTYPE_BF16
							      : DTYPE_F32,
		.rows = (void *)from,
	};
	const struct dtype_rows target = {.dtype = DTYPE_F32, .rows = out};
	dtype_convert(&target, &source, 1, (uint32_t)count, 1);
}

/* Elements of a tensor as f32: where they stand if they are f32, else converted into `room`. NULL:
 * there is no tensor. */
static const float *floats_of(const struct adapter_tensor *tensor, size_t first, size_t count,
	float *room)
{
	if (tensor->spec == NULL) {
		return NULL;
	}
	if (is_direct(tensor)) {
		return (const float *)(const void *)tensor->data + first;
	}
	convert(tensor, first, count, room);
	return room;
}

/* Computes the values of a row that are infinite or no number again: they have left f32. */
static void mend_row(const struct adapter_product *product, size_t row)
{
	const float *x = product->x + row * product->in;
	float *y = product->y + row * product->y_stride;
	for (size_t out = 0; out < product->outs; out++) {
		if (!isfinite(y[out])) {
			const double bias = product->bias == NULL ? 0 : (double)product->bias[out];
			y[out] = wide_close(
				wide_dot(x, product->w + out * product->in, product->in) + bias);
		}
	}
}

static void mend(const struct adapter_product *product)
{
	for (size_t row = 0; row < product->rows; row++) {
		const float *y = product->y + row * product->y_stride;
		if (!adapter_kernels_at(0)->in_range(y, product->outs, 0)) {
			mend_row(product, row);
		}
	}
}

/* y = W x + b. Weights that must be converted are taken tile by tile. */
static void run_product(const struct adapter_step *step, const struct adapter_space *space,
	const float *x, float *y, uint32_t count)
{
	const struct adapter_kernels *kernels = adapter_kernels_at(0);
	const bool direct = is_direct(&step->weight) && is_direct(&step->bias);
	const size_t tile_outs = direct ? step->out : space->tile_outs;
	assert(tile_outs > 0 && count <= space->rows_max);
	for (size_t out = 0; out < step->out; out += tile_outs) {
		const size_t left = step->out - out;
		const size_t outs = left < tile_outs ? left : tile_outs;
		float *bias_room = space->tile + (direct ? 0 : outs * step->in);
		const struct adapter_product product = {
			.x = x,
			.w = floats_of(&step->weight, out * step->in, outs * step->in, space->tile),
			.bias = floats_of(&step->bias, out, outs, bias_room),
			.y = y + out,
			.rows = count,
			.outs = outs,
			.in = step->in,
			.y_stride = step->out,
		};
		kernels->product(&product);
		mend(&product);
	}
}

static void run_activation(const struct adapter_step *step, float *values, size_t count)
{
	const struct adapter_kernels *kernels = adapter_kernels_at(0);
	switch (step->kind) {
	case ADAPTER_RELU:
		kernels->relu(values, count);
		break;
	case ADAPTER_SILU:
		kernels->silu(values, count);
		break;
	case ADAPTER_SIGMOID:
		kernels->sigmoid(values, count);
		break;
	case ADAPTER_TANH:
		kernels->tanh(values, count);
		break;
	case ADAPTER_LINEAR:
	case ADAPTER_GATE:
		break;
	}
}

float *adapter_run(const struct adapter *adapter, struct adapter_space *space, uint32_t count)
{
	float *x = space->rows;
	float *y = space->other;
	uint32_t width = adapter->in;
	assert(count <= space->rows_max);
	for (size_t i = 0; i < adapter->count; i++) {
		const struct adapter_step *step = &adapter->steps[i];
		assert(step->in == width && step->out <= adapter->widest);
		width = step->out;
		if (step->weight.spec == NULL) {
			run_activation(step, x, (size_t)count * step->out);
			continue;
		}
		run_product(step, space, x, y, count);
		if (step->kind == ADAPTER_GATE) {
			adapter_kernels_at(0)->gate(y, x, (size_t)count * step->out);
		}
		float *swap = x;
		x = y;
		y = swap;
	}
	assert(width == adapter->out);
	return x;
}
