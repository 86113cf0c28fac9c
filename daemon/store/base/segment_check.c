/* segment_check.c - reads segments in and checks them, and looks whether they are still in memory. */
#include "daemon/store/base/at_hand.h"
#include "daemon/store/base/pages.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* The pages of a segment that was opened. */
static uint8_t *first_page(const struct base_segment *segment)
{
	assert(segment->data != NULL);
	return (uint8_t *)segment_page_at(segment->data, 0);
}

static size_t page_bytes(const struct base_segment *segment)
{
	return (size_t)segment->view.page_count * SEGMENT_PAGE_BYTES;
}

/* A segment whose file could not be opened is DAMAGED, and has no pages. */
static bool has_pages(const struct base_segment *segment)
{
	assert(segment->pages != NULL || base_segment_state(segment) == BASE_DAMAGED);
	return segment->pages != NULL;
}

static struct base_pages all_pages(struct base_segment *segment)
{
	return (struct base_pages){segment, 0, segment->view.page_count};
}

/* The pages of a part, counted from the first one. */
static uint32_t pages_of(const struct base_segment *segment, enum base_part part)
{
	const struct segment *view = &segment->view;
	const uint8_t *behind = view->key_offsets != NULL ? view->key_blob : view->row_data;
	return part == BASE_PART_ALL || view->rows == 0
		       ? view->page_count
		       : segment_page_of((uint64_t)(behind - segment->data));
}

/* Tells the system how the pages are used. A fault of a segment that is on the disk is to read one page. But from Linux 6.3
 * on, pages of a map that is read at random are taken in the order in which they came, however often they are
 * used (vma_has_recency in mm/): whoever reads another table would drive this one out. */
static void advise(struct base_segment *segment, bool is_here)
{
	atomic_store(&segment->is_here, is_here);
	(void)madvise(first_page(segment), page_bytes(segment),
		is_here ? MADV_NORMAL : MADV_RANDOM);
}

/* How many bytes of the segment so many pages have: the first page begins in front of it. */
static uint64_t bytes_in(const struct base_segment *segment, uint64_t pages)
{
	const uint64_t bytes = pages * SEGMENT_PAGE_BYTES;
	return bytes < segment->info->bytes ? bytes : segment->info->bytes;
}

static void measure_checked(struct base_segment *segment)
{
	uint64_t good = 0;
	for (uint32_t page = 0; page < segment->view.page_count; page++) {
		good += atomic_load_explicit(&segment->pages[page], memory_order_relaxed) ==
			BASE_PAGE_GOOD;
	}
	atomic_store_explicit(&segment->bytes_checked, bytes_in(segment, good),
		memory_order_relaxed);
}

enum base_segment_state base_segment_wait(struct base_set *set, size_t i)
{
	assert(i < set->segment_count);
	return base_segment_wait_for(set->segments[i]);
}

enum base_segment_state base_segment_wait_for(struct base_segment *segment)
{
	lock_take(&segment->lock);
	const enum base_segment_state state = base_segment_state(segment);
	if (state == BASE_UNCHECKED || state == BASE_AWAY) {
		const struct base_pages pages = all_pages(segment);
		/* To read all of it in order is 30 times faster than page by page (22 MB in 10 ms,
		 * not in 330). An older kernel refuses, and so does a bad disk: then it is read page
		 * by page. */
		(void)madvise(first_page(segment), page_bytes(segment), MADV_SEQUENTIAL);
		(void)madvise(first_page(segment), page_bytes(segment), MADV_POPULATE_READ);
		advise(segment, true);
		atomic_store_explicit(&segment->bytes_present, segment->info->bytes,
			memory_order_relaxed); /* until base_segment_measure looks */
		base_pages_read(&pages, 1);
		measure_checked(segment);
		/* A page that is damaged has marked the segment; then DAMAGED stays. */
		unsigned char from = (unsigned char)state;
		(void)atomic_compare_exchange_strong(&segment->state, &from, BASE_READY);
	}
	lock_release(&segment->lock);
	const enum base_segment_state after = base_segment_state(segment);
	assert(after != BASE_UNCHECKED);
	/* It may be AWAY: the janitor can have looked at it since the lock was released. */
	return after == BASE_DAMAGED ? BASE_DAMAGED : BASE_READY;
}

bool base_segment_read(struct base_set *set, size_t i, enum base_part part,
	bool (*go_on)(void *arg, uint64_t bytes), void *arg)
{
	/* The disk reads so much in some milliseconds, and who waits for it meanwhile waits no longer. */
	enum { PIECE = (4 << 20) / SEGMENT_PAGE_BYTES };
	assert(i < set->segment_count);
	struct base_segment *segment = set->segments[i];
	const uint32_t count = has_pages(segment) ? pages_of(segment, part) : 0;
	bool goes_on = true;
	for (uint32_t first = 0; goes_on && first < count; first += PIECE) {
		const uint32_t left = count - first;
		const struct base_pages pages = {segment, first, left < PIECE ? left : PIECE};
		if (base_pages_state(&pages) == BASE_PAGE_AWAY) {
			base_pages_read(&pages, 1);
			goes_on = go_on(arg, (uint64_t)pages.count * SEGMENT_PAGE_BYTES);
		}
	}
	return goes_on;
}

/* Asks the system which pages are in memory; the caller frees *out. Errors: NO_MEMORY; UNSUPPORTED,
 * with the reason in errno. */
static enum status ask_pages(const struct base_segment *segment, unsigned char **out, size_t *pages)
{
	*pages = segment->view.page_count;
	*out = malloc(*pages);
	if (*out == NULL) {
		return STATUS_NO_MEMORY;
	}
	if (mincore(first_page(segment), page_bytes(segment), *out) != 0) {
		const int number = errno;
		free(*out);
		errno = number;
		return STATUS_UNSUPPORTED;
	}
	return STATUS_OK;
}

enum base_segment_state base_segment_check_again(struct base_set *set, size_t i)
{
	struct base_segment *segment = set->segments[i];
	if (!has_pages(segment)) {
		return BASE_DAMAGED;
	}
	const struct base_pages pages = all_pages(segment);
	for (uint32_t page = 0; page < pages.count; page++) {
		unsigned char good = BASE_PAGE_GOOD;
		(void)atomic_compare_exchange_strong(&segment->pages[page], &good, BASE_PAGE_AWAY);
	}
	base_pages_read(&pages, 1);
	return base_segment_wait_for(segment);
}

/* What a look has found. */
struct presence {
	size_t count; /* pages in memory */
	bool all;     /* all of them are, and may be used */
};

/* Forgets that pages were compared which the system has taken. */
static struct presence forget_taken(struct base_segment *segment, const unsigned char *resident,
	size_t pages)
{
	struct presence found = {.all = true};
	for (size_t page = 0; page < pages; page++) {
		unsigned char good = BASE_PAGE_GOOD;
		if ((resident[page] & 1) == 0) {
			(void)atomic_compare_exchange_strong(&segment->pages[page], &good,
				BASE_PAGE_AWAY);
		}
		found.count += resident[page] & 1;
		found.all = found.all && atomic_load(&segment->pages[page]) == BASE_PAGE_GOOD;
	}
	return found;
}

/* Some pages of a table that is used all the time are not: times, or rows that nobody asks for. */
static void advise_by(struct base_segment *segment, size_t present, size_t pages)
{
	const bool is_here = atomic_load(&segment->is_here);
	const bool becomes = is_here ? present * 4 >= pages * 3 : present * 8 >= pages * 7;
	if (becomes != is_here) {
		advise(segment, becomes);
	}
}

enum status base_segment_look(struct base_set *set, size_t i)
{
	assert(i < set->segment_count);
	struct base_segment *segment = set->segments[i];
	unsigned char *resident;
	size_t pages;
	if (!has_pages(segment)) {
		return STATUS_OK;
	}
	const enum status status = ask_pages(segment, &resident, &pages);
	if (status != STATUS_OK) {
		return status;
	}
	const struct presence found = forget_taken(segment, resident, pages);
	unsigned char from = found.all ? BASE_AWAY : BASE_READY;
	if (atomic_compare_exchange_strong(&segment->state, &from,
		    found.all ? BASE_READY : BASE_AWAY) &&
		!found.all) {
		base_segment_lost();
	}
	advise_by(segment, found.count, pages);
	free(resident);
	return STATUS_OK;
}

void base_segment_let_go(struct base_set *set, size_t i)
{
	const struct base_segment *segment = set->segments[i];
	if (has_pages(segment)) {
		const size_t kept = (size_t)pages_of(segment, BASE_PART_KEYS) * SEGMENT_PAGE_BYTES;
		(void)madvise(first_page(segment) + kept, page_bytes(segment) - kept, MADV_COLD);
	}
}

void base_segment_measure(struct base_set *set, size_t i)
{
	assert(i < set->segment_count);
	struct base_segment *segment = set->segments[i];
	unsigned char *resident;
	size_t pages;
	if (has_pages(segment)) {
		measure_checked(segment);
	}
	if (!has_pages(segment) || ask_pages(segment, &resident, &pages) != STATUS_OK) {
		return;
	}
	uint64_t present = 0;
	for (size_t page = 0; page < pages; page++) {
		present += resident[page] & 1;
	}
	free(resident);
	atomic_store_explicit(&segment->bytes_present, bytes_in(segment, present),
		memory_order_relaxed);
}
