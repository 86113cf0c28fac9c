/* merged.c - sorted lists of rows, walked as one. */
#include "daemon/store/read/merged.h"

#include "daemon/store/snapshot/level.h"

#include <assert.h>
#include <string.h>

/* The memory of so many rows of a memtable is asked for before the first of them is read. */
enum { NEWS_AHEAD = 16 };

/* ---- one level ---- */

/* The hash of the segment's next row. */
static uint64_t hash_of(struct merged_level *level)
{
	const struct segment *view = level->view;
	if (view->keys == NULL) {
		return siphash(&view->seed, level->next.key, level->next.key_len);
	}
	const uint32_t at = level->row - level->ahead_first;
	if (at < level->ahead_count) {
		return level->ahead[at];
	}
	const struct keys keys = {
		.type = KEY_U64,
		.count = view->rows,
		.packed = (const uint8_t *)view->keys,
	};
	const uint32_t left = view->rows - level->row;
	level->ahead_first = level->row;
	level->ahead_count = left < MERGED_AHEAD ? left : MERGED_AHEAD;
	keys_hash(&keys, &view->seed, level->row, level->ahead_count, level->ahead);
	return level->ahead[0];
}

/* Enters the segment that has the hash at which the level goes on. Where a delta has none, it goes on at the next
 * one. */
static enum status enter(struct merged_level *level)
{
	level->number = base_set_find(level->set, level->from);
	if (level->number == BASE_NO_SEGMENT) {
		level->from = base_set_next(level->set, level->from);
		level->ended = level->from == 0;
		return STATUS_OK;
	}
	if (base_segment_wait(level->set, level->number) != BASE_READY) {
		return STATUS_CORRUPT;
	}
	level->view = &level->set->segments[level->number]->view;
	level->row = segment_first_row(level->view, level->from);
	level->ahead_count = 0;
	return STATUS_OK;
}

/* Leaves a segment behind its last row. */
static enum status leave(struct merged_level *level)
{
	const struct base_segment *segment = level->set->segments[level->number];
	const struct base_segment_info *info = segment->info;
	/* A page that could not be read has given zeros, and its segment is marked since. */
	if (base_segment_state(segment) == BASE_DAMAGED) {
		return STATUS_CORRUPT;
	}
	level->view = NULL;
	level->from = segment_prefix_end(info->prefix, info->prefix_bits);
	level->ended = level->from == 0;
	return STATUS_OK;
}

static bool is_behind(const struct merged_walk *walk, uint64_t hash)
{
	return walk->behind != 0 && hash >= walk->behind;
}

/* Reads key and hash of the level's next row, if it is in the range. */
static enum status look_ahead(const struct merged_walk *walk, struct merged_level *level)
{
	enum status status = STATUS_OK;
	while (status == STATUS_OK && !level->hashed && !level->ended) {
		if (level->view != NULL && level->row < level->view->rows) {
			if (!segment_key(level->view, level->row, &level->next.key,
				    &level->next.key_len)) {
				return STATUS_CORRUPT;
			}
			level->hash = hash_of(level);
			level->hashed = true;
		} else if (level->view != NULL) {
			status = leave(level);
		} else if (is_behind(walk, level->from)) {
			return STATUS_OK;
		} else {
			status = enter(level);
		}
	}
	return status;
}

/* ---- all ---- */

void merged_begin(struct merged_walk *walk, const struct table *table, size_t first, uint64_t from)
{
	*walk = (struct merged_walk){0};
	for (size_t i = table->level_count; i > first; i--) {
		walk->levels[walk->level_count++] = (struct merged_level){
			.set = table->levels[i - 1]->set,
			.from = from,
		};
	}
}

/* Whose row comes first: below 0 that of `a`. */
static int compare(const struct merged_row *a, const struct merged_row *b)
{
	if (a->hash != b->hash) {
		return a->hash < b->hash ? -1 : 1;
	}
	const size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
	const int order = memcmp(a->key, b->key, len);
	return order != 0 ? order : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static struct merged_row of_level(const struct merged_level *level)
{
	return (struct merged_row){
		.hash = level->hash,
		.view = level->view,
		.row = level->row,
		.key = level->next.key,
		.key_len = level->next.key_len,
	};
}

static struct merged_row of_news(const struct memtable_row *row)
{
	return (struct merged_row){
		.hash = row->entry->hash,
		.version = row->version,
		.deleted = row->version->deleted,
		.key = row->entry->key,
		.key_len = row->entry->key_len,
	};
}

/* Goes on behind the row that was taken: levels[i] and older ones may have its key, newer ones do not. */
static void pass(struct merged_walk *walk, size_t i, const struct merged_row *taken)
{
	for (; i < walk->level_count; i++) {
		struct merged_level *level = &walk->levels[i];
		if (level->hashed && level->hash == taken->hash) {
			const struct merged_row row = of_level(level);
			if (compare(&row, taken) == 0) {
				level->row++;
				level->hashed = false;
			}
		}
	}
}

enum status merged_next(struct merged_walk *walk, struct merged_row *out, bool *more)
{
	size_t from = 0; /* the newest level that may have the key, too */
	assert(walk->at <= walk->count);
	const bool has_news = walk->at < walk->count;
	*more = has_news;
	if (has_news) {
		if (walk->at + NEWS_AHEAD < walk->count) {
			__builtin_prefetch(walk->news[walk->at + NEWS_AHEAD].entry);
			__builtin_prefetch(walk->news[walk->at + NEWS_AHEAD].version);
		}
		*out = of_news(&walk->news[walk->at]);
	}
	for (size_t i = 0; i < walk->level_count; i++) {
		struct merged_level *level = &walk->levels[i];
		const enum status status = look_ahead(walk, level);
		if (status != STATUS_OK) {
			return status;
		}
		if (!level->hashed || is_behind(walk, level->hash) ||
			(*more && level->hash > out->hash)) {
			continue;
		}
		const struct merged_row row = of_level(level);
		if (!*more || compare(&row, out) < 0) {
			*out = row;
			*more = true;
			from = i;
		}
	}
	if (*more) {
		walk->at += out->version != NULL;
		out->deleted = out->version != NULL ? out->deleted
						    : segment_is_deleted(out->view, out->row);
		pass(walk, from, out);
	}
	return STATUS_OK;
}

void merged_get(const struct merged_row *row, const struct table_spec *spec, struct frame_row *out)
{
	const struct row_version *version = row->version;
	*out = (struct frame_row){.key = row->key, .key_len = row->key_len};
	assert((version == NULL) != (row->view == NULL)); /* it is of one of the two */
	assert(!row->deleted);
	if (version != NULL) {
		out->time_ms = version->time_ms;
		out->tags = version->tags;
		out->scale = version->scale;
		out->data = version->row;
		out->low = row_version_low(version, spec);
		return;
	}
	const struct segment *view = row->view;
	out->time_ms = merged_time(row);
	out->tags =
		view->tags == NULL || (row->without & WITHOUT_TAGS) != 0 ? 0 : view->tags[row->row];
	out->scale = view->scales == NULL ? 0 : view->scales[row->row];
	out->data = view->row_data + (size_t)row->row * view->row_bytes;
	out->low = (row->without & WITHOUT_LOW) != 0 ? NULL : segment_low(view, row->row);
}
