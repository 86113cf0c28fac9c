/* scan.c - a walk through a table in the order of (hash, key), one reply at a time. */
#include "daemon/store/age.h"
#include "daemon/store/base.h"
#include "daemon/store/lookup.h"
#include "daemon/store/mapfault.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Rows passed in one step, when nearly all of them have expired. */
enum { PASSED_ROWS_MAX = 1 << 20 };

struct row_ref {
	const struct segment *view;
	uint32_t row;
};

struct walk {
	struct scan *scan;
	struct row_ref *refs; /* owned */
	size_t capacity;
	size_t count;
	uint64_t passed;
	uint64_t bytes;
	uint64_t last_hash;
	bool full; /* the limit is reached: only rows of last_hash may follow */
};

/* The key of a row; false when the segment's offsets are damaged. */
static bool row_key(const struct segment *view, uint32_t row, const uint8_t **key, size_t *len)
{
	if (view->keys != NULL) {
		*key = (const uint8_t *)&view->keys[row];
		*len = 8;
		return true;
	}
	const uint32_t from = view->key_offsets[row];
	const uint32_t to = view->key_offsets[row + 1];
	*key = view->key_blob + from;
	*len = to - from;
	return from < to && to <= view->blob_bytes && to - from <= LIMIT_KEY_BYTES;
}

static enum status add_ref(struct walk *walk, const struct segment *view, uint32_t row)
{
	if (walk->count == walk->capacity) {
		const size_t capacity = walk->capacity * 2 + 1024;
		struct row_ref *grown = realloc(walk->refs, capacity * sizeof *grown);
		if (grown == NULL) {
			return STATUS_NO_MEMORY;
		}
		walk->refs = grown;
		walk->capacity = capacity;
	}
	walk->refs[walk->count++] = (struct row_ref){.view = view, .row = row};
	return STATUS_OK;
}

/* The first row that can have a hash of at least `cursor`: slots stand in the order of hashes,
 * and no key stands before its home. */
static uint32_t first_row(const struct segment *view, uint64_t cursor)
{
	if (cursor <= view->prefix) {
		return 0;
	}
	for (uint32_t slot = segment_home(view, cursor); slot < view->slot_count; slot++) {
		if (view->slots[slot].row_plus_one != 0) {
			return view->slots[slot].row_plus_one - 1;
		}
	}
	return view->rows;
}

/* Walks one segment from the cursor; walk->full tells that the reply is full. */
static enum status walk_segment(struct walk *walk, const struct segment *view, uint64_t cursor)
{
	struct scan *scan = walk->scan;
	const size_t stride =
		dtype_row_bytes(scan->dtype, scan->table->spec.dim, scan->table->spec.views);
	for (uint32_t row = first_row(view, cursor); row < view->rows; row++) {
		const uint8_t *key;
		size_t len;
		if (!row_key(view, row, &key, &len)) {
			return STATUS_CORRUPT;
		}
		uint64_t id = 0;
		memcpy(&id, key, len < 8 ? len : 8);
		const uint64_t hash =
			view->keys != NULL ? key_hash_u64(id) : key_hash_bytes(key, len);
		if (hash < cursor) {
			continue;
		}
		if (walk->full && hash != walk->last_hash) {
			return STATUS_OK;
		}
		walk->last_hash = hash;
		walk->passed++;
		if (!age_is_over(view->times[row], scan->now_ms, scan->table->spec.ttl_ms)) {
			const enum status status = add_ref(walk, view, row);
			if (status != STATUS_OK) {
				return status;
			}
			walk->bytes += stride + len + 1 + 24;
		}
		walk->full = walk->count >= scan->limit || walk->bytes >= scan->bytes_max ||
			     walk->passed >= PASSED_ROWS_MAX;
	}
	return STATUS_OK;
}

static enum status walk_table(struct walk *walk)
{
	struct scan *scan = walk->scan;
	struct base_set *set = scan->table->bases;
	uint64_t cursor = scan->cursor;
	scan->more = false;
	while (set != NULL) {
		const uint32_t number = base_set_find(set, cursor);
		const struct base_segment_info *info = set->segments[number].info;
		if (base_segment_wait(set, number) != BASE_READY) {
			return STATUS_CORRUPT;
		}
		const enum status status = walk_segment(walk, &set->segments[number].view, cursor);
		if (status != STATUS_OK) {
			return status;
		}
		const uint64_t end =
			info->prefix_bits == 0
				? 0
				: info->prefix + (UINT64_C(1) << (64 - info->prefix_bits));
		if (walk->full) {
			scan->cursor = walk->last_hash + 1;
			scan->more = scan->cursor != 0;
			return STATUS_OK;
		}
		if (end == 0) {
			return STATUS_OK;
		}
		cursor = end;
	}
	return STATUS_OK;
}

/* ---- the reply ---- */

static enum status reserve(struct walk *walk, size_t stride)
{
	struct scan *scan = walk->scan;
	const size_t count = walk->count;
	const bool byte_keys = scan->table->spec.key_type == KEY_BYTES;
	scan->keys = malloc(count * (byte_keys ? LIMIT_KEY_BYTES + 1 : 8) + 1);
	scan->rows = malloc(count * stride + 1);
	scan->times = malloc(count * 8 + 1);
	scan->scales = scan->dtype == DTYPE_I8 ? malloc(count * 4 + 1) : NULL;
	scan->tags = scan->table->spec.tags ? malloc(count * 8 + 1) : NULL;
	return scan->keys == NULL || scan->rows == NULL || scan->times == NULL ||
			       (scan->dtype == DTYPE_I8 && scan->scales == NULL) ||
			       (scan->table->spec.tags && scan->tags == NULL)
		       ? STATUS_NO_MEMORY
		       : STATUS_OK;
}

static void put_row(struct scan *scan, const struct row_ref *ref, size_t stride, uint32_t i)
{
	const struct segment *view = ref->view;
	const struct table_spec *spec = &scan->table->spec;
	const uint8_t *key = NULL;
	size_t len = 0;
	(void)row_key(view, ref->row, &key, &len);
	if (view->keys == NULL) {
		scan->keys[scan->keys_len++] = (uint8_t)len;
	}
	memcpy(scan->keys + scan->keys_len, key, len);
	scan->keys_len += len;
	const struct dtype_rows from = {
		.dtype = spec->dtype,
		.rows = (void *)(view->row_data + (size_t)ref->row * view->row_bytes),
		.scales = view->scales == NULL ? NULL : (void *)&view->scales[ref->row],
	};
	const struct dtype_rows to = {
		.dtype = scan->dtype,
		.rows = scan->rows + i * stride,
		.scales = scan->scales == NULL ? NULL : scan->scales + (size_t)i * 4,
	};
	dtype_convert(&to, &from, 1, spec->dim, spec->views);
	memcpy(scan->times + (size_t)i * 8, &view->times[ref->row], 8);
	if (scan->tags != NULL) {
		memcpy(scan->tags + (size_t)i * 8, &view->tags[ref->row], 8);
	}
}

static enum status scan_once(struct scan *scan)
{
	struct walk walk = {.scan = scan};
	const size_t stride =
		dtype_row_bytes(scan->dtype, scan->table->spec.dim, scan->table->spec.views);
	scan->keys_len = 0;
	enum status status = walk_table(&walk);
	if (status == STATUS_OK) {
		status = reserve(&walk, stride);
	}
	for (size_t i = 0; status == STATUS_OK && i < walk.count; i++) {
		put_row(scan, &walk.refs[i], stride, (uint32_t)i);
	}
	scan->count = (uint32_t)walk.count;
	free(walk.refs);
	return status;
}

enum status table_scan(struct scan *scan, struct error *err)
{
	const uint64_t cursor = scan->cursor;
	enum status status = STATUS_OK;
	unsigned faults;
	do {
		/* As in table_lookup: after a fault somewhere, the second time tells where. */
		scan_fini(scan);
		scan->cursor = cursor;
		faults = mapfault_count();
		status = scan_once(scan);
	} while (status == STATUS_OK && mapfault_count() != faults);
	if (status != STATUS_OK) {
		scan_fini(scan);
		scan->cursor = cursor;
		return error_set(err, status, "table '%s': scan at %016" PRIx64 ": %s",
			scan->table->spec.name.text, scan->cursor,
			status == STATUS_CORRUPT ? "a damaged segment" : status_name(status));
	}
	return STATUS_OK;
}

void scan_fini(struct scan *scan)
{
	free(scan->keys);
	free(scan->rows);
	free(scan->scales);
	free(scan->times);
	free(scan->tags);
	scan->keys = NULL;
	scan->rows = NULL;
	scan->scales = NULL;
	scan->times = NULL;
	scan->tags = NULL;
	scan->count = 0;
}
