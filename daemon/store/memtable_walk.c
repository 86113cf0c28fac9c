/* memtable_walk.c - the rows of a memtable in the order of (hash, key), for scans and merges. */
#include "daemon/store/generation.h"

#include <stdlib.h>
#include <string.h>

/* A run of slots is sorted by insertion up to this length: nearly all are far shorter. */
enum { SHORT_RUN = 32 };

/* What was found in one generation. */
struct found {
	struct memtable_row *rows; /* owned */
	size_t count;
	size_t capacity;
};

static enum status add(struct found *found, const struct memtable_entry *entry,
	const struct row_version *version)
{
	if (found->count == found->capacity) {
		const size_t capacity = found->capacity * 2 + 256;
		struct memtable_row *grown = realloc(found->rows, capacity * sizeof *grown);
		if (grown == NULL) {
			return STATUS_NO_MEMORY;
		}
		found->rows = grown;
		found->capacity = capacity;
	}
	found->rows[found->count++] = (struct memtable_row){.entry = entry, .version = version};
	return STATUS_OK;
}

static int compare(const struct memtable_row *a, const struct memtable_row *b)
{
	const struct memtable_entry *left = a->entry;
	const struct memtable_entry *right = b->entry;
	if (left->hash != right->hash) {
		return left->hash < right->hash ? -1 : 1;
	}
	const size_t len = left->key_len < right->key_len ? left->key_len : right->key_len;
	const int order = memcmp(left->key, right->key, len);
	return order != 0 ? order
			  : (left->key_len > right->key_len) - (left->key_len < right->key_len);
}

static int compare_any(const void *a, const void *b)
{
	return compare(a, b);
}

/* Sorts the rows of one run of slots: they are in no order among themselves. */
static void sort_run(struct found *found, size_t first)
{
	const size_t count = found->count - first;
	if (count < 2) {
		return;
	}
	struct memtable_row *rows = found->rows + first;
	if (count > SHORT_RUN) {
		qsort(rows, count, sizeof *rows, compare_any);
		return;
	}
	for (size_t i = 1; i < count; i++) {
		const struct memtable_row row = rows[i];
		size_t at = i;
		for (; at > 0 && compare(&rows[at - 1], &row) > 0; at--) {
			rows[at] = rows[at - 1];
		}
		rows[at] = row;
	}
}

/* The smallest hash whose home is `home`; 0 (for 2^64) behind the last. */
static uint64_t first_hash(const struct index *index, size_t home)
{
	if (home >= index->homes) {
		return 0;
	}
	return (((uint64_t)home << 32) + index->homes - 1) / index->homes << 32;
}

static bool is_behind(uint64_t hash, uint64_t behind)
{
	return behind != 0 && hash >= behind;
}

/* Keys with a home before an empty slot stand before it too. */
static enum status collect(const struct generation *generation, struct memtable_range *range,
	struct found *found)
{
	const struct index *index = generation_index(generation);
	const size_t last_home =
		range->behind == 0 ? index->homes - 1 : index_home(index, range->behind - 1);
	size_t run = 0; /* where the rows of the run at hand begin */
	for (size_t slot = index_home(index, range->from); slot < index->slot_count; slot++) {
		uint64_t hash;
		struct memtable_entry *entry;
		if (!index_read(index, slot, &hash, &entry)) {
			sort_run(found, run);
			run = found->count;
			if (slot >= last_home) {
				return STATUS_OK;
			}
			if (found->count >= range->most) {
				range->behind = first_hash(index, slot + 1);
				return STATUS_OK;
			}
			continue;
		}
		const struct row_version *version = entry_version(entry, range->visible);
		if (hash < range->from || is_behind(hash, range->behind) || version == NULL) {
			continue;
		}
		const enum status status = add(found, entry, version);
		if (status != STATUS_OK) {
			return status;
		}
	}
	sort_run(found, run);
	return STATUS_OK;
}

/* Merges both, up to `behind`; of one key the active generation's version is the newer. */
static size_t merge(const struct found *active, const struct found *frozen, uint64_t behind,
	struct memtable_row *out)
{
	size_t count = 0;
	size_t i = 0;
	size_t j = 0;
	while (i < active->count || j < frozen->count) {
		int order = i == active->count ? 1 : j == frozen->count ? -1 : 0;
		if (order == 0) {
			order = compare(&active->rows[i], &frozen->rows[j]);
		}
		const struct memtable_row row = order <= 0 ? active->rows[i] : frozen->rows[j];
		if (is_behind(row.entry->hash, behind)) {
			break;
		}
		i += order <= 0;
		j += order >= 0;
		out[count++] = row;
	}
	return count;
}

enum status memtable_collect(const struct memtable *memtable, struct memtable_range *range,
	struct memtable_row **out, size_t *count)
{
	/* In the order that memtable_find has too. */
	const struct generation *active =
		atomic_load_explicit(&memtable->active, memory_order_acquire);
	const struct generation *frozen =
		atomic_load_explicit(&memtable->frozen, memory_order_acquire);
	struct found of_active = {0};
	struct found of_frozen = {0};
	enum status status = STATUS_OK;
	if (active != NULL) {
		status = collect(active, range, &of_active);
	}
	if (status == STATUS_OK && frozen != NULL && frozen != active) {
		status = collect(frozen, range, &of_frozen);
	}
	struct memtable_row *rows = NULL;
	if (status == STATUS_OK) {
		rows = malloc((of_active.count + of_frozen.count + 1) * sizeof *rows);
		status = rows == NULL ? STATUS_NO_MEMORY : STATUS_OK;
	}
	if (status == STATUS_OK) {
		*count = merge(&of_active, &of_frozen, range->behind, rows);
		*out = rows;
	}
	free(of_active.rows);
	free(of_frozen.rows);
	return status;
}

enum status memtable_collect_frozen(const struct memtable *memtable, struct memtable_row **out,
	size_t *count)
{
	const struct generation *frozen =
		atomic_load_explicit(&memtable->frozen, memory_order_acquire);
	struct found found = {0};
	struct memtable_range all = {.most = SIZE_MAX, .visible = UINT64_MAX};
	enum status status = STATUS_OK;
	if (frozen != NULL) {
		status = collect(frozen, &all, &found);
	}
	if (status != STATUS_OK) {
		free(found.rows);
		return status;
	}
	*out = found.rows;
	*count = found.count;
	return STATUS_OK;
}
