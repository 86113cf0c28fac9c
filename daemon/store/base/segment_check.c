/* segment_check.c - compares segments with their checksums when they are first needed, and looks
 * whether they are still in memory. */
#include "daemon/store/base/base.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* The pages that a segment touches. Only a segment that was opened has any. */
static void page_range(const struct base_segment *segment, uint8_t **start, size_t *len)
{
	assert(segment->data != NULL);
	const uintptr_t mask = page_size() - 1;
	const size_t before = (uintptr_t)segment->data & mask;
	*start = (uint8_t *)segment->data - before;
	*len = (before + segment->info->bytes + mask) & ~mask;
}

/* A fault may have marked the segment meanwhile; then DAMAGED stays. */
static void set_ready(struct base_segment *segment, unsigned char from)
{
	(void)atomic_compare_exchange_strong(&segment->state, &from, BASE_READY);
}

enum base_segment_state base_segment_wait(struct base_set *set, size_t i)
{
	assert(i < set->segment_count);
	struct base_segment *segment = &set->segments[i];
	lock_take(&segment->lock);
	const enum base_segment_state state = base_segment_state(segment);
	if (state == BASE_UNCHECKED || state == BASE_AWAY) {
		uint8_t *start;
		size_t len;
		page_range(segment, &start, &len);
		/* The map is marked for random access, so that a fault reads one page. To read all
		 * of it in order is 30 times faster (22 MB in 10 ms, not in 330). An older kernel
		 * refuses, and so does a bad disk: then the reader faults, and the segment is
		 * marked. */
		(void)madvise(start, len, MADV_SEQUENTIAL);
		(void)madvise(start, len, MADV_POPULATE_READ);
		(void)madvise(start, len, MADV_RANDOM);
		atomic_store_explicit(&segment->bytes_present, segment->info->bytes,
			memory_order_relaxed); /* until base_segment_measure looks */
		if (state == BASE_UNCHECKED &&
			XXH3_64bits(segment->data, segment->info->bytes) != segment->info->hash) {
			atomic_store(&segment->state, BASE_DAMAGED);
		}
		set_ready(segment, (unsigned char)state);
	}
	lock_release(&segment->lock);
	const enum base_segment_state after = base_segment_state(segment);
	assert(after != BASE_UNCHECKED);
	/* It may be AWAY: the janitor can have looked at it since the lock was released. */
	return after == BASE_DAMAGED ? BASE_DAMAGED : BASE_READY;
}

/* Asks the system which pages are in memory; the caller frees *out. Errors: NO_MEMORY; UNSUPPORTED,
 * with the reason in errno. */
static enum status ask_pages(const struct base_segment *segment, unsigned char **out, size_t *pages)
{
	uint8_t *start;
	size_t len;
	page_range(segment, &start, &len);
	*pages = len / page_size();
	*out = malloc(*pages);
	if (*out == NULL) {
		return STATUS_NO_MEMORY;
	}
	if (mincore(start, len, *out) != 0) {
		const int number = errno;
		free(*out);
		errno = number;
		return STATUS_UNSUPPORTED;
	}
	return STATUS_OK;
}

enum base_segment_state base_segment_check_again(struct base_set *set, size_t i)
{
	struct base_segment *segment = &set->segments[i];
	if (base_segment_wait(set, i) == BASE_READY &&
		XXH3_64bits(segment->data, segment->info->bytes) != segment->info->hash) {
		atomic_store(&segment->state, BASE_DAMAGED);
	}
	return base_segment_state(segment) == BASE_DAMAGED ? BASE_DAMAGED : BASE_READY;
}

enum status base_segment_look(struct base_set *set, size_t i)
{
	assert(i < set->segment_count);
	struct base_segment *segment = &set->segments[i];
	unsigned char *resident;
	size_t pages;
	if (base_segment_state(segment) != BASE_READY) {
		return STATUS_OK;
	}
	const enum status status = ask_pages(segment, &resident, &pages);
	if (status != STATUS_OK) {
		return status;
	}
	for (size_t page = 0; page < pages; page++) {
		if ((resident[page] & 1) == 0) {
			unsigned char ready = BASE_READY;
			(void)atomic_compare_exchange_strong(&segment->state, &ready, BASE_AWAY);
			break;
		}
	}
	free(resident);
	return STATUS_OK;
}

void base_segment_measure(struct base_set *set, size_t i)
{
	assert(i < set->segment_count);
	struct base_segment *segment = &set->segments[i];
	unsigned char *resident;
	size_t pages;
	if (segment->data == NULL || ask_pages(segment, &resident, &pages) != STATUS_OK) {
		return;
	}
	uint64_t present = 0;
	for (size_t page = 0; page < pages; page++) {
		present += resident[page] & 1;
	}
	free(resident);
	/* The first and the last page may be those of neighbours, too. */
	const uint64_t bytes = present * page_size();
	atomic_store_explicit(&segment->bytes_present,
		bytes < segment->info->bytes ? bytes : segment->info->bytes, memory_order_relaxed);
}
