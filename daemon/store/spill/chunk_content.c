/* chunk_content.c - hashes the columns of a chunk, and then their hashes. */
#include "daemon/store/spill/chunk_content.h"

#include <stddef.h>
#include <xxhash.h>

struct chunk_content chunk_content_of(const struct row_batch *batch)
{
	const size_t count = batch->keys.count;
	size_t key_bytes;
	const uint8_t *keys = keys_piece(&batch->keys, &key_bytes);
	const struct {
		const uint8_t *data;
		size_t bytes;
	} columns[] = {
		{keys, key_bytes},
		{batch->rows, batch->rows_bytes},
		{batch->scales, count * 4},
		{batch->times, count * 8},
		{batch->tags, count * 8},
		{batch->weights, count * 8},
	};
	enum { COLUMNS = sizeof columns / sizeof *columns };
	/* A column that was not given is not one of zeros. */
	struct {
		uint64_t dtype;
		uint64_t count;
		XXH128_hash_t columns[COLUMNS];
	} all = {.dtype = batch->dtype, .count = count};
	for (size_t i = 0; i < COLUMNS; i++) {
		if (columns[i].data != NULL && count > 0) {
			all.columns[i] = XXH3_128bits(columns[i].data, columns[i].bytes);
		}
	}
	XXH128_hash_t hash = XXH3_128bits(&all, sizeof all);
	if (batch->history != 0 && count > 0) {
		/* Only then: what a spill file of an older daemon has of other chunks stays right. */
		const XXH128_hash_t parts[] = {hash, XXH3_128bits(batch->history_counts, count * 4),
			XXH3_128bits(batch->history_times, count * batch->history * 8)};
		hash = XXH3_128bits(parts, sizeof parts);
	}
	return (struct chunk_content){.low = hash.low64, .high = hash.high64};
}
