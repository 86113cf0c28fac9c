/* feed.c - a sorted array under a lock: there are few sources, and a batch looks one up. */
#include "daemon/store/log/feed.h"

#include "daemon/store/system/lock.h"
#include "schema/limits.h"

#include <stdlib.h>
#include <string.h>

/* A position that is not there is one behind nothing. */
struct entry {
	struct feed_position now;
	uint64_t marked;
	bool is_there;
	bool is_marked;
};

struct feed {
	struct lock lock;
	struct entry *entries; /* owned; in the order of (layer, source) */
	size_t count;
	size_t capacity;
	unsigned refs; /* guarded by the admin lock */
};

struct feed *feed_new(void)
{
	struct feed *feed = calloc(1, sizeof *feed);
	if (feed != NULL) {
		lock_init(&feed->lock);
		feed->refs = 1;
	}
	return feed;
}

struct feed *feed_share(struct feed *feed)
{
	feed->refs++;
	return feed;
}

void feed_drop(struct feed *feed)
{
	if (feed == NULL || --feed->refs > 0) {
		return;
	}
	lock_fini(&feed->lock);
	free(feed->entries);
	free(feed);
}

/* Where a source is, or belongs. */
static size_t find(const struct feed *feed, const char *layer, const char *source, bool *found)
{
	size_t from = 0;
	size_t to = feed->count;
	while (from < to) {
		const size_t middle = from + (to - from) / 2;
		const struct feed_position *at = &feed->entries[middle].now;
		int order = strcmp(layer, at->layer.text);
		order = order == 0 ? strcmp(source, at->source.text) : order;
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0) {
			to = middle;
		} else {
			from = middle + 1;
		}
	}
	*found = false;
	return from;
}

bool feed_next(struct feed *feed, const char *layer, const char *source, uint64_t *next)
{
	bool found;
	lock_take(&feed->lock);
	const size_t at = find(feed, layer, source, &found);
	found = found && feed->entries[at].is_there;
	if (found) {
		*next = feed->entries[at].now.next;
	}
	lock_release(&feed->lock);
	return found;
}

static enum status add(struct feed *feed, size_t at, const struct feed_position *position)
{
	if (feed->count >= LIMIT_SOURCES) {
		return STATUS_TOO_LARGE;
	}
	if (feed->count == feed->capacity) {
		const size_t capacity = feed->capacity * 2 + 16;
		struct entry *grown = realloc(feed->entries, capacity * sizeof *grown);
		if (grown == NULL) {
			return STATUS_NO_MEMORY;
		}
		feed->entries = grown;
		feed->capacity = capacity;
	}
	struct entry *entries = feed->entries;
	memmove(entries + at + 1, entries + at, (feed->count - at) * sizeof *entries);
	entries[at] = (struct entry){.now = *position, .is_there = true};
	feed->count++;
	return STATUS_OK;
}

enum status feed_raise(struct feed *feed, const struct feed_position *to)
{
	enum status status = STATUS_OK;
	bool found;
	lock_take(&feed->lock);
	const size_t at = find(feed, to->layer.text, to->source.text, &found);
	if (!found) {
		status = add(feed, at, to);
	} else {
		struct entry *entry = &feed->entries[at];
		if (!entry->is_there || entry->now.next < to->next) {
			entry->now.next = to->next;
		}
		entry->is_there = true;
	}
	lock_release(&feed->lock);
	return status;
}

void feed_lower(struct feed *feed, const struct feed_position *before, bool from_nothing)
{
	bool found;
	lock_take(&feed->lock);
	const size_t at = find(feed, before->layer.text, before->source.text, &found);
	if (found && from_nothing) {
		feed->entries[at].is_there = false;
	} else if (found && feed->entries[at].now.next > before->next) {
		feed->entries[at].now.next = before->next;
	}
	lock_release(&feed->lock);
}

void feed_mark(struct feed *feed)
{
	lock_take(&feed->lock);
	for (size_t i = 0; i < feed->count; i++) {
		struct entry *entry = &feed->entries[i];
		entry->marked = entry->now.next;
		entry->is_marked = entry->is_there;
	}
	lock_release(&feed->lock);
}

static enum status copy(struct feed *feed, bool marked, struct feed_position **out, size_t *count)
{
	lock_take(&feed->lock);
	const bool is_empty = feed->count == 0;
	struct feed_position *positions = is_empty ? NULL : calloc(feed->count, sizeof *positions);
	size_t copied = 0;
	for (size_t i = 0; positions != NULL && i < feed->count; i++) {
		const struct entry *entry = &feed->entries[i];
		if (marked ? entry->is_marked : entry->is_there) {
			positions[copied] = entry->now;
			positions[copied++].next = marked ? entry->marked : entry->now.next;
		}
	}
	lock_release(&feed->lock);
	*out = positions;
	*count = copied;
	return positions == NULL && !is_empty ? STATUS_NO_MEMORY : STATUS_OK;
}

enum status feed_now(struct feed *feed, struct feed_position **out, size_t *count)
{
	return copy(feed, false, out, count);
}

enum status feed_marked(struct feed *feed, struct feed_position **out, size_t *count)
{
	return copy(feed, true, out, count);
}
