/* balls_image.c - lays out the columns of an image, and checks an image that is opened. */
#include "daemon/retrieval/balls/balls_image.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/retrieval/balls/balls_recall.h"

static const uint8_t magic[8] = {'r', 'e', 'p', 'b', 'a', 'l', 'l', 's'};

static_assert(BALLS_BLOCK_ROWS * sizeof(float) == BALLS_ALIGN, "rows of a block fill a line");

static uint64_t aligned(uint64_t bytes)
{
	return (bytes + BALLS_ALIGN - 1) / BALLS_ALIGN * BALLS_ALIGN;
}

/* No sum overflows: counts are below 2^32, dims at most 2^16. */
void balls_layout(const struct balls_shape *shape, struct balls_layout *out)
{
	const uint64_t balls = shape->balls;
	const uint64_t blocks = shape->blocks;
	const uint64_t groups = (balls + BALLS_BLOCK_ROWS - 1) / BALLS_BLOCK_ROWS;
	const uint64_t dims = ((uint64_t)shape->dim + 3) / 4 * 4;
	out->range_bytes_of_balls = aligned(balls * sizeof(float));
	out->range_bytes_of_blocks = aligned(blocks * sizeof(float));
	const uint64_t bytes[BALLS_COLUMNS] = {
		[BALLS_RECALLS] =
			(uint64_t)BALLS_METRICS * BALLS_KS * BALLS_FACTORS * sizeof(float),
		[BALLS_BASIS] =
			shape->has_basis ? (uint64_t)shape->prefix * shape->dim * sizeof(float) : 0,
		[BALLS_AXES] = balls * shape->dim * sizeof(float),
		[BALLS_AXIS_CODES] = groups * dims * BALLS_BLOCK_ROWS,
		[BALLS_AXIS_HEADS] = groups * 2 * sizeof(float),
		[BALLS_PREFIX_AXES] = balls * balls_whole_lanes(shape->prefix) * sizeof(float),
		[BALLS_FIRST_BLOCKS] = (balls + 1) * sizeof(uint32_t),
		[BALLS_OF_BALLS] = 6 * out->range_bytes_of_balls,
		[BALLS_OF_BLOCKS] = 6 * out->range_bytes_of_blocks,
		[BALLS_BLOCKS] = blocks * balls_block_bytes(shape->prefix),
		[BALLS_LOOSE] = shape->loose * sizeof(uint32_t),
	};
	uint64_t at = BALLS_HEADER_BYTES;
	for (size_t i = 0; i < BALLS_COLUMNS; i++) {
		out->offsets[i] = at;
		at += aligned(bytes[i]);
	}
	assert(at % BALLS_ALIGN == 0);
	out->bytes = at;
}

static void put_u32(uint8_t *at, uint32_t value)
{
	for (size_t i = 0; i < 4; i++) {
		at[i] = (uint8_t)(value >> 8 * i);
	}
}

static uint64_t get(const uint8_t *at, size_t bytes)
{
	uint64_t value = 0;
	for (size_t i = 0; i < bytes; i++) {
		value |= (uint64_t)at[i] << 8 * i;
	}
	return value;
}

void balls_write_header(const struct balls_shape *shape, uint8_t *space)
{
	struct balls_layout layout;
	balls_layout(shape, &layout);
	memset(space, 0, BALLS_HEADER_BYTES);
	memcpy(space, magic, sizeof magic);
	put_u32(space + 8, BALLS_VERSION);
	put_u32(space + 12, shape->dim);
	put_u32(space + 16, shape->rows);
	put_u32(space + 20, shape->prefix);
	put_u32(space + 24, shape->balls);
	put_u32(space + 28, shape->blocks);
	put_u32(space + 32, shape->loose);
	put_u32(space + 36, shape->has_basis);
	put_u32(space + 40, (uint32_t)layout.bytes);
	put_u32(space + 44, (uint32_t)(layout.bytes >> 32));
	put_u32(space + 48, shape->first);
}

void balls_write_queries(uint32_t queries, uint8_t *space)
{
	put_u32(space + BALLS_QUERIES_OFFSET, queries);
}

static bool shape_fits(const struct balls_shape *shape, uint32_t rows, uint32_t dim)
{
	return shape->rows == rows && shape->dim == dim && rows <= BALLS_ROWS_MAX && dim > 0 &&
	       dim <= (1u << 16) && shape->prefix > 0 && shape->prefix % 4 == 0 &&
	       shape->prefix <= BALLS_PREFIX_MAX && shape->first > 0 && shape->first % 4 == 0 &&
	       shape->first <= shape->prefix && shape->balls > 0 &&
	       shape->balls <= BALLS_ROWS_MAX && shape->blocks <= rows && shape->loose <= rows &&
	       (shape->has_basis || shape->prefix >= dim);
}

static const void *column(const uint8_t *data, const struct balls_layout *layout,
	enum balls_column which)
{
	return data + layout->offsets[which];
}

static void point_at(struct balls_ranges *out, const uint8_t *data, uint64_t bytes)
{
	const float **columns[] = {&out->along_min, &out->along_max, &out->off_min, &out->off_max,
		&out->cosine_min, &out->cosine_max};
	for (size_t i = 0; i < 6; i++) {
		*columns[i] = (const float *)(const void *)(data + i * bytes);
	}
}

static bool are_in_order(const uint32_t *first_blocks, uint32_t balls, uint32_t blocks)
{
	bool fine = first_blocks[0] == 0 && first_blocks[balls] == blocks;
	for (uint32_t i = 0; i < balls; i++) {
		fine = fine && first_blocks[i] <= first_blocks[i + 1];
	}
	return fine;
}

static void fill(const uint8_t *data, const struct balls_shape *shape,
	const struct balls_layout *layout, struct balls *out)
{
	*out = (struct balls){
		.rows = shape->rows,
		.dim = shape->dim,
		.prefix = shape->prefix,
		.first = shape->first,
		.balls = shape->balls,
		.blocks = shape->blocks,
		.loose = shape->loose,
		.block_bytes = balls_block_bytes(shape->prefix),
		.queries = (const uint32_t *)(const void *)(data + BALLS_QUERIES_OFFSET),
		.recalls = column(data, layout, BALLS_RECALLS),
		.basis = shape->has_basis ? column(data, layout, BALLS_BASIS) : NULL,
		.axes = column(data, layout, BALLS_AXES),
		.axis_codes = column(data, layout, BALLS_AXIS_CODES),
		.axis_heads = column(data, layout, BALLS_AXIS_HEADS),
		.prefix_axes = column(data, layout, BALLS_PREFIX_AXES),
		.first_blocks = column(data, layout, BALLS_FIRST_BLOCKS),
		.block_data = column(data, layout, BALLS_BLOCKS),
		.loose_rows = column(data, layout, BALLS_LOOSE),
	};
	point_at(&out->of_balls, column(data, layout, BALLS_OF_BALLS),
		layout->range_bytes_of_balls);
	point_at(&out->of_blocks, column(data, layout, BALLS_OF_BLOCKS),
		layout->range_bytes_of_blocks);
}

enum status balls_open(const uint8_t *data, size_t len, uint32_t rows, uint32_t dim,
	struct balls *out, struct error *err)
{
	if (len < BALLS_HEADER_BYTES || memcmp(data, magic, sizeof magic) != 0 ||
		(uintptr_t)data % BALLS_ALIGN != 0) {
		return error_set(err, STATUS_CORRUPT, "index: no image of balls");
	}
	const uint32_t version = (uint32_t)get(data + 8, 4);
	if (version != BALLS_VERSION) {
		return error_set(err, STATUS_UNSUPPORTED,
			"index: version %" PRIu32 ", this build reads %d", version, BALLS_VERSION);
	}
	const struct balls_shape shape = {
		.dim = (uint32_t)get(data + 12, 4),
		.rows = (uint32_t)get(data + 16, 4),
		.prefix = (uint32_t)get(data + 20, 4),
		.balls = (uint32_t)get(data + 24, 4),
		.blocks = (uint32_t)get(data + 28, 4),
		.loose = (uint32_t)get(data + 32, 4),
		.has_basis = get(data + 36, 4) != 0,
		.first = (uint32_t)get(data + 48, 4),
	};
	if (!shape_fits(&shape, rows, dim)) {
		return error_set(err, STATUS_CORRUPT,
			"index: made for %" PRIu32 " rows of %" PRIu32 ", there are %" PRIu32
			" of %" PRIu32 ", or its header is damaged",
			shape.rows, shape.dim, rows, dim);
	}
	struct balls_layout layout;
	balls_layout(&shape, &layout);
	if (layout.bytes != len || get(data + 40, 8) != len) {
		return error_set(err, STATUS_CORRUPT, "index: %zu bytes, %" PRIu64 " expected", len,
			layout.bytes);
	}
	struct balls view;
	fill(data, &shape, &layout, &view);
	if (!are_in_order(view.first_blocks, view.balls, view.blocks)) {
		return error_set(err, STATUS_CORRUPT, "index: the blocks of its balls are damaged");
	}
	*out = view;
	return STATUS_OK;
}

bool balls_are_alike(const struct balls *a, const struct balls *b)
{
	return a->balls == b->balls && a->dim == b->dim && a->prefix == b->prefix &&
	       a->first == b->first;
}

void balls_members(const struct balls *balls, uint32_t *ball_of)
{
	for (uint32_t row = 0; row < balls->rows; row++) {
		ball_of[row] = UINT32_MAX;
	}
	for (uint32_t ball = 0; ball < balls->balls; ball++) {
		for (uint32_t block = balls->first_blocks[ball];
			block < balls->first_blocks[ball + 1]; block++) {
			const uint32_t *rows =
				balls_block_rows(balls->block_data + block * balls->block_bytes,
					balls->prefix);
			for (size_t lane = 0; lane < BALLS_BLOCK_ROWS; lane++) {
				if (rows[lane] < balls->rows) {
					ball_of[rows[lane]] = ball;
				}
			}
		}
	}
}
