/* search.c - chooses how to search: among the keys of a list, by an index, or row by row. */
#include "daemon/search/search.h"

#include <assert.h>

#include "daemon/search/expect.h"
#include "daemon/search/listed.h"
#include "daemon/search/search_index.h"
#include "daemon/search/search_list.h"
#include "daemon/search/search_whole.h"
#include "daemon/store/base/base.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/mapfault.h"

enum {
	SET_KEY_NS = 100,     /* a key is asked for in two sets */
	WRITTEN_NS = 50000,   /* every bucket of a memtable is looked into */
	WRITTEN_ROW_NS = 150, /* a row of it is copied */
	STREAM_ROW_NS = 40,   /* the same where rows are read in the order of writing */
	SEGMENT_NS = 15,      /* the state of a segment is looked at, and its rows are counted */
	/* A table of more is not even asked whether it is at hand. */
	SEGMENTS_MAX = 16384,
};

/* ---- begin and end ---- */

enum status search_begin(struct search *search, const struct search_options *options,
	struct error *err)
{
	const struct table_spec *spec = &options->place->items->spec;
	const struct query *query = options->query;
	const struct scorer_shape shape = {
		.metric = options->place->metric,
		.dim = spec->dim,
		.views = spec_row_views(spec),
		.queries = query->count,
		.parts = query->parts,
	};
	assert(query->count > 0 && query->parts > 0 && query->dim == spec->dim);
	assert(options->k > 0 && options->recall > 0 && options->recall <= 1);
	assert(!metric_is_of_bits(options->place->metric) || spec->dtype == DTYPE_BIT);
	*search = (struct search){.options = *options};
	const uint64_t now_ns = clock_monotonic_ns();
	search->leaves_ns = options->may_block ? UINT64_MAX : now_ns + options->here_ns;
	enum status status = listed_scorer_init(&search->scorer, &shape, query);
	if (status == STATUS_OK) {
		status = search_make_room(search);
	}
	return status == STATUS_OK ? status : error_set(err, status, "no memory for a search");
}

void search_end(struct search *search)
{
	search_drop_tops(search);
	rows_end(&search->rows);
	scorer_fini(&search->scorer);
	search_drop_room(search);
}

/* Among the keys of a list: each is looked up, and asked for in the sets of the filter. */
static uint64_t expect_list_ns(const struct search *search)
{
	const struct table *items = search->options.place->items;
	const uint64_t keys = search->options.filter->allow.count;
	return expect_rows_ns(items, listed_dtype(&search->scorer), keys) + keys * SET_KEY_NS +
	       expect_scores_ns(items, &search->scorer.shape, keys);
}

/* Going through so many rows of the memtable. */
static uint64_t expect_written_ns(const struct table *items, uint64_t written)
{
	if (items->spec.index != INDEX_NONE) {
		return written * STREAM_ROW_NS;
	}
	return (written > 0 ? WRITTEN_NS : 0) + written * WRITTEN_ROW_NS;
}

uint64_t search_expect_ns(const struct search *search)
{
	const struct table *items = search->options.place->items;
	if (search_is_listed(search)) {
		return expect_list_ns(search);
	}
	const size_t segments = table_segment_count(items);
	if (segments > SEGMENTS_MAX || !table_is_at_hand(items)) {
		return UINT64_MAX;
	}
	const bool by_index = search_index_can(search);
	const uint64_t written =
		by_index ? search_index_written(search) : memtable_rows(items->memtable);
	const uint64_t first_ns = segments * SEGMENT_NS + expect_written_ns(items, written) +
				  expect_scores_ns(items, &search->scorer.shape,
					  written + (by_index ? search_index_scanned(search) : 0));
	const uint64_t then_ns =
		by_index ? search_index_expect_ns(search)
			 : expect_scores_ns(items, &search->scorer.shape, items->rows);
	return then_ns > UINT64_MAX - first_ns ? UINT64_MAX : first_ns + then_ns;
}

/* ---- run ---- */

/* Searches by the index if there is one, and else row by row. */
static enum status look_everywhere(struct search *search, struct error *err)
{
	bool is_done = false;
	if (search_index_can(search)) {
		const enum status status = search_index(search, &is_done, err);
		if (status != STATUS_OK || is_done) {
			return status;
		}
		if (search_restart(search) != STATUS_OK) {
			return error_set(err, STATUS_NO_MEMORY, "no memory for a search");
		}
	}
	search->is_exact = true;
	assert(search->compared == 0);
	return search_whole(search, err);
}

static enum status search_all(struct search *search, struct error *err)
{
	enum status status;
	unsigned faults;
	do {
		/* A map that failed gave zeros. The second time its segment is known to be
		 * damaged. */
		faults = mapfault_count();
		status = search_restart(search);
		if (status != STATUS_OK) {
			return error_set(err, status, "no memory for a search");
		}
		status = look_everywhere(search, err);
	} while (status == STATUS_OK && mapfault_count() != faults);
	return status;
}

enum status search_run(struct search *search, struct error *err)
{
	const enum status status =
		search_is_listed(search) ? search_list(search, err) : search_all(search, err);
	for (uint32_t i = 0; status == STATUS_OK && i < search->options.query->count; i++) {
		topk_finish(&search->tops[i]);
	}
	search->is_exact = search->is_exact || search_is_listed(search);
	assert(status != STATUS_AGAIN || !search->options.may_block);
	return status;
}
