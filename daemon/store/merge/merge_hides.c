/* merge_hides.c - looks the keys of a new delta up in the levels below. */
#include "daemon/store/merge/merge_hides.h"

#include "daemon/store/read/merged.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/system/mapfault.h"

#include <string.h>

/* Keys of a block, as a request would send them. */
struct block {
	uint8_t packed[FIND_BLOCK * (1 + LIMIT_KEY_BYTES)];
	uint32_t at[FIND_BLOCK];
	struct keys keys;
};

static void pack(struct block *block, enum key_type type, const struct merged_row *rows,
	uint32_t count)
{
	uint32_t end = 0;
	for (uint32_t i = 0; i < count; i++) {
		block->at[i] = end;
		if (type == KEY_BYTES) {
			block->packed[end++] = (uint8_t)rows[i].key_len;
		}
		memcpy(block->packed + end, rows[i].key, rows[i].key_len);
		end += (uint32_t)rows[i].key_len;
	}
	block->keys = (struct keys){
		.type = type,
		.count = count,
		.packed = block->packed,
		.at = type == KEY_BYTES ? block->at : NULL,
	};
}

bool merge_count_hidden(const struct table *table, size_t below, const struct merged_row *rows,
	const uint64_t *hashes, size_t count, uint64_t *hidden)
{
	struct block block;
	struct found_row found[FIND_BLOCK];
	const unsigned faults = mapfault_count();
	*hidden = 0;
	for (size_t first = 0; first < count; first += FIND_BLOCK) {
		const size_t left = count - first;
		const uint32_t n = left < FIND_BLOCK ? (uint32_t)left : FIND_BLOCK;
		pack(&block, table->spec.key_type, rows + first, n);
		const struct find find = {.keys = &block.keys, .hashes = hashes + first};
		if (table_find_below(table, below, &find, 0, n, found) != STATUS_OK) {
			return false;
		}
		for (uint32_t i = 0; i < n; i++) {
			if (found[i].segment != NULL && found[i].row == (uint32_t)FIND_CORRUPT) {
				return false;
			}
			*hidden += found[i].segment != NULL && !found_is_deleted(&found[i]);
		}
	}
	return mapfault_count() == faults; /* else some of it was read as zeros */
}
