/* generation.c - adds entries and versions to one generation of a memtable. */
#include "daemon/store/memtable/generation.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/system/refs.h"

#include <stdlib.h>
#include <string.h>

/* A new bucket has 2 to this power slots. The address of a bucket's slots is a multiple of
 * ALIGN. */
enum { SLOTS_LOG2_FIRST = 3, ALIGN = 64 };

/* Of longer rows the processor itself fetches the rest ahead. */
enum { LINE_BYTES = 64, AHEAD_BYTES_MAX = 1024 };

static void count_bytes(struct generation *generation, uint64_t bytes)
{
	generation->bytes += bytes;
	atomic_fetch_add_explicit(&generation->usage->bytes, bytes, memory_order_relaxed);
}

static void *get(struct generation *generation, size_t bytes)
{
	const uint64_t before = generation->arena.bytes;
	void *at = arena_get(&generation->arena, bytes);
	if (generation->arena.bytes != before) {
		count_bytes(generation, generation->arena.bytes - before);
	}
	return at;
}

/* ---- buckets ---- */

/* The hash is stored first, so a reader that finds the entry finds its hash too. */
static void place(struct memtable_slot *slot, uint64_t hash, struct memtable_entry *entry)
{
	/* A slot is filled once: a reader may have passed it. */
	assert(atomic_load_explicit(&slot->entry, memory_order_relaxed) == NULL);
	atomic_store_explicit(&slot->hash, hash, memory_order_relaxed);
	atomic_store_explicit(&slot->entry, entry, memory_order_release);
}

/* The entry itself is not in the cache, and not looked at unless the walk jumps. */
static struct memtable_slot *empty_slot(const struct bucket *bucket, uint64_t hash,
	const struct memtable_entry *entry)
{
	struct slots_walk walk;
	slots_begin(&walk, hash, bucket->mask);
	while (atomic_load_explicit(&bucket->slots[walk.at].entry, memory_order_relaxed) != NULL) {
		if (!slots_next(&walk, bucket->mask)) {
			bucket_jump(bucket, &walk, entry->key, entry->key_len);
		}
	}
	return &bucket->slots[walk.at];
}

static void copy_slots(const struct bucket *from, const struct bucket *to)
{
	for (size_t i = 0; from->slots != NULL && i <= from->mask; i++) {
		uint64_t hash;
		struct memtable_entry *entry;
		if (slot_read(&from->slots[i], &hash, &entry)) {
			place(empty_slot(to, hash, entry), hash, entry);
		}
	}
}

/* Replaces a bucket by one of twice the size, or gives it its first slots. */
static bool grow(struct generation *generation, size_t number, struct bucket *bucket)
{
	const uintptr_t word =
		atomic_load_explicit(&generation->buckets[number], memory_order_relaxed);
	const unsigned log2 = word == 0 ? SLOTS_LOG2_FIRST : (unsigned)(word & (ALIGN - 1)) + 1;
	assert(log2 < ALIGN); /* it shares a word with the address */
	const size_t bytes = sizeof(struct memtable_slot) << log2;
	uint8_t *memory = get(generation, bytes + ALIGN);
	if (memory == NULL) {
		return false;
	}
	memory += -(uintptr_t)memory & (ALIGN - 1);
	assert((uintptr_t)memory % ALIGN == 0);
	memset(memory, 0, bytes);
	const struct bucket grown = {(struct memtable_slot *)(void *)memory,
		((size_t)1 << log2) - 1};
	copy_slots(bucket, &grown);
	atomic_store_explicit(&generation->buckets[number], (uintptr_t)memory + log2,
		memory_order_release);
	*bucket = grown;
	return true;
}

/* ---- the generation ---- */

struct generation *generation_new(struct memtable_usage *usage, uint64_t sequence)
{
	static _Atomic uint64_t last_number;
	struct generation *generation = calloc(1, sizeof *generation);
	if (generation == NULL) {
		return NULL;
	}
	generation->usage = usage;
	generation->arena.stock = usage->stock;
	generation->number = atomic_fetch_add(&last_number, 1) + 1;
	atomic_init(&generation->first_sequence, sequence);
	atomic_init(&generation->refs, 1);
	count_bytes(generation, sizeof *generation);
	return generation;
}

/* Takes off a figure what this generation has added to it. */
static void take_off(_Atomic uint64_t *figure, uint64_t amount)
{
	const uint64_t before = atomic_fetch_sub_explicit(figure, amount, memory_order_relaxed);
	assert(before >= amount);
	(void)before;
}

void generation_free(struct generation *generation)
{
	if (generation == NULL) {
		return;
	}
	struct memtable_usage *usage = generation->usage;
	assert(generation->bytes == sizeof *generation + generation->arena.bytes);
	take_off(&usage->bytes, generation->bytes);
	take_off(&usage->log_bytes, generation->log_bytes);
	take_off(&usage->rows, atomic_load(&generation->rows));
	atomic_fetch_add_explicit(&usage->pinned_bytes, generation->bytes, memory_order_relaxed);
	generation_drop(generation);
}

void generation_drop(struct generation *generation)
{
	if (refs_drop(&generation->refs)) {
		/* The memtable's reference went before this, in generation_free. */
		take_off(&generation->usage->pinned_bytes, generation->bytes);
		arena_fini(&generation->arena);
		free(generation);
	}
}

static bool key_is(const struct memtable_entry *entry, const uint8_t *key, size_t key_len)
{
	return entry->key_len == key_len && memcmp(entry->key, key, key_len) == 0;
}

struct memtable_entry *bucket_find_far(const struct bucket *bucket, uint64_t hash,
	const uint8_t *key, size_t key_len)
{
	struct slots_walk walk;
	uint64_t other;
	struct memtable_entry *entry;
	bucket_jump(bucket, &walk, key, key_len);
	while (slot_read(&bucket->slots[walk.at], &other, &entry)) {
		if (other == hash && key_is(entry, key, key_len)) {
			return entry;
		}
		bucket_next(bucket, &walk, key, key_len);
	}
	return NULL;
}

struct memtable_entry *generation_find(const struct generation *generation, uint64_t hash,
	const uint8_t *key, size_t key_len)
{
	const struct bucket bucket = generation_bucket(generation, generation_bucket_of(hash));
	uint64_t other;
	struct memtable_entry *entry;
	if (bucket.slots == NULL) {
		return NULL;
	}
	struct slots_walk walk;
	slots_begin(&walk, hash, bucket.mask);
	for (; slot_read(&bucket.slots[walk.at], &other, &entry);
		bucket_next(&bucket, &walk, key, key_len)) {
		if (other == hash && key_is(entry, key, key_len)) {
			return entry;
		}
	}
	return NULL;
}

/* No reader reaches it before it is placed in a slot. */
struct memtable_entry *generation_get_entry(struct generation *generation, uint64_t hash,
	const uint8_t *key, size_t key_len)
{
	assert(key_len > 0);
	struct memtable_entry *entry = get(generation, sizeof *entry + key_len);
	if (entry != NULL) {
		atomic_init(&entry->newest, NULL);
		entry->hash = hash;
		entry->key_len = (uint32_t)key_len;
		memcpy(entry->key, key, key_len);
	}
	return entry;
}

/* ---- versions ---- */

/* Notes that a version has superseded one, whose memory may be used again some time. */
static void note_superseded(struct generation *generation, struct row_version *by)
{
	by->next = NULL;
	if (by->older == NULL) {
		return;
	}
	if (generation->superseding_last == NULL) {
		generation->superseding_first = by;
	} else {
		generation->superseding_last->next = by;
	}
	generation->superseding_last = by;
}

/* Whether the memory of what the first of the list has superseded may be used again. What has superseded it
 * is not above the horizon, so no reader goes beyond that, and it is not taken back any more. Who has
 * pinned the generation may see an older moment; who pins it from now on sees none before the horizon. */
static bool may_take(const struct generation *generation)
{
	const struct row_version *by = generation->superseding_first;
	const _Atomic uint64_t *horizon = &generation->usage->horizon;
	return by != NULL && by->sequence <= atomic_load_explicit(horizon, memory_order_acquire) &&
	       atomic_load_explicit(&generation->refs, memory_order_acquire) == 1;
}

/* Asks for the memory of a version that will be written over. */
static void prefetch_version(const struct row_version *version, size_t row_bytes)
{
	const uint8_t *at = (const uint8_t *)version;
	const uint8_t *end =
		version->row + (row_bytes < AHEAD_BYTES_MAX ? row_bytes : AHEAD_BYTES_MAX);
	for (; at < end; at += LINE_BYTES) {
		__builtin_prefetch(at, 1);
	}
}

/* Those of a table are all of one size, and a tombstone has no row. */
struct row_version *generation_reuse_version(struct generation *generation, size_t row_bytes)
{
	struct row_version *version = generation->spare;
	if (version != NULL) {
		generation->spare = version->next;
	}
	while (version == NULL && may_take(generation)) {
		struct row_version *by = generation->superseding_first;
		version = by->older->deleted ? NULL : by->older;
		by->older = NULL;
		struct row_version *next = by->next;
		generation->superseding_first = next;
		if (next == NULL) {
			generation->superseding_last = NULL;
		} else { /* which was asked for the last time */
			__builtin_prefetch(next->next);
			prefetch_version(next->older, row_bytes);
		}
	}
	return version;
}

/* Forgets versions above `visible` that have superseded others: they are taken back. The others are newest
 * again, or will be, so their memory stays theirs. */
static void forget_superseding(struct generation *generation, uint64_t visible)
{
	struct row_version *last = NULL;
	if (generation->superseding_last == NULL ||
		generation->superseding_last->sequence <= visible) {
		return; /* as for all keys of a write but the first */
	}
	struct row_version *at = generation->superseding_first;
	while (at != NULL && at->sequence <= visible) {
		last = at;
		at = at->next;
	}
	generation->superseding_last = last;
	if (last == NULL) {
		generation->superseding_first = NULL;
	} else {
		last->next = NULL;
	}
}

void generation_undo(struct generation *generation, struct memtable_entry *entry, uint64_t visible)
{
	struct row_version *left = atomic_load_explicit(&entry->newest, memory_order_relaxed);
	forget_superseding(generation, visible);
	while (left != NULL && left->sequence > visible) {
		left = left->older;
	}
	/* A reader may be on its way through what is taken out, which stays readable. */
	atomic_store_explicit(&entry->newest, left, memory_order_release);
}

struct row_version *generation_get_version(struct generation *generation, size_t row_bytes)
{
	return get(generation, sizeof(struct row_version) + row_bytes);
}

void generation_spare(struct generation *generation, struct row_version *version)
{
	version->next = generation->spare;
	generation->spare = version;
}

void generation_cut(struct generation *generation, const struct arena_mark *mark)
{
	const uint64_t before = generation->arena.bytes;
	arena_cut(&generation->arena, mark);
	generation->bytes -= before - generation->arena.bytes;
	take_off(&generation->usage->bytes, before - generation->arena.bytes);
}

/*   is_next  it is to stand behind an entry that was made just now */
static struct row_version *version_new(struct generation *generation, const struct table_spec *spec,
	const struct frame_row *row, bool is_next)
{
	const size_t row_bytes = row->data == NULL ? 0 : spec_row_bytes(spec);
	const size_t low_bytes = row->low == NULL ? 0 : spec_low_bytes(spec);
	struct row_version *version =
		is_next || row->data == NULL
			? NULL
			: generation_reuse_version(generation, row_bytes + low_bytes);
	if (version == NULL) {
		version = generation_get_version(generation, row_bytes + low_bytes);
	}
	if (version != NULL) {
		version->time_ms = row->time_ms;
		version->tags = row->tags;
		version->scale = row->scale;
		version->deleted = row->data == NULL;
		if (row->data != NULL) {
			memcpy(version->row, row->data, row_bytes);
		}
		if (row->low != NULL) {
			memcpy(version->row + row_bytes, row->low, low_bytes);
		}
	}
	return version;
}

/* Puts a new key's entry into a slot of its bucket. */
static enum status add_entry(struct generation *generation, struct memtable_entry *entry)
{
	const size_t number = generation_bucket_of(entry->hash);
	struct bucket bucket = generation_bucket(generation, number);
	const uint32_t count = generation->counts[number];
	if ((bucket.slots == NULL || count + 1 > (bucket.mask + 1) / 2) &&
		!grow(generation, number, &bucket)) {
		return STATUS_NO_MEMORY;
	}
	assert(count + 1 <= (bucket.mask + 1) / 2); /* so every walk meets an empty slot */
	place(empty_slot(&bucket, entry->hash, entry), entry->hash, entry);
	generation->counts[number] = count + 1;
	atomic_fetch_add_explicit(&generation->rows, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&generation->usage->rows, 1, memory_order_relaxed);
	return STATUS_OK;
}

/* Makes room for one place more in the order of writing. */
static bool make_place(struct generation *generation)
{
	uint64_t first;
	const unsigned number =
		generation_part_of(atomic_load_explicit(&generation->written, memory_order_relaxed),
			&first);
	struct memtable_row **part = &generation->parts[number];
	if (*part == NULL) {
		*part = get(generation, sizeof **part << (number + GENERATION_PART_BITS));
	}
	return *part != NULL;
}

/* Readers see the place once it is filled. */
static void fill_place(struct generation *generation, const struct memtable_entry *entry,
	const struct row_version *version)
{
	const uint64_t place = atomic_load_explicit(&generation->written, memory_order_relaxed);
	*generation_place(generation, place) = (struct memtable_row){entry, version};
	atomic_store_explicit(&generation->written, place + 1, memory_order_release);
}

enum status generation_link(struct generation *generation, const struct memtable_change *change,
	struct memtable_entry *entry, struct row_version *version, bool is_new)
{
	const bool has_order = change->spec->index != INDEX_NONE;
	if (has_order && !make_place(generation)) {
		return STATUS_NO_MEMORY;
	}
	assert(change->usage == generation->usage);
	version->sequence = change->sequence;
	/* The older version's sequence is at most this one's, and the same if one write has the key
	 * twice; then the later row counts. It is not asserted: that would be a cache miss a row. */
	version->older = atomic_load_explicit(&entry->newest, memory_order_relaxed);
	/* The order of writing leads to superseded versions, too: their memory stays theirs. */
	if (!has_order) {
		note_superseded(generation, version);
	}
	atomic_store_explicit(&entry->newest, version, memory_order_release);
	generation->last_sequence = change->sequence;
	/* What made the generation may have been taken back. Sequences that were taken back are
	 * used again, and the log is kept from the first one on. */
	if (change->sequence <
		atomic_load_explicit(&generation->first_sequence, memory_order_relaxed)) {
		atomic_store(&generation->first_sequence, change->sequence);
	}
	const enum status status = is_new ? add_entry(generation, entry) : STATUS_OK;
	if (status == STATUS_OK && has_order) {
		fill_place(generation, entry, version);
	}
	return status;
}

enum status generation_put(struct generation *generation, const struct memtable_change *change,
	uint64_t hash, const struct frame_row *row)
{
	struct memtable_entry *found = generation_find(generation, hash, row->key, row->key_len);
	struct memtable_entry *entry =
		found != NULL ? found
			      : generation_get_entry(generation, hash, row->key, row->key_len);
	/* The version stands right behind a new entry, so that one cache miss fetches both. */
	struct row_version *version =
		entry == NULL ? NULL : version_new(generation, change->spec, row, found == NULL);
	return version == NULL ? STATUS_NO_MEMORY
			       : generation_link(generation, change, entry, version, found == NULL);
}
