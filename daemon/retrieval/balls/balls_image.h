/* balls_image.h - the layout of the image of a granular-ball index.
 *
 * An image is one piece of memory, little-endian, aligned to 64: a header, then columns. Each
 * column is aligned to 64 and read in place.
 *
 *   offset  size  header
 *        0     8  magic "repballs"
 *        8     4  version, 2
 *       12     4  dim
 *       16     4  rows
 *       20     4  prefix
 *       24     4  balls
 *       28     4  blocks
 *       32     4  loose rows
 *       36     4  1: there is a basis; 0: there is none
 *       40     8  bytes of the whole image
 *       48     4  first dims of the prefix
 *       52     4  queries of the calibration; 0: it took rows
 *       56    72  zero
 *
 * A block is contiguous:
 *        0    64  f32: the scale of the codes; their error, the largest |z - scale code| of a row z; the
 *                 largest length of a row beyond the prefix; the largest |x|; the largest |r|; the
 *                 largest length beyond the first dims; zeros
 *       64    64  f32[16]: p of each row
 *      128  16 n  codes of r in the n dims of the prefix: u8[n / 4][16][4], 128 is zero
 *          64    f32[16]: |r|
 *          64    u32[16]: row numbers; UINT32_MAX where there is none
 */
#ifndef DAEMON_RETRIEVAL_BALLS_BALLS_IMAGE_H
#define DAEMON_RETRIEVAL_BALLS_BALLS_IMAGE_H

#include "daemon/retrieval/balls/balls.h"

enum {
	BALLS_VERSION = 2,
	BALLS_HEADER_BYTES = 128,
	BALLS_CODE_ZERO = 128,
	BALLS_QUERIES_OFFSET = 52,
};

/* Floats of a block's head. */
enum {
	BALLS_HEAD_SCALE,
	BALLS_HEAD_CODE_ERROR,
	BALLS_HEAD_REST,
	BALLS_HEAD_NORM,
	BALLS_HEAD_OFF,
	BALLS_HEAD_FIRST_REST,
};

enum balls_column {
	BALLS_RECALLS,
	BALLS_BASIS,
	BALLS_AXES,
	BALLS_AXIS_CODES, /* of 16 axes each: u8[(dim + 3) / 4][16][4], 128 is zero */
	BALLS_AXIS_HEADS, /* of 16 axes each: f32 scale, f32 error of the codes */
	BALLS_PREFIX_AXES,
	BALLS_FIRST_BLOCKS,
	BALLS_OF_BALLS,  /* six columns of f32, one behind the other, as in struct balls_ranges */
	BALLS_OF_BLOCKS, /* likewise */
	BALLS_BLOCKS,
	BALLS_LOOSE,
	BALLS_COLUMNS
};

struct balls_shape {
	uint32_t rows;
	uint32_t dim;
	uint32_t prefix;
	uint32_t first;
	uint32_t balls;
	uint32_t blocks;
	uint32_t loose;
	bool has_basis;
};

struct balls_layout {
	uint64_t offsets[BALLS_COLUMNS];
	uint64_t range_bytes_of_balls; /* of one of its six columns, as the next */
	uint64_t range_bytes_of_blocks;
	uint64_t bytes;
};

void balls_layout(const struct balls_shape *shape, struct balls_layout *out);
void balls_write_header(const struct balls_shape *shape, uint8_t *space);
/* Says in a header how many queries the calibration was given. */
void balls_write_queries(uint32_t queries, uint8_t *space);

/* Length of a row of prefix_axes. */
static inline uint32_t balls_whole_lanes(uint32_t prefix)
{
	return (prefix + 15) / 16 * 16;
}

static inline size_t balls_block_bytes(uint32_t prefix)
{
	return (4 + prefix / 4) * (size_t)64;
}

/* The parts of a block. */
static inline const float *balls_block_head(const uint8_t *block)
{
	return (const float *)(const void *)block;
}

static inline const float *balls_block_along(const uint8_t *block)
{
	return (const float *)(const void *)(block + 64);
}

static inline const uint8_t *balls_block_codes(const uint8_t *block)
{
	return block + 128;
}

static inline const float *balls_block_off(const uint8_t *block, uint32_t prefix)
{
	return (const float *)(const void *)(block + 128 + (size_t)prefix * BALLS_BLOCK_ROWS);
}

static inline const uint32_t *balls_block_rows(const uint8_t *block, uint32_t prefix)
{
	return (const uint32_t *)(const void *)(block + 192 + (size_t)prefix * BALLS_BLOCK_ROWS);
}

#endif
