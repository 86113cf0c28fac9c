/* positions.c - a sorted array under a lock. It suffices: sources are few, and a batch looks up one
 * of them. */
#include "daemon/store/log/positions.h"

#include "daemon/store/system/lock.h"
#include "schema/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Entries are never taken out. One whose only batch was taken back stays, and is not there. */
struct entry {
	struct source_position now;
	uint64_t marked; /* what `now.next` was at the mark */
	bool is_there;
	bool is_marked; /* it was there at the mark */
};

struct positions {
	struct lock lock;
	struct entry *entries; /* owned; in the order of (layer, source) */
	size_t count;
	size_t capacity;
	unsigned refs; /* guarded by the admin lock */
};

struct positions *positions_new(void)
{
	struct positions *positions = calloc(1, sizeof *positions);
	if (positions != NULL) {
		lock_init(&positions->lock);
		positions->refs = 1;
	}
	return positions;
}

struct positions *positions_share(struct positions *positions)
{
	assert(positions->refs > 0);
	positions->refs++;
	return positions;
}

void positions_drop(struct positions *positions)
{
	if (positions == NULL) {
		return;
	}
	assert(positions->refs > 0);
	if (--positions->refs > 0) {
		return;
	}
	lock_fini(&positions->lock);
	free(positions->entries);
	free(positions);
}

static int compare(const struct source_position *at, const char *layer, const char *source)
{
	const int order = strcmp(layer, at->layer.text);
	return order == 0 ? strcmp(source, at->source.text) : order;
}

/* The number of a source's entry; if it has none, the number that the entry would have. */
static size_t find(const struct positions *positions, const char *layer, const char *source,
	bool *found)
{
	size_t from = 0;
	size_t to = positions->count;
	lock_assert_held(&positions->lock);
	while (from < to) {
		const size_t middle = from + (to - from) / 2;
		const int order = compare(&positions->entries[middle].now, layer, source);
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

bool positions_next(struct positions *positions, const char *layer, const char *source,
	uint64_t *next)
{
	bool found;
	lock_take(&positions->lock);
	const size_t at = find(positions, layer, source, &found);
	found = found && positions->entries[at].is_there;
	if (found) {
		*next = positions->entries[at].now.next;
	}
	lock_release(&positions->lock);
	return found;
}

static enum status add(struct positions *positions, size_t at,
	const struct source_position *position)
{
	lock_assert_held(&positions->lock);
	assert(at <= positions->count);
	if (positions->count >= LIMIT_SOURCES) {
		return STATUS_TOO_LARGE;
	}
	if (positions->count == positions->capacity) {
		const size_t capacity = positions->capacity * 2 + 16;
		struct entry *grown = realloc(positions->entries, capacity * sizeof *grown);
		if (grown == NULL) {
			return STATUS_NO_MEMORY;
		}
		positions->entries = grown;
		positions->capacity = capacity;
	}
	struct entry *entries = positions->entries;
	memmove(entries + at + 1, entries + at, (positions->count - at) * sizeof *entries);
	entries[at] = (struct entry){.now = *position, .is_there = true};
	positions->count++;
	assert(positions->count <= positions->capacity);
	return STATUS_OK;
}

enum status positions_raise(struct positions *positions, const struct source_position *to)
{
	enum status status = STATUS_OK;
	bool found;
	lock_take(&positions->lock);
	const size_t at = find(positions, to->layer.text, to->source.text, &found);
	if (!found) {
		status = add(positions, at, to);
	} else {
		struct entry *entry = &positions->entries[at];
		if (!entry->is_there || entry->now.next < to->next) {
			entry->now.next = to->next;
		}
		entry->is_there = true;
		assert(entry->now.next >= to->next);
	}
	lock_release(&positions->lock);
	return status;
}

void positions_lower(struct positions *positions, const struct source_position *before,
	bool from_nothing)
{
	bool found;
	lock_take(&positions->lock);
	const size_t at = find(positions, before->layer.text, before->source.text, &found);
	if (found && from_nothing) {
		positions->entries[at].is_there = false;
	} else if (found && positions->entries[at].now.next > before->next) {
		positions->entries[at].now.next = before->next;
	}
	lock_release(&positions->lock);
}

void positions_mark(struct positions *positions)
{
	lock_take(&positions->lock);
	for (size_t i = 0; i < positions->count; i++) {
		struct entry *entry = &positions->entries[i];
		entry->marked = entry->now.next;
		entry->is_marked = entry->is_there;
	}
	lock_release(&positions->lock);
}

static enum status copy(struct positions *positions, bool marked, struct source_position **out,
	size_t *count)
{
	lock_take(&positions->lock);
	const bool is_empty = positions->count == 0;
	struct source_position *copies = is_empty ? NULL : calloc(positions->count, sizeof *copies);
	size_t copied = 0;
	for (size_t i = 0; copies != NULL && i < positions->count; i++) {
		const struct entry *entry = &positions->entries[i];
		if (marked ? entry->is_marked : entry->is_there) {
			copies[copied] = entry->now;
			copies[copied++].next = marked ? entry->marked : entry->now.next;
		}
	}
	assert(copied <= positions->count);
	lock_release(&positions->lock);
	*out = copies;
	*count = copied;
	return copies == NULL && !is_empty ? STATUS_NO_MEMORY : STATUS_OK;
}

enum status positions_now(struct positions *positions, struct source_position **out, size_t *count)
{
	return copy(positions, false, out, count);
}

enum status positions_marked(struct positions *positions, struct source_position **out,
	size_t *count)
{
	return copy(positions, true, out, count);
}
