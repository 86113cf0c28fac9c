/* merged.c - two sorted lists of rows, walked as one. */
#include "daemon/store/read/merged.h"

#include <assert.h>
#include <string.h>

/* The hash of the segment's next row. */
static uint64_t hash_of(struct merged_walk *walk)
{
	const struct segment *view = walk->view;
	if (view->keys == NULL) {
		return siphash(&view->seed, walk->next.key, walk->next.key_len);
	}
	const uint32_t at = walk->row - walk->ahead_first;
	if (at < walk->ahead_count) {
		return walk->ahead[at];
	}
	const struct keys keys = {
		.type = KEY_U64,
		.count = view->rows,
		.packed = (const uint8_t *)view->keys,
	};
	const uint32_t left = view->rows - walk->row;
	walk->ahead_first = walk->row;
	walk->ahead_count = left < MERGED_AHEAD ? left : MERGED_AHEAD;
	keys_hash(&keys, &view->seed, walk->row, walk->ahead_count, walk->ahead);
	return walk->ahead[0];
}

/* Reads key and hash of the segment's next row. */
static enum status look_ahead(struct merged_walk *walk)
{
	const struct segment *view = walk->view;
	if (walk->hashed || view == NULL || walk->row >= view->rows) {
		return STATUS_OK;
	}
	if (!segment_key(view, walk->row, &walk->next.key, &walk->next.key_len)) {
		return STATUS_CORRUPT;
	}
	walk->hash = hash_of(walk);
	walk->hashed = true;
	return STATUS_OK;
}

/* Which comes first: below 0 the segment's row, above 0 the memtable's, 0: they have one key. */
static int compare(const struct merged_walk *walk, bool has_base)
{
	if (!has_base || walk->at == walk->count) {
		return has_base ? -1 : 1;
	}
	assert(walk->hashed);
	const struct memtable_entry *entry = walk->news[walk->at].entry;
	if (walk->hash != entry->hash) {
		return walk->hash < entry->hash ? -1 : 1;
	}
	const size_t len =
		walk->next.key_len < entry->key_len ? walk->next.key_len : entry->key_len;
	const int order = memcmp(walk->next.key, entry->key, len);
	return order != 0 ? order
			  : (walk->next.key_len > entry->key_len) -
				    (walk->next.key_len < entry->key_len);
}

enum status merged_next(struct merged_walk *walk, struct merged_row *out, bool *more)
{
	assert(walk->at <= walk->count);
	const enum status status = look_ahead(walk);
	const bool has_base = walk->view != NULL && walk->row < walk->view->rows;
	*more = has_base || walk->at < walk->count;
	if (status != STATUS_OK || !*more) {
		return status;
	}
	const int order = compare(walk, has_base);
	*out = (struct merged_row){0};
	if (order < 0) {
		out->hash = walk->hash;
		out->view = walk->view;
		out->row = walk->row;
		out->key = walk->next.key;
		out->key_len = walk->next.key_len;
	} else {
		const struct memtable_row *row = &walk->news[walk->at++];
		out->hash = row->entry->hash;
		out->version = row->version;
		out->key = row->entry->key;
		out->key_len = row->entry->key_len;
	}
	if (order <= 0) {
		walk->row++;
		walk->hashed = false;
	}
	return STATUS_OK;
}

void merged_get(const struct merged_row *row, const struct table_spec *spec, struct frame_row *out)
{
	const struct row_version *version = row->version;
	*out = (struct frame_row){.key = row->key, .key_len = row->key_len};
	assert((version == NULL) != (row->view == NULL)); /* it is of one of the two */
	if (version != NULL) {
		assert(!version->deleted);
		out->time_ms = version->time_ms;
		out->tags = version->tags;
		out->scale = version->scale;
		out->data = version->row;
		out->low = row_version_low(version, spec);
		return;
	}
	const struct segment *view = row->view;
	out->time_ms = view->times[row->row];
	out->tags = view->tags == NULL ? 0 : view->tags[row->row];
	out->scale = view->scales == NULL ? 0 : view->scales[row->row];
	out->data = view->row_data + (size_t)row->row * view->row_bytes;
	out->low = segment_low(view, row->row);
}
