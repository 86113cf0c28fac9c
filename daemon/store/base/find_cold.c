/* find_cold.c - the probe where pages may be away: what it meets is read in, and it begins again. */
#include "daemon/store/base/find_cold.h"

#include "daemon/store/system/clock.h"

#include <assert.h>
#include <string.h>

/* Pages that one key asks for at a time: those of its key, and of what is wanted of its row. */
enum { KEY_PAGES_MAX = 2, ROW_PAGES_MAX = 6, COLD_PAGES_MAX = KEY_PAGES_MAX + ROW_PAGES_MAX };

struct cold {
	const struct find *find;
	enum status status;
	uint32_t count; /* of `pages` */
	struct base_pages pages[FIND_BLOCK * COLD_PAGES_MAX];
};

/* Of the process, as the pages that were checked. */
static _Atomic uint64_t begun;
static struct histogram times;

void find_cold_figures(struct histogram_figures *out)
{
	*out = (struct histogram_figures){0};
	histogram_read(&times, out);
}

uint64_t find_cold_begun(void)
{
	return atomic_load_explicit(&begun, memory_order_relaxed);
}

/* ---- the pages of a row ---- */

/* Those of what is wanted of it, besides slot and key. Returns how many. */
static uint32_t row_pages(const struct find *find, struct base_segment *segment, uint32_t row,
	struct base_pages *out)
{
	const struct segment *view = &segment->view;
	uint32_t count = 0;
	if ((find->wants & FIND_ROWS) != 0) {
		out[count++] = base_pages_of(segment, view->row_data + row * view->row_bytes,
			view->row_bytes);
	}
	if ((find->wants & FIND_ROWS) != 0 && view->scales != NULL) {
		out[count++] = base_pages_of(segment, &view->scales[row], 4);
	}
	if (view->deleted != NULL) {
		out[count++] = base_pages_of(segment, &view->deleted[row], 1);
	}
	if ((find->wants & FIND_TIMES) != 0) {
		out[count++] = base_pages_of(segment, &view->times[row], 8);
	}
	if ((find->wants & FIND_TAGS) != 0 && view->tags != NULL) {
		out[count++] = base_pages_of(segment, &view->tags[row], 8);
	}
	if ((find->wants & FIND_LOWS) != 0 && view->lows != NULL) {
		out[count++] = base_pages_of(segment, segment_low(view, row), view->low_bytes);
	}
	assert(count <= ROW_PAGES_MAX);
	return count;
}

/* The worst state of several ranges. */
static enum base_page_state worst_of(const struct base_pages *pages, uint32_t count)
{
	enum base_page_state worst = BASE_PAGE_GOOD;
	for (uint32_t i = 0; i < count; i++) {
		const enum base_page_state state = base_pages_state(&pages[i]);
		if (state == BASE_PAGE_DAMAGED) {
			return state;
		}
		worst = state == BASE_PAGE_AWAY ? state : worst;
	}
	return worst;
}

/* Those of its key, as far as it is known where they are, and their state. Each is looked at once: what
 * was away may be here at the next look, and the page behind it would have been looked at by nobody. */
static enum base_page_state key_pages(struct base_segment *segment, uint32_t row,
	struct base_pages *out, uint32_t *count)
{
	const struct segment *view = &segment->view;
	const uint8_t *key;
	size_t len;
	out[0] = view->keys != NULL ? base_pages_of(segment, &view->keys[row], 8)
				    : base_pages_of(segment, &view->key_offsets[row], 8);
	*count = 1;
	const enum base_page_state state = base_pages_state(&out[0]);
	if (view->keys != NULL || state != BASE_PAGE_GOOD) {
		return state;
	}
	if (!segment_key(view, row, &key, &len)) {
		return BASE_PAGE_DAMAGED;
	}
	out[1] = base_pages_of(segment, key, len);
	*count = 2;
	return base_pages_state(&out[1]);
}

bool find_row_is_at_hand(const struct find *find, struct base_segment *segment, uint32_t row)
{
	struct base_pages pages[COLD_PAGES_MAX];
	uint32_t count;
	return key_pages(segment, row, pages, &count) == BASE_PAGE_GOOD &&
	       worst_of(pages, row_pages(find, segment, row, pages)) == BASE_PAGE_GOOD;
}

/* ---- one key ---- */

static void ask_for(struct cold *cold, const struct base_pages *pages, uint32_t count)
{
	assert(cold->count + count <= FIND_BLOCK * COLD_PAGES_MAX);
	memcpy(cold->pages + cold->count, pages, count * sizeof *pages);
	cold->count += count;
}

static void settle(struct found_row *found, enum base_page_state state)
{
	if (state == BASE_PAGE_DAMAGED) {
		found->row = (uint32_t)FIND_CORRUPT;
	}
}

enum match { MATCH_OTHER, MATCH_KEY, MATCH_UNKNOWN };

/* Whether a row whose tag is the key's has the key. UNKNOWN: pages were asked for, or are damaged. */
static enum match match_row(struct cold *cold, uint32_t number, uint32_t row,
	struct found_row *found)
{
	struct base_segment *segment = found->segment;
	struct base_pages pages[COLD_PAGES_MAX];
	uint32_t count;
	const enum base_page_state of_key = key_pages(segment, row, pages, &count);
	const uint8_t *key;
	size_t len;
	if (of_key == BASE_PAGE_AWAY) {
		/* It is the key, nearly always: so what is wanted of the row is read at once. */
		count += row_pages(cold->find, segment, row, pages + count);
		ask_for(cold, pages, count);
		return MATCH_UNKNOWN;
	}
	if (of_key == BASE_PAGE_DAMAGED || !segment_key(&segment->view, row, &key, &len)) {
		settle(found, BASE_PAGE_DAMAGED);
		return MATCH_UNKNOWN;
	}
	size_t wanted_len;
	const uint8_t *wanted = keys_bytes(cold->find->keys, number, &wanted_len);
	if (len != wanted_len || memcmp(key, wanted, len) != 0) {
		return MATCH_OTHER;
	}
	count = row_pages(cold->find, segment, row, pages);
	const enum base_page_state of_row = worst_of(pages, count);
	if (of_row == BASE_PAGE_GOOD) {
		return MATCH_KEY;
	}
	settle(found, of_row);
	if (of_row == BASE_PAGE_AWAY) {
		ask_for(cold, pages, count);
	}
	return MATCH_UNKNOWN;
}

/* Goes on by the order of rows, as find.c does. It looks at keys here and there, so the whole segment is read. */
static void seek(struct cold *cold, uint32_t number, uint64_t hash, uint32_t from,
	struct found_row *found)
{
	const struct find *find = cold->find;
	size_t len;
	const uint8_t *key = keys_bytes(find->keys, number, &len);
	if (!find->may_block) {
		cold->status = STATUS_AGAIN;
	} else if (base_segment_wait_for(found->segment) != BASE_READY) {
		settle(found, BASE_PAGE_DAMAGED);
	} else if (!segment_seek(&found->segment->view, from, hash, key, len, &found->row)) {
		found->segment = NULL;
	}
}

/* Probes from the key's home on, until it is known whether and where the key is, or a page is away. */
static void probe(struct cold *cold, uint32_t number, uint64_t hash, struct found_row *found)
{
	struct base_segment *segment = found->segment;
	const struct segment *view = &segment->view;
	const uint32_t home = segment_home(view, hash);
	for (uint32_t slot = home; slot < view->slot_count; slot++) {
		const struct base_pages page =
			base_pages_of(segment, &view->slots[slot], sizeof view->slots[slot]);
		const enum base_page_state state = base_pages_state(&page);
		if (state != BASE_PAGE_GOOD) {
			settle(found, state);
			if (state == BASE_PAGE_AWAY) {
				ask_for(cold, &page, 1);
			}
			return;
		}
		const uint32_t row = view->slots[slot].row_plus_one - 1;
		if (row >= view->rows) {
			break; /* it is empty */
		}
		if (slot - home == SEGMENT_PROBE_SLOTS) {
			seek(cold, number, hash, row, found);
			return;
		}
		if (view->slots[slot].tag != (uint32_t)hash) {
			continue;
		}
		const enum match match = match_row(cold, number, row, found);
		if (match != MATCH_OTHER) {
			found->row = match == MATCH_KEY ? row : found->row;
			return;
		}
	}
	found->segment = NULL;
}

static bool is_pending(const struct found_row *found)
{
	return found->segment != NULL && found->row == (uint32_t)FIND_PENDING;
}

/* Reads what was asked for. */
static void read_pages(const struct cold *cold)
{
	const uint64_t from = clock_monotonic_ns();
	(void)atomic_fetch_add_explicit(&begun, 1, memory_order_relaxed);
	base_pages_read(cold->pages, cold->count);
	histogram_add_shared(&times, clock_monotonic_ns() - from, HISTOGRAM_SHORT_NS);
}

enum status find_cold(const struct find *find, uint32_t first, uint32_t count,
	struct found_row *rows)
{
	struct cold cold;
	cold.find = find;
	cold.status = STATUS_OK;
	do {
		cold.count = 0;
		for (uint32_t i = 0; i < count && cold.status == STATUS_OK; i++) {
			if (is_pending(&rows[i])) {
				probe(&cold, first + i, find->hashes[i], &rows[i]);
			}
		}
		if (cold.count > 0 && !find->may_block) {
			cold.status = STATUS_AGAIN;
		}
		if (cold.status == STATUS_OK && cold.count > 0) {
			read_pages(&cold);
		}
	} while (cold.status == STATUS_OK && cold.count > 0);
	return cold.status;
}
