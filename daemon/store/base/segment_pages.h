/* segment_pages.h - the pages of a segment, and their checksums.
 *
 * Pages are those of the file, counted from the one that the segment begins on; it ends with one. The checksums of
 * all pages are a column, the list, and those of the list's own pages stand behind the directory. Header, directory
 * and what stands behind it are the head, whose checksum is in the catalog. So whoever needs a page checks
 * the head once, a page of the list, and the page, and reads no other. schema/DISK.md, "Segments".
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_BASE_SEGMENT_PAGES_H
#define DAEMON_STORE_BASE_SEGMENT_PAGES_H

#include "daemon/store/base/segment.h"

/* Which page of a segment its byte at `offset` is on, from 0. */
static inline uint32_t segment_page_of(uint64_t offset)
{
	return (uint32_t)((offset + SEGMENT_LEAD_BYTES) / SEGMENT_PAGE_BYTES);
}

/* Where a page stands that is counted from that on which the segment at `data` begins. */
static inline const uint8_t *segment_page_at(const uint8_t *data, uint32_t page)
{
	return data - SEGMENT_LEAD_BYTES + (uint64_t)page * SEGMENT_PAGE_BYTES;
}

static inline uint32_t segment_head_pages(const struct segment *segment)
{
	return segment_page_of(segment->head_bytes);
}

/* The page with the checksum of `page`. */
static inline uint32_t segment_list_page(const struct segment *segment, uint32_t page)
{
	return segment_head_pages(segment) + page / (SEGMENT_PAGE_BYTES / 8);
}

/* Whether a page behind the head has its checksum. The page that has the checksum, and the head, were
 * checked before. `data` is the segment's. */
bool segment_page_is_sound(const struct segment *segment, const uint8_t *data, uint32_t page);

#endif
