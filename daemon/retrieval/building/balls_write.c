/* balls_write.c - writes the image of a planned index. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/balls/balls_norm.h"
#include "daemon/retrieval/balls/balls_recall.h"
#include "daemon/retrieval/building/balls_calibration.h"
#include "daemon/retrieval/building/balls_plan.h"
#include "daemon/retrieval/layers/adapter_kernels.h"

enum { ROWS = BALLS_BLOCK_ROWS };

/* The image while it is written, and the block that is being written. */
struct writing {
	const struct balls_plan *plan;
	uint8_t *space;
	struct balls_layout layout;
	float *prefix_axes;
	float *of_balls[6];
	float *of_blocks[6];
	float *rows;   /* [ROWS, dim]: what is off the axis, and later what is beyond the prefix */
	float *prefix; /* [ROWS, prefix] */
	float along[ROWS];
	float off[ROWS];
};

/* In the order of struct balls_ranges. */
struct ranges {
	float of[6];
};

static const struct ranges nothing = {
	{INFINITY, -INFINITY, INFINITY, -INFINITY, INFINITY, -INFINITY}};

static void widen(struct ranges *ranges, const struct ranges *by)
{
	for (size_t i = 0; i < 6; i++) {
		const bool more =
			i % 2 == 0 ? by->of[i] < ranges->of[i] : by->of[i] > ranges->of[i];
		ranges->of[i] = more ? by->of[i] : ranges->of[i];
	}
}

static void store_ranges(float *const columns[6], size_t at, const struct ranges *ranges)
{
	for (size_t i = 0; i < 6; i++) {
		columns[i][at] = ranges->of[i];
	}
}

static float rounded_up(double value)
{
	return nextafterf((float)value, INFINITY);
}

/* Reads the rows of a block and splits each into what is along the axis and what is off it. Returns
 * the ranges, and in `longest` the largest length of a row. */
static struct ranges split_rows(struct writing *writing, const float *axis,
	const struct balls_member *members, size_t count, float *longest)
{
	const struct balls_source *source = writing->plan->source;
	const uint32_t dim = source->dim;
	const double axis_norm = balls_norm(axis, dim);
	struct ranges ranges = nothing;
	*longest = 0;
	for (size_t i = 0; i < count; i++) {
		float *row = writing->rows + i * dim;
		source->read(source->arg, members[i].row, 1, row);
		const double norm = balls_norm(row, dim);
		const double product = balls_dot(row, axis, dim);
		const float along = (float)product;
		for (uint32_t d = 0; d < dim; d++) {
			row[d] = (float)((double)row[d] - (double)along * (double)axis[d]);
		}
		const float off = rounded_up(balls_norm(row, dim));
		const double cosine = norm > 0 ? product / (norm * axis_norm) : 0;
		const struct ranges own = {
			{along, along, off, off, fmaxf(nextafterf((float)cosine, -2), -1),
				fminf(nextafterf((float)cosine, 2), 1)}};
		widen(&ranges, &own);
		writing->along[i] = along;
		writing->off[i] = off;
		*longest = fmaxf(*longest, rounded_up(norm));
	}
	return ranges;
}

/* Projects the rows on the prefix; what is beyond it stays in writing->rows. */
static void project(struct writing *writing, size_t count)
{
	const struct balls_plan *plan = writing->plan;
	const uint32_t dim = plan->shape.dim;
	const uint32_t prefix = plan->shape.prefix;
	if (plan->basis == NULL) {
		for (size_t i = 0; i < count; i++) {
			float *row = writing->rows + i * dim;
			float *own = writing->prefix + i * prefix;
			memset(own, 0, prefix * sizeof *own);
			memcpy(own, row, dim * sizeof *own);
			memset(row, 0, dim * sizeof *row);
		}
		return;
	}
	const struct adapter_product product = {
		.x = writing->rows,
		.w = plan->basis,
		.y = writing->prefix,
		.rows = count,
		.outs = prefix,
		.in = dim,
		.y_stride = prefix,
	};
	adapter_kernels_at(0)->product(&product);
	for (size_t i = 0; i < count; i++) {
		float *row = writing->rows + i * dim;
		for (uint32_t j = 0; j < prefix; j++) {
			const float much = writing->prefix[i * prefix + j];
			const float *direction = plan->basis + (size_t)j * dim;
			for (uint32_t d = 0; d < dim; d++) {
				row[d] -= much * direction[d];
			}
		}
	}
}

/* Encodes `count` vectors, up to 16. Returns the largest error of a vector. */
static float put_codes(const float *values, size_t count, uint32_t dims, float *scale,
	uint8_t *codes)
{
	float largest = 0;
	double error = 0;
	for (size_t i = 0; i < count * dims; i++) {
		largest = fmaxf(largest, fabsf(values[i]));
	}
	*scale = largest / 127;
	for (size_t i = 0; i < count; i++) {
		double missed = 0;
		for (size_t d = 0; d < dims; d++) {
			const double value = (double)values[i * dims + d];
			const double exact = *scale > 0 ? value / (double)*scale : 0;
			const long code = lrint(fmin(fmax(exact, -127), 127));
			const double beside = value - (double)*scale * (double)code;
			codes[d / 4 * 4 * ROWS + i * 4 + d % 4] = (uint8_t)(code + BALLS_CODE_ZERO);
			missed += beside * beside;
		}
		error = fmax(error, sqrt(missed));
	}
	return error > 0 ? rounded_up(error) : 0;
}

/* Writes the codes of the rows of a block, and how much they leave out. */
static void encode(const struct writing *writing, size_t count, float *head, uint8_t *codes)
{
	const struct balls_shape *shape = &writing->plan->shape;
	double rest = 0;
	double first_rest = 0;
	memset(codes, BALLS_CODE_ZERO, (size_t)shape->prefix * ROWS);
	head[BALLS_HEAD_CODE_ERROR] =
		put_codes(writing->prefix, count, shape->prefix, &head[BALLS_HEAD_SCALE], codes);
	for (size_t i = 0; i < count; i++) {
		const double beyond = balls_norm(writing->rows + i * shape->dim, shape->dim);
		const double between =
			balls_norm(writing->prefix + i * shape->prefix + shape->first,
				shape->prefix - shape->first);
		rest = fmax(rest, beyond);
		first_rest = fmax(first_rest, hypot(beyond, between));
	}
	head[BALLS_HEAD_REST] = rest > 0 ? rounded_up(rest) : 0;
	head[BALLS_HEAD_FIRST_REST] = first_rest > 0 ? rounded_up(first_rest) : 0;
}

static struct ranges write_block(struct writing *writing, uint32_t ball, uint32_t first,
	uint32_t count, uint32_t block)
{
	const struct balls_plan *plan = writing->plan;
	assert(count > 0 && count <= ROWS && block < plan->shape.blocks);
	const struct balls_member *members = plan->members + first;
	const uint32_t prefix = plan->shape.prefix;
	uint8_t *at = writing->space + writing->layout.offsets[BALLS_BLOCKS] +
		      block * balls_block_bytes(prefix);
	float *head = (float *)(void *)at;
	float *along = (float *)(void *)(at + 64);
	uint8_t *codes = at + 128;
	float *off = (float *)(void *)(codes + (size_t)prefix * ROWS);
	uint32_t *rows = (uint32_t *)(void *)(off + ROWS);
	float longest;
	const struct ranges ranges = split_rows(writing,
		plan->axes + (size_t)ball * plan->shape.dim, members, count, &longest);
	project(writing, count);
	encode(writing, count, head, codes);
	head[BALLS_HEAD_NORM] = longest;
	head[BALLS_HEAD_OFF] = ranges.of[3];
	for (uint32_t i = 0; i < ROWS; i++) {
		along[i] = i < count ? writing->along[i] : ranges.of[0];
		off[i] = i < count ? writing->off[i] : 0;
		rows[i] = i < count ? members[i].row : UINT32_MAX;
	}
	store_ranges(writing->of_blocks, block, &ranges);
	return ranges;
}

static enum status write_balls(struct writing *writing)
{
	const struct balls_plan *plan = writing->plan;
	const uint32_t dim = plan->shape.dim;
	const uint32_t prefix = plan->shape.prefix;
	uint32_t *first_blocks =
		(uint32_t *)(void *)(writing->space + writing->layout.offsets[BALLS_FIRST_BLOCKS]);
	uint32_t block = 0;
	for (uint32_t ball = 0; ball < plan->shape.balls; ball++) {
		if (balls_plan_is_stopped(plan)) {
			return STATUS_BUSY;
		}
		memcpy(writing->rows, plan->axes + (size_t)ball * dim, dim * sizeof(float));
		project(writing, 1);
		memcpy(writing->prefix_axes + (size_t)ball * balls_whole_lanes(prefix),
			writing->prefix, prefix * sizeof(float));
		struct ranges ranges = nothing;
		const uint32_t end = plan->first_members[ball + 1];
		first_blocks[ball] = block;
		for (uint32_t first = plan->first_members[ball]; first < end; first += ROWS) {
			const uint32_t count = end - first < ROWS ? end - first : ROWS;
			const struct ranges own = write_block(writing, ball, first, count, block++);
			widen(&ranges, &own);
		}
		if (first_blocks[ball] == block) {
			ranges = (struct ranges){{0}};
		}
		store_ranges(writing->of_balls, ball, &ranges);
	}
	assert(block == plan->shape.blocks); /* as the plan has counted them */
	first_blocks[plan->shape.balls] = block;
	return STATUS_OK;
}

static void write_axis_codes(const struct writing *writing, float *padded)
{
	const struct balls_plan *plan = writing->plan;
	const uint32_t dim = plan->shape.dim;
	const uint32_t dims = (dim + 3) / 4 * 4;
	uint8_t *codes = writing->space + writing->layout.offsets[BALLS_AXIS_CODES];
	float *head = (float *)(void *)(writing->space + writing->layout.offsets[BALLS_AXIS_HEADS]);
	for (uint32_t first = 0; first < plan->shape.balls; first += ROWS) {
		const uint32_t left = plan->shape.balls - first;
		const uint32_t count = left < ROWS ? left : ROWS;
		memset(padded, 0, (size_t)ROWS * dims * sizeof *padded);
		for (uint32_t i = 0; i < count; i++) {
			memcpy(padded + (size_t)i * dims, plan->axes + (size_t)(first + i) * dim,
				dim * sizeof *padded);
		}
		memset(codes, BALLS_CODE_ZERO, (size_t)ROWS * dims);
		head[1] = put_codes(padded, count, dims, &head[0], codes);
		codes += (size_t)ROWS * dims;
		head += 2;
	}
	assert(codes <= writing->space + writing->layout.offsets[BALLS_AXIS_HEADS]);
}

static void write_columns(const struct writing *writing)
{
	const struct balls_plan *plan = writing->plan;
	const struct balls_shape *shape = &plan->shape;
	assert(shape->has_basis == (plan->basis != NULL));
	memset(writing->space, 0, writing->layout.bytes);
	balls_write_header(shape, writing->space);
	memcpy(writing->space + writing->layout.offsets[BALLS_AXES], plan->axes,
		(size_t)shape->balls * shape->dim * sizeof(float));
	memcpy(writing->space + writing->layout.offsets[BALLS_LOOSE], plan->loose,
		shape->loose * sizeof(uint32_t));
	if (plan->basis != NULL) {
		memcpy(writing->space + writing->layout.offsets[BALLS_BASIS], plan->basis,
			(size_t)shape->prefix * shape->dim * sizeof(float));
	}
}

static enum status calibrate(const struct writing *writing)
{
	const struct balls_plan *plan = writing->plan;
	struct balls balls;
	const struct balls *const parts[] = {&balls};
	balls_write_queries(plan->options->query_count, writing->space);
	if (plan->options->recalls != NULL) {
		memcpy(writing->space + writing->layout.offsets[BALLS_RECALLS],
			plan->options->recalls,
			sizeof(float[BALLS_METRICS][BALLS_KS][BALLS_FACTORS]));
		return STATUS_OK;
	}
	const enum status status = balls_open(writing->space, writing->layout.bytes,
		plan->shape.rows, plan->shape.dim, &balls, NULL);
	float *recalls = (float *)(void *)(writing->space + writing->layout.offsets[BALLS_RECALLS]);
	return status != STATUS_OK
		       ? STATUS_INTERNAL
		       : balls_calibrate(parts, 1, plan->source, plan->options, recalls);
}

enum status balls_write(struct balls_plan *plan, uint8_t *space)
{
	const struct balls_shape *shape = &plan->shape;
	struct writing writing = {
		.plan = plan,
		.space = space,
		.rows = malloc(((size_t)shape->dim + 3) * ROWS * sizeof(float)),
		.prefix = malloc((size_t)ROWS * shape->prefix * sizeof(float)),
	};
	balls_layout(shape, &writing.layout);
	assert(writing.layout.bytes == balls_plan_bytes(plan));
	assert((uintptr_t)space % BALLS_ALIGN == 0); /* as balls_open asks */
	const struct balls_layout *layout = &writing.layout;
	for (size_t i = 0; i < 6; i++) {
		writing.of_balls[i] = (float *)(void *)(space + layout->offsets[BALLS_OF_BALLS] +
							i * layout->range_bytes_of_balls);
		writing.of_blocks[i] = (float *)(void *)(space + layout->offsets[BALLS_OF_BLOCKS] +
							 i * layout->range_bytes_of_blocks);
	}
	writing.prefix_axes = (float *)(void *)(space + layout->offsets[BALLS_PREFIX_AXES]);
	enum status status = STATUS_NO_MEMORY;
	if (writing.rows != NULL && writing.prefix != NULL) {
		write_columns(&writing);
		write_axis_codes(&writing, writing.rows);
		status = write_balls(&writing);
	}
	free(writing.rows);
	free(writing.prefix);
	return status == STATUS_OK ? calibrate(&writing) : status;
}
