/* table_counts.c - the list of all counts, and who holds them. */
#include "daemon/store/snapshot/table_counts.h"

#include "daemon/store/snapshot/snapshot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct table_reads) == SLOT_LINE_BYTES, "threads share no line");

static struct table_counts *find(struct link *all, const struct table_name *name)
{
	for (struct link *at = all->next; at != all; at = at->next) {
		struct table_counts *counts = LINK_OWNER(at, struct table_counts, all);
		if (strcmp(counts->name.text, name->text) == 0) {
			return counts;
		}
	}
	return NULL;
}

static struct table_counts *add(struct link *all, const struct table_name *name)
{
	const size_t bytes = (sizeof(struct table_counts) + SLOT_LINE_BYTES - 1) / SLOT_LINE_BYTES *
			     SLOT_LINE_BYTES;
	struct table_counts *counts = aligned_alloc(SLOT_LINE_BYTES, bytes);
	if (counts != NULL) {
		memset(counts, 0, bytes);
		counts->name = *name;
		link_init(&counts->all);
		link_append(all, &counts->all);
	}
	return counts;
}

enum status table_counts_give(struct link *all, struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			struct table *table = release->tables[j];
			if (table->counts != NULL) {
				continue;
			}
			struct table_counts *counts = find(all, &table->spec.name);
			counts = counts != NULL ? counts : add(all, &table->spec.name);
			if (counts == NULL) {
				return STATUS_NO_MEMORY;
			}
			table->counts = table_counts_share(counts);
		}
	}
	return STATUS_OK;
}

struct table_counts *table_counts_share(struct table_counts *counts)
{
	if (counts != NULL) {
		counts->refs++;
	}
	return counts;
}

void table_counts_drop(struct table_counts *counts)
{
	if (counts == NULL) {
		return;
	}
	assert(counts->refs > 0);
	if (--counts->refs == 0) {
		link_remove(&counts->all);
		free(counts);
	}
}

void table_counts_read(struct table_counts *counts, const uint32_t results[TABLE_RESULTS])
{
	if (counts == NULL) {
		return;
	}
	const unsigned slot = slot_own;
	_Atomic uint64_t *own = counts->of_slots[slot].results;
	for (unsigned i = 0; i < TABLE_RESULTS; i++) {
		if (results[i] > 0) {
			slot_add(slot, &own[i], results[i]);
		}
	}
}

void table_counts_want_images(struct table_counts *counts, int64_t now_ms)
{
	enum { SECOND_MS = 1000 };
	if (counts != NULL &&
		now_ms - atomic_load_explicit(&counts->images_wanted_ms, memory_order_relaxed) >=
			SECOND_MS) {
		atomic_store_explicit(&counts->images_wanted_ms, now_ms, memory_order_relaxed);
	}
}

int64_t table_counts_images_wanted(const struct table_counts *counts)
{
	return counts == NULL
		       ? 0
		       : atomic_load_explicit(&counts->images_wanted_ms, memory_order_relaxed);
}

uint64_t table_counts_result(const struct table_counts *counts, unsigned result)
{
	uint64_t sum = 0;
	assert(result < TABLE_RESULTS);
	for (unsigned i = 0; counts != NULL && i < SLOT_COUNT; i++) {
		sum += counter_read(&counts->of_slots[i].results[result]);
	}
	return sum;
}
