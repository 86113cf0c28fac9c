/* memtable.c - looks keys up in both generations, links new versions, hands over to a merge. */
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/memtable/memtable_merge.h"

#include "daemon/store/base/find.h"
#include "daemon/store/index/written.h"
#include "daemon/store/memtable/generation.h"
#include "daemon/store/memtable/memtable_pin.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/system/refs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of a longer row only the beginning is prefetched: the processor itself fetches the rest ahead. */
enum { LINE_BYTES = 64, ROW_LINES_MAX = 16 };

static struct generation *active_of(const struct memtable *memtable)
{
	return atomic_load_explicit(&memtable->active, memory_order_acquire);
}

static struct generation *frozen_of(const struct memtable *memtable)
{
	return atomic_load_explicit(&memtable->frozen, memory_order_acquire);
}

struct memtable *memtable_new(void)
{
	struct memtable *memtable = calloc(1, sizeof *memtable);
	if (memtable != NULL) {
		memtable->refs = 1;
	}
	return memtable;
}

void memtable_drop(struct memtable *memtable)
{
	if (memtable == NULL) {
		return;
	}
	assert(memtable->refs > 0);
	if (--memtable->refs > 0) {
		return;
	}
	written_images_drop(atomic_load(&memtable->images));
	generation_free(active_of(memtable));
	generation_free(frozen_of(memtable));
	free(memtable);
}

static uint64_t rows_of(const struct generation *generation)
{
	return generation == NULL ? 0
				  : atomic_load_explicit(&generation->rows, memory_order_relaxed);
}

uint64_t memtable_rows(const struct memtable *memtable)
{
	return rows_of(active_of(memtable)) + rows_of(frozen_of(memtable));
}

/* ---- readers ---- */

/* A block of keys on its way through one generation. */
struct probe {
	const struct keys *keys;
	uint32_t first;
	uint32_t count;
	const uint64_t *hashes;
	uint64_t visible;
	size_t row_lines;
	struct bucket buckets[FIND_BLOCK];
	size_t slots[FIND_BLOCK]; /* the next to look at */
	struct memtable_entry *entries[FIND_BLOCK];
};

/* The entry of key i, where its run has none. */
static __attribute__((noinline)) struct memtable_entry *find_far(const struct probe *probe,
	uint32_t i)
{
	size_t len;
	const uint8_t *key = keys_bytes(probe->keys, probe->first + i, &len);
	return bucket_find_far(&probe->buckets[i], probe->hashes[i], key, len);
}

/* Moves key i to the next entry with its hash; NULL when there is none. */
static inline void next_entry(struct probe *probe, uint32_t i)
{
	const struct bucket bucket = probe->buckets[i];
	const uint64_t wanted = probe->hashes[i];
	size_t slot = probe->slots[i];
	uint64_t hash = ~wanted;
	struct memtable_entry *entry = NULL;
	if (bucket.slots == NULL) {
		probe->entries[i] = NULL;
		return;
	}
	bool over = ((slot - wanted) & bucket.mask) == SLOTS_RUN;
	while (!over && slot_read(&bucket.slots[slot], &hash, &entry) && hash != wanted) {
		slot = (slot + 1) & bucket.mask;
		over = ((slot - wanted) & bucket.mask) == SLOTS_RUN;
	}
	if (over) {
		entry = find_far(probe, i);
	}
	probe->slots[i] = (slot + 1) & bucket.mask;
	probe->entries[i] = entry;
}

static bool entry_is(const struct probe *probe, uint32_t i)
{
	const struct memtable_entry *entry = probe->entries[i];
	size_t len;
	const uint8_t *key = keys_bytes(probe->keys, probe->first + i, &len);
	return entry->key_len == len && memcmp(entry->key, key, len) == 0;
}

/* Asks for the home slots of all keys first, then for their entries, then for their versions, then for
 * the rows of these. So the cache misses of a block overlap. */
static void find_in(const struct generation *generation, struct probe *probe,
	const struct row_version **out)
{
	for (uint32_t i = 0; i < probe->count; i++) {
		const uint64_t hash = probe->hashes[i];
		probe->buckets[i] = generation_bucket(generation, generation_bucket_of(hash));
		probe->slots[i] = hash & probe->buckets[i].mask;
		if (probe->buckets[i].slots != NULL) {
			__builtin_prefetch(&probe->buckets[i].slots[probe->slots[i]]);
		}
	}
	for (uint32_t i = 0; i < probe->count; i++) {
		probe->entries[i] = NULL;
		if (out[i] == NULL) {
			next_entry(probe, i);
		}
		if (probe->entries[i] != NULL) {
			__builtin_prefetch(probe->entries[i]);
			__builtin_prefetch((const uint8_t *)probe->entries[i] + LINE_BYTES);
		}
	}
	for (uint32_t i = 0; i < probe->count; i++) {
		while (probe->entries[i] != NULL && !entry_is(probe, i)) {
			next_entry(probe, i);
		}
		if (probe->entries[i] != NULL) {
			__builtin_prefetch(entry_newest(probe->entries[i]));
		}
	}
	for (uint32_t i = 0; i < probe->count; i++) {
		if (probe->entries[i] == NULL) {
			continue;
		}
		out[i] = entry_version(probe->entries[i], probe->visible);
		for (size_t line = 0; out[i] != NULL && line < probe->row_lines; line++) {
			/* The rows of a block are more than the first cache holds (find.c). */
			__builtin_prefetch(out[i]->row + line * LINE_BYTES, 0, 2);
		}
	}
}

void memtable_find(const struct memtable *memtable, const struct memtable_question *question,
	uint32_t first, uint32_t count, const struct row_version **out)
{
	assert(grace_is_inside());
	assert(count <= FIND_BLOCK);
	assert(first + count <= question->keys->count);
	const size_t row_lines = (question->row_bytes + LINE_BYTES - 1) / LINE_BYTES;
	struct probe probe;
	probe.keys = question->keys;
	probe.first = first;
	probe.count = count;
	probe.hashes = question->hashes;
	probe.visible = question->visible;
	probe.row_lines = row_lines < ROW_LINES_MAX ? row_lines : ROW_LINES_MAX;
	/* A freeze stores `frozen` before it clears `active`, so nothing is missed in this
	 * order. */
	const struct generation *active = active_of(memtable);
	const struct generation *frozen = frozen_of(memtable);
	memset(out, 0, count * sizeof *out);
	if (active != NULL) {
		find_in(active, &probe, out);
	}
	if (question->entries != NULL) {
		for (uint32_t i = 0; i < count; i++) {
			question->entries[i] = active == NULL ? NULL : probe.entries[i];
		}
	}
	if (frozen != NULL && frozen != active) {
		find_in(frozen, &probe, out);
	}
}

const struct row_version *memtable_get(const struct memtable *memtable, uint64_t visible,
	uint64_t hash, const uint8_t *key, size_t key_len)
{
	const struct generation *generations[] = {active_of(memtable), frozen_of(memtable)};
	for (size_t i = 0; i < 2; i++) {
		const struct memtable_entry *entry =
			generations[i] == NULL
				? NULL
				: generation_find(generations[i], hash, key, key_len);
		const struct row_version *version =
			entry == NULL ? NULL : entry_version(entry, visible);
		if (version != NULL) {
			return version;
		}
	}
	return NULL;
}

void memtable_prefetch_slot(const struct memtable *memtable, uint64_t hash)
{
	const struct generation *generations[] = {active_of(memtable), frozen_of(memtable)};
	for (size_t i = 0; i < 2; i++) {
		if (generations[i] != NULL) {
			const struct bucket bucket =
				generation_bucket(generations[i], generation_bucket_of(hash));
			if (bucket.slots != NULL) {
				__builtin_prefetch(&bucket.slots[hash & bucket.mask]);
			}
		}
	}
}

/* The first entry of a hash in the run that begins at its home; NULL: there is none. */
static const struct memtable_entry *entry_of_hash(const struct generation *generation,
	uint64_t hash)
{
	struct bucket bucket = {0};
	if (generation != NULL) {
		bucket = generation_bucket(generation, generation_bucket_of(hash));
	}
	for (size_t i = 0; bucket.slots != NULL && i < SLOTS_RUN; i++) {
		uint64_t other;
		struct memtable_entry *entry;
		if (!slot_read(&bucket.slots[(hash + i) & bucket.mask], &other, &entry)) {
			return NULL;
		}
		if (other == hash) {
			return entry;
		}
	}
	return NULL;
}

void memtable_prefetch_entry(const struct memtable *memtable, uint64_t hash)
{
	__builtin_prefetch(entry_of_hash(active_of(memtable), hash));
	__builtin_prefetch(entry_of_hash(frozen_of(memtable), hash));
}

void memtable_prefetch_version(const struct memtable *memtable, uint64_t hash)
{
	const struct generation *generations[] = {active_of(memtable), frozen_of(memtable)};
	for (size_t i = 0; i < 2; i++) {
		const struct memtable_entry *entry = entry_of_hash(generations[i], hash);
		if (entry != NULL) {
			__builtin_prefetch(entry_newest(entry));
		}
	}
}

static void pin(struct generation *generation)
{
	if (generation != NULL) {
		/* Its memory is there: it goes a grace period after it was taken out of sight. */
		refs_hold(&generation->refs);
	}
}

void memtable_see(const struct memtable *memtable, struct memtable *out)
{
	/* The order matters: see memtable_find. */
	struct generation *active = active_of(memtable);
	struct generation *frozen = frozen_of(memtable);
	*out = (struct memtable){.refs = 0};
	atomic_init(&out->active, active);
	atomic_init(&out->frozen, frozen == active ? NULL : frozen);
}

void memtable_pin(const struct memtable *memtable, struct memtable *out)
{
	assert(grace_is_inside());
	memtable_see(memtable, out);
	struct written_images *images =
		atomic_load_explicit(&memtable->images, memory_order_acquire);
	written_images_hold(images);
	atomic_init(&out->images, images);
	pin(active_of(out));
	pin(frozen_of(out));
}

void memtable_unpin(struct memtable *pinned)
{
	struct generation *generations[] = {active_of(pinned), frozen_of(pinned)};
	written_images_drop(atomic_load(&pinned->images));
	for (size_t i = 0; i < 2; i++) {
		if (generations[i] != NULL) {
			generation_drop(generations[i]);
		}
	}
}

/* ---- the writer ---- */

void memtable_prefetch(const struct memtable *memtable, const uint64_t *hashes, uint32_t count)
{
	const struct generation *active = active_of(memtable);
	if (active == NULL) {
		return;
	}
	struct bucket buckets[FIND_BLOCK];
	assert(count <= FIND_BLOCK);
	for (uint32_t i = 0; i < count; i++) {
		buckets[i] = generation_bucket(active, generation_bucket_of(hashes[i]));
		if (buckets[i].slots != NULL) {
			__builtin_prefetch(&buckets[i].slots[hashes[i] & buckets[i].mask], 1);
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		uint64_t hash;
		struct memtable_entry *entry;
		const struct bucket *bucket = &buckets[i];
		if (bucket->slots != NULL &&
			slot_read(&bucket->slots[hashes[i] & bucket->mask], &hash, &entry) &&
			hash == hashes[i]) {
			__builtin_prefetch(entry, 1);
		}
	}
}

enum status memtable_put(struct memtable *memtable, const struct memtable_change *change,
	uint64_t hash, const struct frame_row *row)
{
	struct generation *active = active_of(memtable);
	assert(change->sequence > 0);
	if (active != NULL) {
		return generation_put(active, change, hash, row);
	}
	active = generation_new(change->usage, change->sequence);
	const enum status status =
		active == NULL ? STATUS_NO_MEMORY : generation_put(active, change, hash, row);
	if (status != STATUS_OK) {
		generation_free(active);
		return status;
	}
	atomic_store_explicit(&memtable->active, active, memory_order_release);
	return STATUS_OK;
}

enum status memtable_keep_log(struct memtable *memtable, const struct memtable_change *change)
{
	struct generation *active = active_of(memtable);
	if (active == NULL) {
		active = generation_new(change->usage, change->sequence);
		if (active == NULL) {
			return STATUS_NO_MEMORY;
		}
		atomic_store_explicit(&memtable->active, active, memory_order_release);
	}
	active->last_sequence = change->sequence;
	active->keeps_log = true;
	return STATUS_OK;
}

void memtable_count_log(struct memtable *memtable, uint64_t bytes, int64_t clock_ms)
{
	struct generation *active = active_of(memtable);
	assert(active != NULL); /* the frame's rows are in it */
	assert(bytes > 0);
	active->log_bytes += bytes;
	atomic_fetch_add_explicit(&active->usage->log_bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&memtable->written_ms, clock_ms, memory_order_relaxed);
}

void memtable_undo(struct memtable *memtable, uint64_t hash, const uint8_t *key, size_t key_len,
	uint64_t visible)
{
	struct generation *active = active_of(memtable);
	struct memtable_entry *entry =
		active == NULL ? NULL : generation_find(active, hash, key, key_len);
	if (entry != NULL) {
		generation_undo(active, entry, visible);
	}
}

/* ---- the merge ---- */

bool memtable_freeze(struct memtable *memtable, uint64_t visible)
{
	struct generation *active = active_of(memtable);
	if (frozen_of(memtable) != NULL) {
		return true;
	}
	if (active == NULL) {
		return false;
	}
	active->last_sequence = active->last_sequence < visible ? active->last_sequence : visible;
	assert(active->last_sequence <= visible);
	atomic_store_explicit(&memtable->frozen, active, memory_order_release);
	atomic_store_explicit(&memtable->active, NULL, memory_order_release);
	return true;
}

uint64_t memtable_oldest(const struct memtable *memtable)
{
	const struct generation *active = active_of(memtable);
	const struct generation *frozen = frozen_of(memtable);
	const struct generation *oldest = frozen != NULL ? frozen : active;
	return oldest == NULL ? 0 : atomic_load(&oldest->first_sequence);
}

bool memtable_is_frozen(const struct memtable *memtable)
{
	return frozen_of(memtable) != NULL;
}

uint64_t memtable_frozen_rows(const struct memtable *memtable)
{
	return rows_of(frozen_of(memtable));
}

bool memtable_has_left(const struct memtable *memtable, uint64_t cut)
{
	const struct generation *active = active_of(memtable);
	const uint64_t first = active == NULL ? 0 : atomic_load(&active->first_sequence);
	return first != 0 && first <= cut;
}

uint64_t memtable_frozen_last(const struct memtable *memtable)
{
	const struct generation *frozen = frozen_of(memtable);
	return frozen == NULL ? 0 : frozen->last_sequence;
}

bool memtable_frozen_keeps_log(const struct memtable *memtable)
{
	const struct generation *frozen = frozen_of(memtable);
	return frozen != NULL && frozen->keeps_log;
}

bool memtable_keeps_log(const struct memtable *memtable)
{
	const struct generation *active = active_of(memtable);
	return memtable_frozen_keeps_log(memtable) || (active != NULL && active->keeps_log);
}

struct generation *memtable_take_frozen(struct memtable *memtable)
{
	return atomic_exchange_explicit(&memtable->frozen, NULL, memory_order_acq_rel);
}
