/* positions.c - a sorted array under a lock. It suffices: sources are few, and a batch looks up one
 * of them. */
#include "daemon/store/log/positions.h"

#include "daemon/store/system/lock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = POSITION_MARKED + 1 };

/* Where a source stands in one step. */
struct place {
	uint64_t next;
	bool is_there;
};

struct entry {
	struct name layer;
	struct name source;
	int64_t time_ms;
	uint32_t waiting; /* changes that were applied, and neither settled nor undone */
	struct place at[STEPS];
};

struct positions {
	struct lock lock;
	struct entry *entries; /* owned; in the order of (layer, source) */
	size_t count;
	size_t capacity;
	size_t applied_count; /* entries that are there as applied */
	uint64_t forgotten;   /* how often a source was */
	uint64_t forgotten_marked;
	uint64_t forgotten_saved;
	bool is_behind; /* something that is counted may not be durable */
	unsigned refs;  /* guarded by the admin lock */
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

static int compare(const struct entry *at, const char *layer, const char *source)
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
		const int order = compare(&positions->entries[middle], layer, source);
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

/* NULL: it has none. */
static struct entry *find_entry(struct positions *positions, const char *layer, const char *source)
{
	bool found;
	const size_t at = find(positions, layer, source, &found);
	return found ? &positions->entries[at] : NULL;
}

/* Nothing is known of it, and nothing will be. */
static bool is_gone(const struct entry *entry)
{
	bool is_there = entry->waiting > 0;
	for (size_t i = 0; i < STEPS; i++) {
		is_there = is_there || entry->at[i].is_there;
	}
	return !is_there;
}

static void take_out_gone(struct positions *positions)
{
	size_t kept = 0;
	lock_assert_held(&positions->lock);
	for (size_t i = 0; i < positions->count; i++) {
		if (!is_gone(&positions->entries[i])) {
			positions->entries[kept++] = positions->entries[i];
		}
	}
	positions->count = kept;
}

static void set_applied(struct positions *positions, struct entry *entry, struct place to)
{
	struct place *applied = &entry->at[POSITION_APPLIED];
	lock_assert_held(&positions->lock);
	positions->applied_count += to.is_there;
	assert(positions->applied_count >= applied->is_there);
	positions->applied_count -= applied->is_there;
	*applied = to;
}

/* Of all entries a step becomes what another one is. */
static void copy_step(struct positions *positions, enum position_step to, enum position_step from)
{
	lock_assert_held(&positions->lock);
	for (size_t i = 0; i < positions->count; i++) {
		positions->entries[i].at[to] = positions->entries[i].at[from];
	}
}

bool positions_next(struct positions *positions, const char *layer, const char *source,
	uint64_t *next)
{
	lock_take(&positions->lock);
	const struct entry *entry = find_entry(positions, layer, source);
	const bool found = entry != NULL && entry->at[POSITION_APPLIED].is_there;
	if (found) {
		*next = entry->at[POSITION_APPLIED].next;
	}
	lock_release(&positions->lock);
	return found;
}

size_t positions_count(struct positions *positions)
{
	lock_take(&positions->lock);
	const size_t count = positions->applied_count;
	lock_release(&positions->lock);
	return count;
}

/* Makes room for one entry more. Those that are gone go when a quarter of the room is theirs. */
static enum status make_room(struct positions *positions)
{
	lock_assert_held(&positions->lock);
	if (positions->count < positions->capacity) {
		return STATUS_OK;
	}
	take_out_gone(positions);
	if (positions->count < positions->capacity / 4 * 3) {
		return STATUS_OK;
	}
	const size_t capacity = positions->capacity * 2 + 16;
	struct entry *grown = realloc(positions->entries, capacity * sizeof *grown);
	if (grown == NULL) {
		return STATUS_NO_MEMORY;
	}
	positions->entries = grown;
	positions->capacity = capacity;
	return STATUS_OK;
}

static enum status find_or_add(struct positions *positions, const struct source_position *of,
	struct entry **out)
{
	*out = find_entry(positions, of->layer.text, of->source.text);
	if (*out != NULL) {
		return STATUS_OK;
	}
	const enum status status = make_room(positions);
	if (status != STATUS_OK) {
		return status;
	}
	bool found;
	const size_t at = find(positions, of->layer.text, of->source.text, &found);
	struct entry *entry = positions->entries + at;
	assert(!found && at <= positions->count && positions->count < positions->capacity);
	memmove(entry + 1, entry, (positions->count - at) * sizeof *entry);
	*entry = (struct entry){.layer = of->layer, .source = of->source};
	positions->count++;
	*out = entry;
	return STATUS_OK;
}

enum status positions_raise(struct positions *positions, const struct source_position *to)
{
	struct entry *entry;
	lock_take(&positions->lock);
	const enum status status = find_or_add(positions, to, &entry);
	if (status == STATUS_OK) {
		const struct place *applied = &entry->at[POSITION_APPLIED];
		const bool is_higher = applied->is_there && applied->next > to->next;
		set_applied(positions, entry,
			(struct place){is_higher ? applied->next : to->next, true});
		entry->time_ms = to->time_ms;
		entry->waiting++;
	}
	lock_release(&positions->lock);
	return status;
}

void positions_forget(struct positions *positions, const char *layer, const char *source)
{
	lock_take(&positions->lock);
	struct entry *entry = find_entry(positions, layer, source);
	if (entry != NULL) {
		set_applied(positions, entry, (struct place){0});
		entry->waiting++;
	}
	positions->forgotten++;
	lock_release(&positions->lock);
}

void positions_settle(struct positions *positions, const struct source_position *of,
	const uint64_t *to, bool synced)
{
	const struct place place = {to == NULL ? 0 : *to, to != NULL};
	lock_take(&positions->lock);
	struct entry *entry = find_entry(positions, of->layer.text, of->source.text);
	assert(entry != NULL); /* it waits for this */
	assert(entry->waiting > 0);
	entry->waiting--;
	entry->at[POSITION_COUNTED] = place;
	if (synced || to == NULL) {
		entry->at[POSITION_DURABLE] = place;
	}
	positions->is_behind = positions->is_behind || !synced;
	lock_release(&positions->lock);
}

void positions_settle_all(struct positions *positions)
{
	lock_take(&positions->lock);
	copy_step(positions, POSITION_COUNTED, POSITION_APPLIED);
	copy_step(positions, POSITION_DURABLE, POSITION_APPLIED);
	for (size_t i = 0; i < positions->count; i++) {
		positions->entries[i].waiting = 0;
	}
	positions->is_behind = false;
	lock_release(&positions->lock);
}

void positions_synced(struct positions *positions)
{
	lock_take(&positions->lock);
	if (positions->is_behind) {
		copy_step(positions, POSITION_DURABLE, POSITION_COUNTED);
	}
	positions->is_behind = false;
	lock_release(&positions->lock);
}

void positions_undo(struct positions *positions, const char *layer, const char *source)
{
	lock_take(&positions->lock);
	struct entry *entry = find_entry(positions, layer, source);
	assert(entry != NULL);
	assert(entry->waiting > 0);
	entry->waiting--;
	set_applied(positions, entry, entry->at[POSITION_COUNTED]);
	lock_release(&positions->lock);
}

void positions_mark(struct positions *positions)
{
	lock_take(&positions->lock);
	copy_step(positions, POSITION_MARKED, POSITION_APPLIED);
	take_out_gone(positions);
	positions->forgotten_marked = positions->forgotten;
	lock_release(&positions->lock);
}

bool positions_must_save(struct positions *positions)
{
	lock_take(&positions->lock);
	const bool must = positions->forgotten_marked != positions->forgotten_saved;
	lock_release(&positions->lock);
	return must;
}

void positions_saved(struct positions *positions)
{
	lock_take(&positions->lock);
	positions->forgotten_saved = positions->forgotten_marked;
	lock_release(&positions->lock);
}

enum status positions_list(struct positions *positions, enum position_step step,
	struct source_position **out, size_t *count)
{
	lock_take(&positions->lock);
	const bool is_empty = positions->count == 0;
	struct source_position *copies = is_empty ? NULL : calloc(positions->count, sizeof *copies);
	size_t copied = 0;
	for (size_t i = 0; copies != NULL && i < positions->count; i++) {
		const struct entry *entry = &positions->entries[i];
		if (entry->at[step].is_there) {
			copies[copied++] = (struct source_position){
				.layer = entry->layer,
				.source = entry->source,
				.next = entry->at[step].next,
				.time_ms = entry->time_ms,
				.is_durable = entry->at[POSITION_DURABLE].is_there,
				.durable = entry->at[POSITION_DURABLE].next,
			};
		}
	}
	assert(copied <= positions->count);
	lock_release(&positions->lock);
	if (copied == 0) {
		free(copies);
	}
	*out = copied == 0 ? NULL : copies;
	*count = copied;
	return copies == NULL && !is_empty ? STATUS_NO_MEMORY : STATUS_OK;
}
