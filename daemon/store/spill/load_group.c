/* load_group.c - the rows of a bulk load that wait for their sync, and their sorting. */
#include "daemon/store/row/order.h"
#include "daemon/store/row/stored.h"
#include "daemon/store/spill/load_chunk.h"
#include "daemon/store/spill/spilled.h"
#include "daemon/store/system/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Grows one column to `count` elements. False: no memory, and it is as it was. */
static bool grow(void *column, uint64_t count, size_t element_bytes)
{
	void **at = column;
	void *grown = realloc(*at, count * element_bytes + 1);
	if (grown != NULL) {
		*at = grown;
	}
	return grown != NULL;
}

static bool reserve_rows(struct load_group *group, const struct table_spec *spec, uint64_t more)
{
	const uint64_t needed = group->rows + more;
	/* The first chunk gets its columns even if it has no rows, so that none is NULL. */
	if (needed <= group->capacity && group->hashes != NULL) {
		return true;
	}
	const uint64_t capacity = needed > group->capacity * 2 ? needed : group->capacity * 2;
	const bool grown = grow(&group->hashes, capacity, 8) &&
			   (spec->key_type == KEY_U64 ? grow(&group->keys, capacity, 8)
						      : grow(&group->ends, capacity, 4)) &&
			   grow(&group->row_data, capacity, spec_stored_bytes(spec)) &&
			   (spec->dtype != DTYPE_I8 || grow(&group->scales, capacity, 4)) &&
			   grow(&group->times, capacity, 8) &&
			   (!spec->tags || grow(&group->tags, capacity, 8));
	if (grown) {
		group->capacity = capacity;
	}
	return grown;
}

static bool reserve_blob(struct load_group *group, uint64_t more)
{
	const uint64_t needed = group->blob_bytes + more;
	if (needed <= group->blob_capacity) {
		return true;
	}
	const uint64_t capacity =
		needed > group->blob_capacity * 2 ? needed : group->blob_capacity * 2;
	if (!grow(&group->blob, capacity, 1)) {
		return false;
	}
	group->blob_capacity = capacity;
	return true;
}

/* Makes room for one more chunk. */
static bool reserve_chunk(struct load_group *group)
{
	const uint64_t capacity = group->content_capacity * 2 + 16;
	if (group->chunks < group->content_capacity) {
		return true;
	}
	if (!grow(&group->contents, capacity, sizeof *group->contents)) {
		return false;
	}
	group->content_capacity = capacity;
	return true;
}

static bool add_keys(struct load_group *group, const struct keys *keys)
{
	if (keys->type == KEY_U64) {
		memcpy(group->keys + group->rows, keys->packed, (size_t)keys->count * 8);
		return true;
	}
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < keys->count; i++) {
		bytes += keys->packed[keys->at[i]];
	}
	if (group->blob_bytes + bytes > UINT32_MAX || !reserve_blob(group, bytes)) {
		return false;
	}
	uint64_t end = group->blob_bytes;
	for (uint32_t i = 0; i < keys->count; i++) {
		size_t len;
		const uint8_t *key = keys_bytes(keys, i, &len);
		memcpy(group->blob + end, key, len);
		end += len;
		group->ends[group->rows + i] = (uint32_t)end;
	}
	assert(end == group->blob_bytes + bytes);
	assert(end <= group->blob_capacity);
	group->blob_bytes = end;
	return true;
}

enum status load_group_add(struct load_group *group, const struct base_owner *owner,
	const struct load_chunk *chunk, int64_t default_time_ms)
{
	const struct table_spec *spec = &owner->spec;
	const uint32_t count = chunk->batch.keys.count;
	if (!reserve_chunk(group)) {
		return STATUS_NO_MEMORY;
	}
	group->contents[group->chunks] = chunk_content_of(&chunk->batch);
	if (count == 0) {
		group->chunks++; /* its columns may be NULL, which memcpy must not see */
		return STATUS_OK;
	}
	if (!reserve_rows(group, spec, count) || !add_keys(group, &chunk->batch.keys)) {
		return STATUS_NO_MEMORY;
	}
	const uint64_t first = group->rows;
	assert(first + count <= group->capacity);
	assert((spec->key_type == KEY_U64) == (group->ends == NULL));
	keys_hash(&chunk->batch.keys, &owner->seed, 0, count, group->hashes + first);
	stored_take(spec, &chunk->batch, group->row_data + first * spec_stored_bytes(spec),
		spec->dtype == DTYPE_I8 ? group->scales + first : NULL);
	if (chunk->batch.times != NULL) {
		memcpy(group->times + first, chunk->batch.times, (size_t)count * 8);
	}
	for (uint32_t i = 0; chunk->batch.times == NULL && i < count; i++) {
		group->times[first + i] = batch_time(&chunk->batch, i, default_time_ms);
	}
	if (spec->tags && chunk->batch.tags != NULL) {
		memcpy(group->tags + first, chunk->batch.tags, (size_t)count * 8);
	} else if (spec->tags) {
		memset(group->tags + first, 0, (size_t)count * 8);
	}
	group->rows += count;
	group->chunks++;
	return STATUS_OK;
}

uint64_t load_group_bytes(const struct load_group *group, const struct table_spec *spec)
{
	/* Hash, key, time, tags and scale of a row; some tables have fewer of them. */
	enum { OTHER_COLUMNS_BYTES = 8 + 8 + 8 + 8 + 4 };
	return group->rows * (spec_stored_bytes(spec) + OTHER_COLUMNS_BYTES) + group->blob_bytes +
	       group->chunks * CHUNK_CONTENT_BYTES;
}

/* ---- sorting ---- */

static void put_keys(const struct load_group *group, const struct order_entry *order,
	const struct spill_layout *layout, uint8_t *body)
{
	if (group->ends == NULL) {
		uint64_t *keys = (void *)(body + layout->keys);
		for (uint64_t i = 0; i < group->rows; i++) {
			keys[i] = group->keys[order[i].row];
		}
		return;
	}
	uint32_t *ends = (void *)(body + layout->keys);
	uint8_t *blob = body + layout->blob;
	uint32_t end = 0;
	for (uint64_t i = 0; i < group->rows; i++) {
		const uint32_t row = order[i].row;
		const uint32_t from = row == 0 ? 0 : group->ends[row - 1];
		const uint32_t len = group->ends[row] - from;
		memcpy(blob + end, group->blob + from, len);
		end += len;
		ends[i] = end;
	}
	assert(end == group->blob_bytes);
}

static void put_columns(const struct load_group *group, const struct order_entry *order,
	const struct spill_layout *layout, size_t row_bytes, uint8_t *body)
{
	uint64_t *hashes = (void *)(body + layout->hashes);
	int64_t *times = (void *)(body + layout->times);
	float *scales = (void *)(body + layout->scales);
	uint64_t *tags = (void *)(body + layout->tags);
	uint8_t *rows = body + layout->rows;
	for (uint64_t i = 0; i < group->rows; i++) {
		const uint32_t row = order[i].row;
		hashes[i] = order[i].hash;
		times[i] = group->times[row];
		if (group->scales != NULL) {
			scales[i] = group->scales[row];
		}
		if (group->tags != NULL) {
			tags[i] = group->tags[row];
		}
		if (i + 8 < group->rows) {
			__builtin_prefetch(group->row_data + order[i + 8].row * row_bytes);
		}
		memcpy(rows + i * row_bytes, group->row_data + row * row_bytes, row_bytes);
	}
}

/* Zeroes the gaps between the columns, since they are written and checksummed too. */
static void clear_gaps(const struct spill_layout *layout, const struct table_spec *spec,
	const struct load_group *group, uint8_t *body)
{
	const uint64_t rows = group->rows;
	const struct {
		uint64_t end;
		uint64_t next;
	} gaps[] = {
		{layout->hashes + rows * 8, layout->keys},
		{layout->keys + rows * (spec->key_type == KEY_U64 ? 8 : 4), layout->blob},
		{layout->blob + group->blob_bytes, layout->rows},
		{layout->rows + rows * spec_stored_bytes(spec), layout->scales},
		{layout->scales + (spec->dtype == DTYPE_I8 ? rows * 4 : 0), layout->times},
		{layout->times + rows * 8, layout->tags},
		{layout->tags + (spec->tags ? rows * 8 : 0), layout->contents},
		{layout->contents + group->chunks * CHUNK_CONTENT_BYTES, layout->bytes},
	};
	for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
		assert(gaps[i].end <= gaps[i].next); /* columns do not overlap */
		memset(body + gaps[i].end, 0, gaps[i].next - gaps[i].end);
	}
}

static void put_contents(const struct load_group *group, uint8_t *to)
{
	for (uint64_t i = 0; i < group->chunks; i++, to += CHUNK_CONTENT_BYTES) {
		bytes_put_u64(to, group->contents[i].low);
		bytes_put_u64(to + 8, group->contents[i].high);
	}
}

static bool reserve_body(struct load_body *body, uint64_t bytes)
{
	if (bytes <= body->capacity) {
		return true;
	}
	load_body_fini(body);
	body->data = malloc(bytes);
	body->capacity = body->data == NULL ? 0 : bytes;
	return body->data != NULL;
}

void load_body_fini(struct load_body *body)
{
	free(body->data);
	*body = (struct load_body){0};
}

enum status load_group_body(const struct load_group *group, const struct table_spec *spec,
	struct load_body *body)
{
	struct spill_layout layout;
	const struct spill_run run = {
		.rows = group->rows,
		.blob_bytes = group->blob_bytes,
		.chunk_count = group->chunks,
	};
	spill_layout(&layout, spec, &run);
	struct order_entry *order = malloc(group->rows * 2 * sizeof *order + 1);
	if (order == NULL || !reserve_body(body, layout.bytes + 1)) {
		free(order);
		return STATUS_NO_MEMORY;
	}
	assert(layout.bytes <= body->capacity);
	assert(group->rows <= group->capacity);
	for (uint64_t i = 0; i < group->rows; i++) {
		order[i] = (struct order_entry){.hash = group->hashes[i], .row = (uint32_t)i};
	}
	order_by_hash(order, order + group->rows, group->rows);
	clear_gaps(&layout, spec, group, body->data);
	put_keys(group, order, &layout, body->data);
	put_columns(group, order, &layout, spec_stored_bytes(spec), body->data);
	put_contents(group, body->data + layout.contents);
	free(order);
	return STATUS_OK;
}

void load_group_clear(struct load_group *group)
{
	group->rows = 0;
	group->chunks = 0;
	group->blob_bytes = 0;
}

void load_group_fini(struct load_group *group)
{
	free(group->hashes);
	free(group->keys);
	free(group->ends);
	free(group->blob);
	free(group->row_data);
	free(group->scales);
	free(group->times);
	free(group->tags);
	free(group->contents);
	*group = (struct load_group){0};
}
