/* segment_pages.c - the checksums of a segment's pages: written once, compared page by page. */
#include "daemon/store/base/segment_pages.h"

#include "daemon/store/base/segment_build.h"
#include "daemon/store/system/bytes.h"

#include <assert.h>
#include <xxhash.h>

static uint64_t sum_of(const uint8_t *data, uint32_t page)
{
	assert(page > 0); /* the first begins in front of the segment */
	return XXH3_64bits(segment_page_at(data, page), SEGMENT_PAGE_BYTES);
}

void segment_end(const struct segment_plan *plan, uint8_t *data)
{
	assert(plan->columns[0].kind == COLUMN_PAGES);
	uint8_t *sums = data + plan->columns[0].offset;
	const uint32_t head_pages = segment_page_of(plan->head_bytes);
	const uint32_t pages = segment_page_of(plan->bytes);
	const uint32_t first = segment_page_of(plan->columns[1].offset);
	assert(pages == plan->columns[0].bytes / 8);
	for (uint32_t page = 0; page < pages; page++) {
		bytes_put_u64(sums + (size_t)page * 8, page < first ? 0 : sum_of(data, page));
	}
	uint8_t *list_sums =
		data + SEGMENT_HEADER_BYTES + (size_t)plan->column_count * SEGMENT_COLUMN_BYTES;
	for (uint32_t page = head_pages; page < first; page++) {
		bytes_put_u64(list_sums + (size_t)(page - head_pages) * 8, sum_of(data, page));
	}
}

bool segment_page_is_sound(const struct segment *segment, const uint8_t *data, uint32_t page)
{
	const uint32_t head_pages = segment_head_pages(segment);
	const uint32_t behind = segment_list_page(segment, segment->page_count - 1) + 1;
	assert(page >= head_pages);
	assert(page < segment->page_count);
	return sum_of(data, page) ==
	       (page < behind ? segment->list_sums[page - head_pages] : segment->page_sums[page]);
}
