/* segment_seek.c - one key in a segment: by its slots, or by the order of rows where these would not do. */
#include "daemon/store/base/segment.h"

#include <assert.h>
#include <string.h>

struct sought {
	uint64_t hash;
	const uint8_t *key; /* NULL: any of the hash */
	size_t len;
};

/* Below 0: the row stands before what is sought. A row whose key cannot be read is not in order; what
 * is returned then does not matter, but that the search ends. */
static int compare(const struct segment *segment, uint32_t row, const struct sought *sought)
{
	const uint8_t *key;
	size_t len;
	if (!segment_key(segment, row, &key, &len)) {
		return 1;
	}
	const uint64_t hash = siphash(&segment->seed, key, len);
	if (hash != sought->hash) {
		return hash < sought->hash ? -1 : 1;
	}
	if (sought->key == NULL) {
		return 0;
	}
	const int order = memcmp(key, sought->key, len < sought->len ? len : sought->len);
	return order != 0 ? order : (len > sought->len) - (len < sought->len);
}

/* The first row from `from` on that does not stand before what is sought. It looks 1, 2, 4 rows ahead
 * first, since the row is near in most cases. */
static uint32_t lower_bound(const struct segment *segment, uint32_t from,
	const struct sought *sought)
{
	uint32_t low = from;
	uint32_t high = segment->rows;
	for (uint32_t step = 1; low < high; step = step < UINT32_MAX / 2 ? step * 2 : step) {
		const uint32_t ahead = high - low > step ? low + step - 1 : high - 1;
		if (compare(segment, ahead, sought) >= 0) {
			high = ahead;
			break;
		}
		low = ahead + 1;
	}
	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;
		if (compare(segment, middle, sought) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

bool segment_seek(const struct segment *segment, uint32_t from, uint64_t hash, const uint8_t *key,
	size_t len, uint32_t *row)
{
	const struct sought sought = {.hash = hash, .key = key, .len = len};
	const uint32_t at = lower_bound(segment, from, &sought);
	if (at >= segment->rows || compare(segment, at, &sought) != 0) {
		return false;
	}
	*row = at;
	return true;
}

uint32_t segment_first_row(const struct segment *segment, uint64_t hash)
{
	const struct sought sought = {.hash = hash};
	if (hash <= segment->prefix) {
		return 0;
	}
	/* Nearly always a filled slot is near, and then the row is. */
	const uint32_t home = segment_home(segment, hash);
	for (uint32_t slot = home; slot < segment->slot_count && slot - home < SEGMENT_PROBE_SLOTS;
		slot++) {
		const uint32_t row = segment->slots[slot].row_plus_one - 1;
		if (row < segment->rows) {
			return lower_bound(segment, row, &sought);
		}
	}
	return lower_bound(segment, 0, &sought);
}

bool segment_has(const struct segment *segment, uint64_t hash, const uint8_t *key, size_t len)
{
	const uint32_t home = segment_home(segment, hash);
	for (uint32_t slot = home; slot < segment->slot_count && slot - home < SEGMENT_PROBE_SLOTS;
		slot++) {
		const struct segment_slot at = segment->slots[slot];
		const uint8_t *own;
		size_t own_len;
		if (at.row_plus_one == 0) {
			return false;
		}
		if (at.tag == (uint32_t)hash && at.row_plus_one <= segment->rows &&
			segment_key(segment, at.row_plus_one - 1, &own, &own_len) &&
			own_len == len && memcmp(own, key, len) == 0) {
			return true;
		}
	}
	uint32_t row;
	return segment_seek(segment, segment_first_row(segment, hash), hash, key, len, &row);
}
