/* lookup.c - finds a batch of keys block by block and gathers their rows into the reply. */
#include "daemon/store/lookup.h"

#include "daemon/store/age.h"
#include "daemon/store/find.h"
#include "daemon/store/mapfault.h"

#include <string.h>

/* What all rows of one lookup have in common. */
struct gather {
	struct lookup *lookup;
	size_t stride;    /* of the answer */
	size_t row_bytes; /* as stored */
};

static enum why judge(const struct lookup *lookup, const struct found_row *found)
{
	if (found->segment == NULL) {
		return WHY_ABSENT;
	}
	if (found->row == (uint32_t)FIND_CORRUPT) {
		return WHY_CORRUPT;
	}
	const uint64_t ttl_ms = lookup->table->spec.ttl_ms;
	if (ttl_ms == 0 && lookup->max_age_ms == 0) {
		return WHY_FOUND;
	}
	const int64_t time_ms = found->segment->view.times[found->row];
	if (age_is_over(time_ms, lookup->now_ms, ttl_ms)) {
		return WHY_EXPIRED;
	}
	return age_is_over(time_ms, lookup->now_ms, lookup->max_age_ms) ? WHY_TOO_OLD : WHY_FOUND;
}

static void put_zero(const struct gather *gather, uint32_t i)
{
	const struct lookup *lookup = gather->lookup;
	memset(lookup->rows + i * gather->stride, 0, gather->stride);
	if (lookup->scales != NULL) {
		memset(lookup->scales + (size_t)i * 4, 0, 4);
	}
	if (lookup->times != NULL) {
		memset(lookup->times + (size_t)i * 8, 0, 8);
	}
	if (lookup->tags != NULL) {
		memset(lookup->tags + (size_t)i * 8, 0, 8);
	}
}

static void put_row(const struct gather *gather, uint32_t i, const struct found_row *found)
{
	const struct lookup *lookup = gather->lookup;
	const struct segment *view = &found->segment->view;
	const struct table_spec *spec = &lookup->table->spec;
	const uint8_t *row = view->row_data + (size_t)found->row * gather->row_bytes;
	uint8_t *target = lookup->rows + i * gather->stride;
	if (lookup->dtype == spec->dtype) {
		memcpy(target, row, gather->row_bytes);
		if (lookup->scales != NULL) {
			memcpy(lookup->scales + (size_t)i * 4, &view->scales[found->row], 4);
		}
	} else {
		float unwanted;
		const struct dtype_rows to = {
			.dtype = lookup->dtype,
			.rows = target,
			.scales = lookup->scales == NULL ? (void *)&unwanted
							 : lookup->scales + (size_t)i * 4,
		};
		const struct dtype_rows from = {
			.dtype = spec->dtype,
			.rows = (void *)row,
			.scales = view->scales == NULL ? NULL : (void *)&view->scales[found->row],
		};
		dtype_convert(&to, &from, 1, spec->dim, spec->views);
	}
	if (lookup->times != NULL) {
		memcpy(lookup->times + (size_t)i * 8, &view->times[found->row], 8);
	}
	if (lookup->tags != NULL && view->tags != NULL) {
		memcpy(lookup->tags + (size_t)i * 8, &view->tags[found->row], 8);
	} else if (lookup->tags != NULL) {
		memset(lookup->tags + (size_t)i * 8, 0, 8);
	}
}

/* Puts one block of the answer in place; `first` is a multiple of 8. */
static void put_block(const struct gather *gather, uint32_t first, uint32_t count,
	const struct found_row *rows)
{
	struct lookup *lookup = gather->lookup;
	memset(lookup->found + first / 8, 0, (count + 7) / 8);
	for (uint32_t i = 0; i < count; i++) {
		const enum why why = judge(lookup, &rows[i]);
		lookup->counts[why]++;
		if (lookup->why != NULL) {
			lookup->why[first + i] = (uint8_t)why;
		}
		if (why == WHY_FOUND) {
			put_row(gather, first + i, &rows[i]);
			lookup->found[(first + i) / 8] |= (uint8_t)(1u << (first + i) % 8);
		} else {
			put_zero(gather, first + i);
		}
	}
}

static enum status look_up(struct lookup *lookup)
{
	const struct gather gather = {
		.lookup = lookup,
		.stride = dtype_row_bytes(lookup->dtype, lookup->table->spec.dim,
			lookup->table->spec.views),
		.row_bytes = spec_row_bytes(&lookup->table->spec),
	};
	const struct find find = {
		.set = lookup->table->bases,
		.keys = &lookup->keys,
		.wants_times = lookup->times != NULL || lookup->max_age_ms != 0 ||
			       lookup->table->spec.ttl_ms != 0,
		.may_block = lookup->may_block,
	};
	memset(lookup->counts, 0, sizeof lookup->counts);
	struct found_row rows[FIND_BLOCK];
	for (uint32_t first = 0; first < lookup->keys.count; first += FIND_BLOCK) {
		const uint32_t left = lookup->keys.count - first;
		const uint32_t count = left < FIND_BLOCK ? left : FIND_BLOCK;
		if (find.set == NULL) {
			memset(rows, 0, sizeof rows);
		} else {
			const enum status status = find_rows(&find, first, count, rows);
			if (status != STATUS_OK) {
				return status;
			}
		}
		put_block(&gather, first, count, rows);
	}
	return STATUS_OK;
}

enum status table_lookup(struct lookup *lookup, struct error *err)
{
	enum status status;
	unsigned faults;
	do {
		/* A map that failed under us gave zeros; the second time its segment is known to be
		 * damaged. */
		faults = mapfault_count();
		status = look_up(lookup);
	} while (status == STATUS_OK && mapfault_count() != faults);
	if (status == STATUS_OK && lookup->why == NULL && lookup->counts[WHY_CORRUPT] > 0) {
		return error_set(err, STATUS_CORRUPT,
			"table '%s': %u of the keys are in damaged segments; ask with 'why' for the rest",
			lookup->table->spec.name.text, lookup->counts[WHY_CORRUPT]);
	}
	return status;
}
