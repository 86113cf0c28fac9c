/* salvage.c - which rows of damaged levels can be read, and which of them count. */
#include "daemon/store/merge/salvage.h"

#include "daemon/store/base/find.h"
#include "daemon/store/base/pages.h"
#include "daemon/store/snapshot/level.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- pages ---- */

/* Whether bytes of a segment were found to be what they were. A page that was checked, and was taken by the system
 * since, is read again. */
static bool is_good(struct base_segment *segment, const void *at, size_t len)
{
	const struct base_pages pages = base_pages_of(segment, at, len);
	if (base_pages_state(&pages) == BASE_PAGE_AWAY) {
		base_pages_read(&pages, 1);
	}
	return base_pages_state(&pages) != BASE_PAGE_DAMAGED;
}

static uint64_t count_damaged(const struct base_segment *segment)
{
	uint64_t damaged = segment->pages == NULL;
	for (uint32_t i = 0; segment->pages != NULL && i < segment->view.page_count; i++) {
		damaged += atomic_load(&segment->pages[i]) == BASE_PAGE_DAMAGED;
	}
	return damaged;
}

/* Counts the damaged pages of a range, with `reads` after all were read in. */
static uint64_t count_range(const struct table *table, const struct hash_range *range, bool reads)
{
	uint64_t damaged = 0;
	for (size_t i = 0; i < table->level_count; i++) {
		const struct base_set *set = table->levels[i]->set;
		for (size_t j = 0; j < set->segment_count; j++) {
			struct base_segment *segment = set->segments[j];
			if (!hash_range_has(range, segment->info->prefix)) {
				continue;
			}
			if (reads && segment->pages != NULL) {
				const struct base_pages all = {segment, 0,
					segment->view.page_count};
				base_pages_read(&all, 1);
			}
			damaged += count_damaged(segment);
		}
	}
	return damaged;
}

uint64_t salvage_look(const struct table *table, const struct hash_range *range)
{
	return count_range(table, range, true);
}

bool salvage_holds(const struct salvage *salvage)
{
	return count_range(salvage->table, &salvage->range, false) == salvage->damaged;
}

/* ---- rows of a segment ---- */

static bool key_is_good(struct base_segment *segment, uint32_t row)
{
	const struct segment *view = &segment->view;
	const uint8_t *key;
	size_t len;
	if (view->keys != NULL) {
		return is_good(segment, &view->keys[row], sizeof view->keys[row]);
	}
	return is_good(segment, &view->key_offsets[row], 2 * sizeof view->key_offsets[row]) &&
	       segment_key(view, row, &key, &len) && is_good(segment, key, len);
}

/* Whether a row whose key is known can be read, with its scale; of a tombstone, that it is one. What stands beside
 * it, and cannot be read, is said in `without`; where it decides what the row is worth, a time is part of the row. */
static bool row_is_good(struct base_segment *segment, uint32_t row, const struct table_spec *spec,
	unsigned *without)
{
	const struct segment *view = &segment->view;
	*without = 0;
	if (view->deleted != NULL && !is_good(segment, &view->deleted[row], 1)) {
		return false;
	}
	if (segment_is_deleted(view, row)) {
		return true;
	}
	if (!is_good(segment, &view->times[row], sizeof view->times[row])) {
		*without |= WITHOUT_TIME;
	}
	if (view->tags != NULL && !is_good(segment, &view->tags[row], sizeof view->tags[row])) {
		*without |= WITHOUT_TAGS;
	}
	if (view->lows != NULL && !is_good(segment, segment_low(view, row), view->low_bytes)) {
		*without |= WITHOUT_LOW;
	}
	const bool needs_time = spec->ttl_ms != 0 || spec->half_life_ms != 0;
	return !(needs_time && (*without & WITHOUT_TIME) != 0) &&
	       (view->scales == NULL ||
		       is_good(segment, &view->scales[row], sizeof view->scales[row])) &&
	       is_good(segment, view->row_data + (size_t)row * view->row_bytes, view->row_bytes);
}

/* False: the key cannot be read, of a page that was good a moment ago, too. */
static bool hash_of(struct base_segment *segment, uint32_t row, uint64_t *out)
{
	const struct segment *view = &segment->view;
	const uint8_t *key = NULL;
	size_t len = 0;
	if (!key_is_good(segment, row) || !segment_key(view, row, &key, &len)) {
		return false;
	}
	*out = siphash(&view->seed, key, len);
	return true;
}

/* ---- what cannot be read ---- */

static enum status add_gap(struct salvage_level *level, uint64_t first, uint64_t last)
{
	if (level->gap_count == level->gap_capacity) {
		const size_t capacity = level->gap_capacity * 2 + 16;
		struct salvage_gap *gaps = realloc(level->gaps, capacity * sizeof *gaps);
		if (gaps == NULL) {
			return STATUS_NO_MEMORY;
		}
		level->gaps = gaps;
		level->gap_capacity = capacity;
	}
	level->gaps[level->gap_count++] = (struct salvage_gap){{first, last}};
	return STATUS_OK;
}

/* Notes where a damaged segment has keys that cannot be read, and counts them. */
static enum status note_gaps(struct salvage *salvage, struct salvage_level *level)
{
	struct base_segment *segment = level->segment;
	const struct base_segment_info *info = segment->info;
	const uint64_t end = segment_prefix_end(info->prefix, info->prefix_bits) - 1;
	enum status status = STATUS_OK;
	uint64_t first = info->prefix;
	bool in_gap = segment->pages == NULL && info->rows > 0;
	salvage->unreadable += in_gap ? info->rows : 0;
	for (uint32_t row = 0; status == STATUS_OK && row < segment->view.rows; row++) {
		uint64_t hash;
		if (!hash_of(segment, row, &hash)) {
			in_gap = true;
			salvage->unreadable++;
			continue;
		}
		if (in_gap) {
			status = add_gap(level, first, hash);
		}
		first = hash;
		in_gap = false;
	}
	return status == STATUS_OK && in_gap ? add_gap(level, first, end) : status;
}

static bool is_in_gap(const struct salvage_level *level, uint64_t hash)
{
	size_t low = 0;
	size_t high = level->gap_count;
	while (low < high) { /* the first that does not end in front of it */
		const size_t middle = low + (high - low) / 2;
		if (level->gaps[middle].hashes.last < hash) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low < level->gap_count && hash_range_has(&level->gaps[low].hashes, hash);
}

/* Whether a level tells by its slots that it does not have a key. */
static bool tells_absent(const struct salvage_level *level, enum key_type type,
	const struct merged_row *row)
{
	uint8_t bytes[1 + LIMIT_KEY_BYTES];
	const uint32_t place = 0;
	struct keys keys = {.type = type, .count = 1, .packed = bytes};
	struct found_row found;
	if (type == KEY_BYTES) {
		bytes[0] = (uint8_t)row->key_len;
		memcpy(bytes + 1, row->key, row->key_len);
		keys.at = &place;
	} else {
		memcpy(bytes, row->key, 8);
	}
	const struct find find = {
		.set = level->set,
		.keys = &keys,
		.hashes = &row->hash,
		.may_block = true,
	};
	return find_rows(&find, 0, 1, &found) == STATUS_OK && found.segment == NULL;
}

/* Whether a level that is newer than number i may have a row's key where it cannot be read. */
static bool may_be_replaced(const struct salvage *salvage, size_t i, const struct merged_row *row)
{
	for (size_t newer = 0; newer < i; newer++) {
		const struct salvage_level *level = &salvage->levels[newer];
		if (is_in_gap(level, row->hash) &&
			!tells_absent(level, salvage->table->spec.key_type, row)) {
			return true;
		}
	}
	return false;
}

/* ---- the walk ---- */

void salvage_begin(struct salvage *salvage, const struct table *table,
	const struct hash_range *range)
{
	*salvage = (struct salvage){.table = table, .range = *range};
	salvage->damaged = salvage_look(table, range);
	for (size_t i = table->level_count; i > 0; i--) {
		salvage->levels[salvage->level_count++] = (struct salvage_level){
			.set = table->levels[i - 1]->set,
			.from = range->first,
		};
	}
}

void salvage_fini(struct salvage *salvage)
{
	for (size_t i = 0; i < salvage->level_count; i++) {
		free(salvage->levels[i].gaps);
	}
	*salvage = (struct salvage){0};
}

/* Enters the segment at which a level goes on. */
static enum status enter(struct salvage *salvage, struct salvage_level *level)
{
	const uint32_t number = base_set_find(level->set, level->from);
	if (number == BASE_NO_SEGMENT) {
		level->from = base_set_next(level->set, level->from);
		level->ended = level->from == 0;
		return STATUS_OK;
	}
	level->segment = level->set->segments[number];
	level->row = 0;
	assert(level->segment->info->prefix == level->from); /* a range has whole segments */
	return note_gaps(salvage, level);
}

static void leave(struct salvage_level *level)
{
	const struct base_segment_info *info = level->segment->info;
	level->from = segment_prefix_end(info->prefix, info->prefix_bits);
	level->ended = level->from == 0;
	level->segment = NULL;
}

/* Finds the level's next row with a key that can be read, up to `behind`. */
static enum status look_ahead(struct salvage *salvage, struct salvage_level *level, uint64_t behind)
{
	enum status status = STATUS_OK;
	while (status == STATUS_OK && !level->found && !level->ended) {
		struct base_segment *segment = level->segment;
		if (segment == NULL && behind != 0 && level->from >= behind) {
			return STATUS_OK;
		}
		if (segment == NULL) {
			status = enter(salvage, level);
		} else if (level->row == segment->view.rows) {
			leave(level);
		} else if (!key_is_good(segment, level->row)) {
			level->row++;
		} else {
			(void)segment_key(&segment->view, level->row, &level->key, &level->key_len);
			level->hash = siphash(&segment->view.seed, level->key, level->key_len);
			level->found = true;
		}
	}
	return status;
}

static struct merged_row row_of(const struct salvage_level *level)
{
	return (struct merged_row){
		.hash = level->hash,
		.view = &level->segment->view,
		.row = level->row,
		.key = level->key,
		.key_len = level->key_len,
	};
}

static int compare(const struct salvage_level *level, const struct merged_row *row)
{
	if (level->hash != row->hash) {
		return level->hash < row->hash ? -1 : 1;
	}
	const size_t len = level->key_len < row->key_len ? level->key_len : row->key_len;
	const int order = memcmp(level->key, row->key, len);
	return order != 0 ? order
			  : (level->key_len > row->key_len) - (level->key_len < row->key_len);
}

/* The newest readable row of the next key, and of which level it is. */
static enum status next_key(struct salvage *salvage, uint64_t behind, struct merged_row *out,
	size_t *of, bool *more)
{
	*more = false;
	for (size_t i = 0; i < salvage->level_count; i++) {
		struct salvage_level *level = &salvage->levels[i];
		const enum status status = look_ahead(salvage, level, behind);
		if (status != STATUS_OK) {
			return status;
		}
		if (level->found && (behind == 0 || level->hash < behind) &&
			(!*more || compare(level, out) < 0)) {
			*out = row_of(level);
			*of = i;
			*more = true;
		}
	}
	return STATUS_OK;
}

enum status salvage_next(struct salvage *salvage, uint64_t behind, struct merged_row *out,
	bool *more)
{
	for (;;) {
		size_t of = 0;
		const enum status status = next_key(salvage, behind, out, &of, more);
		if (status != STATUS_OK || !*more) {
			return status;
		}
		struct base_segment *segment = salvage->levels[of].segment;
		for (size_t i = of; i < salvage->level_count; i++) {
			struct salvage_level *level = &salvage->levels[i];
			if (level->found && compare(level, out) == 0) {
				level->found = false;
				level->row++;
			}
		}
		const bool is_whole =
			row_is_good(segment, out->row, &salvage->table->spec, &out->without);
		out->deleted = is_whole && segment_is_deleted(out->view, out->row);
		if (may_be_replaced(salvage, of, out)) {
			salvage->given_up += !out->deleted;
		} else if (!is_whole) {
			salvage->lost++;
		} else {
			salvage->partial += out->without != 0;
			return STATUS_OK;
		}
	}
}
