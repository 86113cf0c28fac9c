/* pages.h - pages of segments: whether they may be used, and reading those in that may not.
 *
 * A row of a table that is larger than memory costs the pages that it is on, and not its segment. A page
 * is compared with its checksum each time it has come from the disk.
 *
 * Threads: any, while a snapshot or a reference holds the base set.
 */
#ifndef DAEMON_STORE_BASE_PAGES_H
#define DAEMON_STORE_BASE_PAGES_H

#include "daemon/store/base/base.h"
#include "daemon/store/base/segment_pages.h"

/* Pages of a segment that has some: `segment->pages` is not NULL. */
struct base_pages {
	struct base_segment *segment;
	uint32_t first;
	uint32_t count;
};

/* The pages of `len` bytes at `at` of an open segment. */
static inline struct base_pages base_pages_of(struct base_segment *segment, const void *at,
	size_t len)
{
	const uint64_t offset = (uint64_t)((const uint8_t *)at - segment->data);
	const uint32_t first = segment_page_of(offset);
	const uint32_t last = segment_page_of(offset + (len > 0 ? len - 1 : 0));
	return (struct base_pages){segment, first, last - first + 1};
}

/* The worst state of them, where DAMAGED is worse than AWAY. */
static inline enum base_page_state base_pages_state(const struct base_pages *pages)
{
	enum base_page_state worst = BASE_PAGE_GOOD;
	for (uint32_t i = 0; i < pages->count; i++) {
		const unsigned char state =
			atomic_load_explicit(&pages->segment->pages[pages->first + i],
				memory_order_acquire);
		if (state == BASE_PAGE_DAMAGED) {
			return BASE_PAGE_DAMAGED;
		}
		worst = state == BASE_PAGE_AWAY ? BASE_PAGE_AWAY : worst;
	}
	return worst;
}

/* Reads pages in, all at once, and checks those that are AWAY: none of them is AWAY afterwards, but for one that
 * the system has just taken again. May block for the disk. */
void base_pages_read(const struct base_pages *pages, size_t count);

/* Pages that were compared with their checksums since the process began. */
uint64_t base_pages_checked(void);

#endif
