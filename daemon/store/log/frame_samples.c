/* frame_samples.c - samples of a frame, encoded and decoded column by column. */
#include "daemon/store/log/frame_samples.h"

#include "daemon/store/system/bytes.h"

#include <assert.h>
#include <string.h>

/* Within the part, behind its head. */
enum {
	AT_USERS = 0,
	AT_ITEMS = 1,
	AT_TABLES = 2,
	AT_ELEMENTS = 4,
	AT_USER_BYTES = 8,
	AT_ITEM_BYTES = 16,
	AT_ZERO = 24,
};

static uint64_t padded(uint64_t bytes)
{
	return (bytes + FRAME_ALIGN - 1) & ~(uint64_t)(FRAME_ALIGN - 1);
}

static uint64_t rows_bytes(const struct frame_samples *samples)
{
	return (uint64_t)samples->count * samples->elements * sizeof(float);
}

/* The bytes behind the part's own head. */
static uint64_t body_bytes(const struct frame_samples *samples)
{
	return FRAME_SAMPLES_HEAD_BYTES + (uint64_t)samples->table_count * 8 +
	       padded(samples->user_bytes) + padded(samples->item_bytes) +
	       (uint64_t)samples->count * 8 + padded(rows_bytes(samples));
}

size_t frame_samples_bytes(const struct frame_samples *samples)
{
	return FRAME_PART_BYTES + (size_t)body_bytes(samples);
}

static uint8_t *put_column(uint8_t *at, const void *data, size_t bytes)
{
	if (bytes > 0) {
		memcpy(at, data, bytes);
	}
	memset(at + bytes, 0, padded(bytes) - bytes);
	return at + padded(bytes);
}

uint8_t *frame_put_samples(uint8_t *at, const struct frame_samples *samples)
{
	const struct frame_part part = {.kind = FRAME_SAMPLES, .rows = samples->count};
	uint8_t *head = at + FRAME_PART_BYTES;
	assert(samples->count > 0);
	assert(samples->table_count > 0);
	assert(samples->table_count <= LIMIT_PARTS);
	memset(head, 0, FRAME_SAMPLES_HEAD_BYTES);
	head[AT_USERS] = (uint8_t)samples->users.type;
	head[AT_ITEMS] = (uint8_t)samples->items.type;
	bytes_put_u16(head + AT_TABLES, (uint16_t)samples->table_count);
	bytes_put_u32(head + AT_ELEMENTS, samples->elements);
	bytes_put_u64(head + AT_USER_BYTES, samples->user_bytes);
	bytes_put_u64(head + AT_ITEM_BYTES, samples->item_bytes);
	uint8_t *end = head + FRAME_SAMPLES_HEAD_BYTES;
	end = put_column(end, samples->tables, (size_t)samples->table_count * 8);
	end = put_column(end, samples->users.packed, samples->user_bytes);
	end = put_column(end, samples->items.packed, samples->item_bytes);
	end = put_column(end, samples->times, (size_t)samples->count * 8);
	end = put_column(end, samples->rows, (size_t)rows_bytes(samples));
	end = frame_end_part(at, end, &part);
	assert((size_t)(end - at) == frame_samples_bytes(samples));
	return end;
}

static const uint8_t *take(const uint8_t **at, size_t bytes)
{
	const uint8_t *column = *at;
	*at += padded(bytes);
	return column;
}

/* Whether packed keys are `count` keys of a type, or none of KEY_NONE. */
static bool are_keys(struct keys *keys, uint8_t type, const uint8_t *packed, size_t bytes,
	uint32_t count)
{
	uint32_t counted;
	*keys = (struct keys){.type = (enum key_type)type, .count = count, .packed = packed};
	if (type == KEY_NONE) {
		keys->count = 0;
		return bytes == 0;
	}
	return (type == KEY_U64 || type == KEY_BYTES) &&
	       keys_count(keys->type, packed, bytes, &counted, NULL) == STATUS_OK &&
	       counted == count;
}

enum status frame_read_samples(const struct frame_part *part, struct frame_samples *out)
{
	const uint8_t *head = part->data;
	if (part->bytes < FRAME_SAMPLES_HEAD_BYTES || part->rows == 0 ||
		bytes_get_u64(head + AT_ZERO) != 0) {
		return STATUS_CORRUPT;
	}
	struct frame_samples samples = {
		.count = part->rows,
		.elements = bytes_get_u32(head + AT_ELEMENTS),
		.user_bytes = (size_t)bytes_get_u64(head + AT_USER_BYTES),
		.item_bytes = (size_t)bytes_get_u64(head + AT_ITEM_BYTES),
		.table_count = bytes_get_u16(head + AT_TABLES),
	};
	/* Each is within the part, so that their sum does not overflow. */
	if (samples.user_bytes > part->bytes || samples.item_bytes > part->bytes ||
		samples.elements > LIMIT_ROW_BYTES / sizeof(float) ||
		body_bytes(&samples) != part->bytes || samples.table_count == 0) {
		return STATUS_CORRUPT;
	}
	const uint8_t *at = head + FRAME_SAMPLES_HEAD_BYTES;
	samples.tables = take(&at, (size_t)samples.table_count * 8);
	const uint8_t *users = take(&at, samples.user_bytes);
	const uint8_t *items = take(&at, samples.item_bytes);
	samples.times = take(&at, (size_t)samples.count * 8);
	samples.rows = (const float *)(const void *)take(&at, (size_t)rows_bytes(&samples));
	if (!are_keys(&samples.users, head[AT_USERS], users, samples.user_bytes, samples.count) ||
		!are_keys(&samples.items, head[AT_ITEMS], items, samples.item_bytes,
			samples.count)) {
		return STATUS_CORRUPT;
	}
	*out = samples;
	return STATUS_OK;
}
