/* generation.c - adds entries and versions to one generation of a memtable. */
#include "daemon/store/generation.h"

#include <stdlib.h>
#include <string.h>

enum { HOMES_FIRST = 256 };

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

/* ---- the index ---- */

static struct index *index_new(size_t homes)
{
	const size_t slots = homes + homes / 2 + 1;
	struct index *index = calloc(1, sizeof *index + slots * sizeof index->slots[0]);
	if (index != NULL) {
		index->homes = homes;
		index->slot_count = slots;
	}
	return index;
}

static void place(struct index *index, size_t slot, uint64_t hash, struct memtable_entry *entry)
{
	atomic_store_explicit(&index->slots[slot].hash, hash, memory_order_relaxed);
	atomic_store_explicit(&index->slots[slot].entry, entry, memory_order_release);
}

static size_t empty_slot(const struct index *index, size_t slot)
{
	while (atomic_load_explicit(&index->slots[slot].entry, memory_order_relaxed) != NULL) {
		slot++;
	}
	return slot;
}

static bool grow(struct generation *generation)
{
	struct index *old = atomic_load_explicit(&generation->index, memory_order_relaxed);
	struct index *index = index_new(old->homes * 2);
	if (index == NULL) {
		return false;
	}
	for (size_t i = 0; i < old->slot_count; i++) {
		uint64_t hash;
		struct memtable_entry *entry;
		if (index_read(old, i, &hash, &entry)) {
			place(index, empty_slot(index, index_home(index, hash)), hash, entry);
		}
	}
	index->outgrown = old;
	count_bytes(generation, index->homes * sizeof index->slots[0]);
	atomic_store_explicit(&generation->index, index, memory_order_release);
	return true;
}

/* ---- the generation ---- */

struct generation *generation_new(struct memtable_usage *usage, uint64_t sequence)
{
	struct generation *generation = calloc(1, sizeof *generation);
	struct index *index = index_new(HOMES_FIRST);
	if (generation == NULL || index == NULL) {
		free(generation);
		free(index);
		return NULL;
	}
	generation->usage = usage;
	atomic_init(&generation->index, index);
	atomic_init(&generation->first_sequence, sequence);
	count_bytes(generation, sizeof *generation + HOMES_FIRST * sizeof index->slots[0]);
	return generation;
}

void generation_free(struct generation *generation)
{
	if (generation == NULL) {
		return;
	}
	struct memtable_usage *usage = generation->usage;
	atomic_fetch_sub_explicit(&usage->bytes, generation->bytes, memory_order_relaxed);
	atomic_fetch_sub_explicit(&usage->log_bytes, generation->log_bytes, memory_order_relaxed);
	atomic_fetch_sub_explicit(&usage->rows, atomic_load(&generation->rows),
		memory_order_relaxed);
	struct index *index = atomic_load(&generation->index);
	while (index != NULL) {
		struct index *outgrown = index->outgrown;
		free(index);
		index = outgrown;
	}
	arena_fini(&generation->arena);
	free(generation);
}

static bool key_is(const struct memtable_entry *entry, const uint8_t *key, size_t key_len)
{
	return entry->key_len == key_len && memcmp(entry->key, key, key_len) == 0;
}

/* The slot of a key, or the empty one where it belongs; its entry in *entry. */
static size_t find_slot(const struct index *index, uint64_t hash, const uint8_t *key,
	size_t key_len, struct memtable_entry **entry)
{
	size_t slot = index_home(index, hash);
	uint64_t other;
	while (index_read(index, slot, &other, entry)) {
		if (other == hash && key_is(*entry, key, key_len)) {
			return slot;
		}
		slot++;
	}
	*entry = NULL;
	return slot;
}

struct memtable_entry *generation_find(const struct generation *generation, uint64_t hash,
	const uint8_t *key, size_t key_len)
{
	struct memtable_entry *entry;
	(void)find_slot(generation_index(generation), hash, key, key_len, &entry);
	return entry;
}

/* A key's entry without a version yet, not to be reached before it is placed. */
static struct memtable_entry *entry_new(struct generation *generation, uint64_t hash,
	const struct frame_row *row)
{
	struct memtable_entry *entry = get(generation, sizeof *entry + row->key_len);
	if (entry != NULL) {
		atomic_init(&entry->newest, NULL);
		entry->hash = hash;
		entry->key_len = (uint32_t)row->key_len;
		memcpy(entry->key, row->key, row->key_len);
	}
	return entry;
}

static struct row_version *version_new(struct generation *generation,
	const struct memtable_change *change, const struct frame_row *row)
{
	const size_t row_bytes = row->data == NULL ? 0 : spec_row_bytes(change->spec);
	struct row_version *version = get(generation, sizeof *version + row_bytes);
	if (version != NULL) {
		version->older = NULL;
		version->sequence = change->sequence;
		version->time_ms = row->time_ms;
		version->tags = row->tags;
		version->scale = row->scale;
		version->deleted = row->data == NULL;
		if (row->data != NULL) {
			memcpy(version->row, row->data, row_bytes);
		}
	}
	return version;
}

/* Puts a new key's entry into the index. */
static enum status add_entry(struct generation *generation, const struct memtable_change *change,
	struct memtable_entry *entry, size_t slot)
{
	struct index *index = atomic_load_explicit(&generation->index, memory_order_relaxed);
	const uint64_t rows = atomic_load_explicit(&generation->rows, memory_order_relaxed);
	if (rows + 1 > index->homes / 2) {
		if (!grow(generation)) {
			return STATUS_NO_MEMORY;
		}
		index = atomic_load_explicit(&generation->index, memory_order_relaxed);
		slot = empty_slot(index, index_home(index, entry->hash));
	}
	if (slot - index_home(index, entry->hash) > change->probe_max) {
		return STATUS_TOO_LARGE;
	}
	place(index, slot, entry->hash, entry);
	atomic_store_explicit(&generation->rows, rows + 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&generation->usage->rows, 1, memory_order_relaxed);
	return STATUS_OK;
}

enum status generation_put(struct generation *generation, const struct memtable_change *change,
	uint64_t hash, const struct frame_row *row)
{
	struct memtable_entry *entry;
	const size_t slot =
		find_slot(generation_index(generation), hash, row->key, row->key_len, &entry);
	struct memtable_entry *added = NULL;
	if (entry == NULL) {
		added = entry = entry_new(generation, hash, row);
	}
	/* Right behind a new entry, so that both are fetched together. */
	struct row_version *version = entry == NULL ? NULL : version_new(generation, change, row);
	if (version == NULL) {
		return STATUS_NO_MEMORY;
	}
	version->older = atomic_load_explicit(&entry->newest, memory_order_relaxed);
	atomic_store_explicit(&entry->newest, version, memory_order_release);
	generation->last_sequence = change->sequence;
	return added == NULL ? STATUS_OK : add_entry(generation, change, added, slot);
}
