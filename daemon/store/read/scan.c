/* scan.c - a walk through a table in the order of (hash, key), one reply at a time. */
#include "daemon/aggregate/aggregate.h"
#include "daemon/aggregate/history.h"
#include "daemon/store/base/base.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/read/merged.h"
#include "daemon/store/row/age.h"
#include "daemon/store/row/stored.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/system/mapfault.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A step ends after so many rows, although nearly all of them have expired and are not shown. */
enum { PASSED_ROWS_MAX = 1 << 20 };

/* After so many rows it asks whether to go on. */
enum { STOP_ROWS = 4096 };

struct walk {
	struct scan *scan;
	struct merged_row *refs; /* owned */
	size_t capacity;
	size_t count;
	uint64_t passed;
	uint64_t bytes;
	uint64_t last_hash;
	bool full; /* the limit is reached: only further rows of last_hash may follow */
};

static enum status add_ref(struct walk *walk, const struct merged_row *row)
{
	if (walk->count == walk->capacity) {
		const size_t capacity = walk->capacity * 2 + 1024;
		struct merged_row *grown = realloc(walk->refs, capacity * sizeof *grown);
		if (grown == NULL) {
			return STATUS_NO_MEMORY;
		}
		walk->refs = grown;
		walk->capacity = capacity;
	}
	walk->refs[walk->count++] = *row;
	return STATUS_OK;
}

static bool is_shown(const struct scan *scan, const struct merged_row *row)
{
	return !row->deleted &&
	       !age_is_over(merged_time(row), scan->now_ms, scan->table->spec.ttl_ms);
}

/* Bytes of a row of the reply. */
static size_t scan_stride(const struct scan *scan)
{
	const struct table_spec *spec = &scan->table->spec;
	return dtype_row_bytes(scan->dtype, spec->dim, spec_row_views(spec));
}

/* Takes the rows of a range from levels and memtable. Afterwards walk->full tells whether the reply is
 * full: then it has all rows of the last hash. */
static enum status walk_range(struct walk *walk, struct merged_walk *merged)
{
	struct scan *scan = walk->scan;
	const size_t stride = scan_stride(scan);
	for (;;) {
		struct merged_row row;
		bool more;
		enum status status = merged_next(merged, &row, &more);
		if (status != STATUS_OK || !more) {
			return status;
		}
		if (walk->full && row.hash != walk->last_hash) {
			return STATUS_OK;
		}
		walk->last_hash = row.hash;
		walk->passed++;
		if (walk->passed % STOP_ROWS == 0) {
			status = stop_check(scan->stop, NULL);
		}
		if (status == STATUS_OK && is_shown(scan, &row)) {
			status = add_ref(walk, &row);
			walk->bytes += stride + row.key_len + 1 + 24 +
				       (size_t)scan->table->spec.history * 8;
		}
		if (status != STATUS_OK) {
			return status;
		}
		walk->full = walk->count >= scan->limit || walk->bytes >= scan->bytes_max ||
			     walk->passed >= PASSED_ROWS_MAX;
	}
}

/* Where the range of the base's segment that has a hash ends (0: 2^64). */
static uint64_t end_of_segment(const struct scan *scan, uint64_t cursor)
{
	const struct base_set *set = scan->table->bases;
	if (set == NULL) {
		return 0;
	}
	const struct base_segment_info *info = set->segments[base_set_find(set, cursor)]->info;
	assert(info->prefix <= cursor);
	return segment_prefix_end(info->prefix, info->prefix_bits);
}

/* Of two ends of a range the lower one; 0 stands for 2^64. */
static uint64_t first_end(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* One range of hashes, of one segment of the base; *cursor is where the next one begins: the scan's end behind
 * the last. */
static enum status walk_step(struct walk *walk, uint64_t *cursor)
{
	struct scan *scan = walk->scan;
	uint64_t behind = first_end(end_of_segment(scan, *cursor), scan->behind);
	enum status status = stop_check(scan->stop, NULL);
	if (status != STATUS_OK) {
		return status;
	}
	struct memtable_row *news = NULL;
	size_t count = 0;
	if (!memtable_is_empty(scan->table->memtable)) {
		struct memtable_range range = {*cursor, behind, scan->limit, scan->visible};
		status = memtable_collect(scan->table->memtable, &range, &news, &count);
		assert(range.behind == behind || (range.behind != 0 && range.behind > *cursor));
		behind = range.behind;
	}
	if (status == STATUS_OK) {
		struct merged_walk merged;
		merged_begin(&merged, scan->table, 0, *cursor);
		merged.news = news;
		merged.count = count;
		merged.behind = behind;
		status = walk_range(walk, &merged);
	}
	free(news);
	assert(behind == 0 || behind > *cursor); /* else the walk would not end */
	*cursor = behind;
	return status;
}

static enum status walk_table(struct walk *walk)
{
	struct scan *scan = walk->scan;
	uint64_t cursor = scan->cursor;
	assert(scan->behind == 0 || cursor < scan->behind);
	scan->more = false;
	do {
		const enum status status = walk_step(walk, &cursor);
		if (status != STATUS_OK) {
			return status;
		}
		if (walk->full) {
			assert(walk->last_hash >= scan->cursor); /* it moves on */
			scan->cursor = walk->last_hash + 1;
			scan->more = scan->cursor != scan->behind;
			return STATUS_OK;
		}
	} while (cursor != scan->behind);
	return STATUS_OK;
}

/* ---- the reply ---- */

static bool has_weights(const struct scan *scan)
{
	return scan->raw && spec_aggregates(&scan->table->spec);
}

static enum status reserve(struct walk *walk)
{
	struct scan *scan = walk->scan;
	const size_t stride = scan_stride(scan);
	const size_t history = scan->table->spec.history;
	const size_t count = walk->count;
	const bool byte_keys = scan->table->spec.key_type == KEY_BYTES;
	scan->keys = malloc(count * (byte_keys ? LIMIT_KEY_BYTES + 1 : 8) + 1);
	scan->rows = malloc(count * stride + 1);
	scan->times = malloc(count * 8 + 1);
	scan->scales = scan->dtype == DTYPE_I8 ? malloc(count * 4 + 1) : NULL;
	scan->tags = scan->table->spec.tags ? malloc(count * 8 + 1) : NULL;
	scan->weights = has_weights(scan) ? malloc(count * 8 + 1) : NULL;
	scan->history_counts = history != 0 ? malloc(count * 4 + 1) : NULL;
	scan->history_times = history != 0 ? malloc(count * history * 8 + 1) : NULL;
	return scan->keys == NULL || scan->rows == NULL || scan->times == NULL ||
			       (scan->dtype == DTYPE_I8 && scan->scales == NULL) ||
			       (scan->table->spec.tags && scan->tags == NULL) ||
			       (has_weights(scan) && scan->weights == NULL) ||
			       (history != 0 && (scan->history_counts == NULL ||
							scan->history_times == NULL))
		       ? STATUS_NO_MEMORY
		       : STATUS_OK;
}

static void put_row(struct scan *scan, const struct stored_reader *reader,
	const struct merged_row *ref, uint32_t i)
{
	const struct table_spec *spec = reader->spec;
	const size_t stride = scan_stride(scan);
	struct frame_row row;
	merged_get(ref, spec, &row);
	if (spec->key_type == KEY_BYTES) {
		scan->keys[scan->keys_len++] = (uint8_t)row.key_len;
	}
	memcpy(scan->keys + scan->keys_len, row.key, row.key_len);
	scan->keys_len += row.key_len;
	const struct stored_row stored = {row.data, row.low, &row.scale};
	stored_read(reader, &stored, scan->rows + i * stride,
		scan->scales == NULL ? NULL : scan->scales + (size_t)i * 4);
	memcpy(scan->times + (size_t)i * 8, &row.time_ms, 8);
	if (scan->tags != NULL) {
		memcpy(scan->tags + (size_t)i * 8, &row.tags, 8);
	}
	if (scan->weights != NULL) {
		const double weight = aggregate_weight(spec, row.data);
		memcpy(scan->weights + (size_t)i * 8, &weight, 8);
	}
	if (scan->history_counts != NULL) {
		const uint32_t count = history_count(spec, row.data);
		const size_t bytes = (size_t)spec->history * 8;
		memcpy(scan->history_counts + (size_t)i * 4, &count, 4);
		memcpy(scan->history_times + i * bytes, history_times(spec, row.data), bytes);
	}
}

static enum status scan_once(struct scan *scan)
{
	struct walk walk = {.scan = scan};
	const struct table_spec *spec = &scan->table->spec;
	struct stored_reader reader;
	scan->keys_len = 0;
	enum status status = stored_reader_init(&reader, spec, scan->dtype, scan->raw);
	if (status == STATUS_OK) {
		status = walk_table(&walk);
	}
	if (status == STATUS_OK) {
		status = reserve(&walk);
	}
	for (size_t i = 0; status == STATUS_OK && i < walk.count; i++) {
		if (i % STOP_ROWS == 0) {
			status = stop_check(scan->stop, NULL);
		}
		put_row(scan, &reader, &walk.refs[i], (uint32_t)i);
	}
	scan->count = (uint32_t)walk.count;
	assert(status != STATUS_OK || spec->key_type == KEY_BYTES ||
		scan->keys_len == walk.count * 8);
	free(walk.refs);
	stored_reader_fini(&reader);
	return status;
}

enum status table_scan(struct scan *scan, struct error *err)
{
	const uint64_t cursor = scan->cursor;
	enum status status = STATUS_OK;
	unsigned faults;
	assert(grace_is_inside());
	do {
		/* A page that could not be read has given zeros, as in table_lookup. The second time
		 * its segment is known to be damaged. */
		scan_fini(scan);
		scan->cursor = cursor;
		faults = mapfault_count();
		status = scan_once(scan);
	} while (status == STATUS_OK && mapfault_count() != faults);
	if (status != STATUS_OK) {
		scan_fini(scan);
		scan->cursor = cursor;
		if (status == STATUS_TIMEOUT || status == STATUS_CLOSED) {
			return stop_check(scan->stop, err);
		}
		return error_set(err, status, "table '%s': scan: %s", scan->table->spec.name.text,
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
	free(scan->weights);
	free(scan->history_counts);
	free(scan->history_times);
	scan->keys = NULL;
	scan->rows = NULL;
	scan->scales = NULL;
	scan->times = NULL;
	scan->tags = NULL;
	scan->weights = NULL;
	scan->history_counts = NULL;
	scan->history_times = NULL;
	scan->count = 0;
}
