/* search_index.c - scores the rows of the memtable, and of deltas, that no image has first. Then the index names
 * rows of the base, and images name rows of deltas and of the memtable; search_visit.c judges and scores these. */
#include "daemon/search/search_index.h"

#include <assert.h>

#include "daemon/search/expect.h"
#include "daemon/search/search_rank.h"
#include "daemon/search/search_rules.h"
#include "daemon/search/search_visit.h"
#include "daemon/search/search_whole.h"
#include "daemon/store/base/base.h"
#include "daemon/store/index/indexes.h"
#include "daemon/store/index/written.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/table_counts.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/system/clock.h"

/* The time of a kind of search is an average: a single one may take so many times as long. */
enum { PACE_TIMES = 3 };

/* So many files are searched that have other axes than most; more are scanned. */
enum { OTHERS_MAX = 32 };

static struct indexes *index_of(const struct search *search)
{
	return atomic_load_explicit(&((struct table *)search->options.place->items)->index,
		memory_order_acquire);
}

static bool metric_of(enum metric metric, enum balls_metric *out)
{
	switch (metric) {
	case METRIC_INNER_PRODUCT:
		*out = BALLS_INNER_PRODUCT;
		return true;
	case METRIC_COSINE:
		*out = BALLS_COSINE;
		return true;
	case METRIC_L2:
		*out = BALLS_L2;
		return true;
	case METRIC_NONE:
	case METRIC_TANIMOTO:
	case METRIC_DICE:
	case METRIC_HAMMING:
		break;
	}
	return false;
}

bool search_index_can(const struct search *search)
{
	enum balls_metric metric;
	const struct query *query = search->options.query;
	return indexes_lead(index_of(search)) != NULL &&
	       metric_of(search->options.place->metric, &metric) && query->parts == 1 &&
	       query->weights == NULL && query->age_weights == NULL;
}

/* The metric and the factor of a search. */
struct balls_kind {
	enum balls_metric metric;
	float factor;
};

/* For a search for so many rows by an index, of which `lead` has the recalls. */
static struct balls_kind kind_of(const struct search *search, const struct indexes *indexes,
	const struct index *lead, uint64_t hits)
{
	struct balls_kind kind = {.metric = BALLS_INNER_PRODUCT};
	const bool is_known = metric_of(search->options.place->metric, &kind.metric);
	assert(is_known); /* else search_index_can is false */
	const double recall = balls_recall_to_ask(&lead->balls, search->options.recall);
	kind.factor = table_index_is_stale(indexes)
			      ? 1
			      : balls_factor_for(&lead->balls, kind.metric, recall, hits);
	return kind;
}

uint64_t search_index_expect_ns(const struct search *search)
{
	const struct table *items = search->options.place->items;
	const struct indexes *indexes = index_of(search);
	const struct index *lead = indexes_lead(indexes);
	if (lead == NULL) {
		return UINT64_MAX; /* it has failed since search_index_can */
	}
	const struct balls_kind kind = kind_of(search, indexes, lead, search->options.k);
	const uint64_t each_ns =
		index_pace_expect(&indexes->pace, kind.metric, search->options.k, kind.factor);
	if (each_ns == 0) {
		return UINT64_MAX;
	}
	const uint64_t all_ns = search->options.query->count * each_ns * PACE_TIMES;
	/* When few rows pass, it goes through all of them instead. */
	return search->options.filter->has_tags
		       ? all_ns + expect_scores_ns(items, &search->scorer.shape, items->rows)
		       : all_ns;
}

/* ---- images of what was written ---- */

static const struct written_images *images_of(const struct search *search)
{
	return atomic_load_explicit(&search->options.place->items->memtable->images,
		memory_order_acquire);
}

uint64_t search_index_written(const struct search *search)
{
	const uint64_t written = memtable_rows(search->options.place->items->memtable);
	const struct written_images *images = images_of(search);
	uint64_t imaged = 0;
	for (size_t i = 0; images != NULL && i < images->count; i++) {
		imaged += images->images[i]->balls.rows;
	}
	return written > imaged ? written - imaged : 0;
}

/* The indexes of the files of a level; NULL: there are none. */
static const struct indexes *of_level(const struct indexes *base, const struct table *items,
	size_t level)
{
	return level == 0 ? base : table_images(items, level);
}

uint64_t search_index_scanned(const struct search *search)
{
	const struct table *items = search->options.place->items;
	const struct indexes *base = index_of(search);
	uint64_t rows = 0;
	for (size_t i = 0; i < items->level_count; i++) {
		const struct indexes *of = of_level(base, items, i);
		for (size_t j = 0; j < items->levels[i]->file_count; j++) {
			const struct base_file_info *file = &items->levels[i]->files[j];
			rows += indexes_of(of, j) == NULL ? index_file_rows(file) - file->deleted
							  : 0;
		}
	}
	return rows;
}

/* What the queries of a search are taken to. */
struct tour {
	/* That of the table when the tour began: another may be swapped in meanwhile, and its axes may be others. */
	struct indexes *indexes;
	const struct index *lead; /* of these */
	struct balls_space space;
	/* The index, as many parts as files, and what has its axes: factors hold for all of these. */
	size_t cut_count; /* of the index */
	size_t part_count;
	struct search_part parts[1 + BALLS_BESIDE_MAX];
	size_t other_count;
	struct search_part others[OTHERS_MAX]; /* files on other axes */
};

static void tour_begin(struct tour *tour, struct indexes *indexes)
{
	tour->indexes = indexes;
	tour->lead = indexes_lead(indexes);
	tour->space = (struct balls_space){0};
	tour->cut_count = 0;
	tour->part_count = 0;
	tour->other_count = 0;
}

/* Whether an image has the axes of the index. */
static bool is_on_axes(const struct tour *tour, uint64_t axes, const struct balls *image)
{
	return axes == tour->lead->axes && balls_are_alike(image, &tour->lead->balls);
}

/* The number of the next row of the parts. */
static uint64_t next_number(const struct tour *tour)
{
	if (tour->part_count == 0) {
		return 0;
	}
	const struct search_part *last = &tour->parts[tour->part_count - 1];
	return (uint64_t)last->first + last->balls->rows;
}

/* Whether there is room for one part more beside `kept` places for others, and numbers of 32 bits suffice for it. */
static bool has_room(const struct tour *tour, const struct balls *more, size_t kept)
{
	return tour->part_count + kept < 1 + BALLS_BESIDE_MAX &&
	       next_number(tour) + more->rows <= UINT32_MAX;
}

static void add_part(struct tour *tour, struct search_part part)
{
	part.first = (uint32_t)next_number(tour);
	tour->parts[tour->part_count++] = part;
}

/* Lets the walk pass over a file that has an index or an image, for which there is room. */
static void choose_file(struct search *search, struct tour *tour, size_t level, size_t file,
	const struct index *of)
{
	const struct search_part part = {
		.balls = &of->balls,
		.first_of_files = rows_first_of(&search->rows, level, file),
	};
	if (is_on_axes(tour, of->axes, &of->balls) &&
		has_room(tour, &of->balls, WRITTEN_IMAGES_MAX)) {
		add_part(tour, part);
	} else if (tour->other_count < OTHERS_MAX) {
		tour->others[tour->other_count++] = part;
	} else {
		return;
	}
	(void)rows_skip_file(&search->rows, level, file);
}

/* The base first: its files are the index. */
static void choose_levels(struct search *search, struct tour *tour)
{
	const struct table *items = search->options.place->items;
	for (size_t i = 0; i < items->level_count; i++) {
		const struct indexes *of = of_level(tour->indexes, items, i);
		for (size_t j = 0; j < items->levels[i]->file_count; j++) {
			const struct index *index = indexes_of(of, j);
			if (i == 0 && of->of[j] == tour->lead) {
				index = tour->lead; /* also if it has failed since */
			}
			if (index != NULL) {
				choose_file(search, tour, i, j, index);
			}
		}
		tour->cut_count = i == 0 ? tour->part_count : tour->cut_count;
	}
}

/* Chooses the images, whose rows the walk through the memtable then passes over. Those of other axes are
 * left out, since the factor is none for them; so are those of a moment that the reader does not see
 * yet. */
static void choose_images(struct search *search, struct tour *tour)
{
	const struct written_images *images = images_of(search);
	for (size_t i = 0; images != NULL && i < images->count; i++) {
		const struct written_image *image = images->images[i];
		if (is_on_axes(tour, image->axes, &image->balls) &&
			has_room(tour, &image->balls, 0) &&
			image->visible <= search->options.place->visible &&
			memtable_stream_skip(rows_stream(&search->rows), image->generation,
				image->from, image->end) &&
			image->balls.rows > 0) {
			add_part(tour,
				(struct search_part){.balls = &image->balls, .rows = image->rows});
		}
	}
	if (memtable_stream_left(rows_stream(&search->rows)) > 0) {
		table_counts_want_images(search->options.place->items->counts,
			clock_monotonic_ms());
	}
}

/* ---- one query ---- */

/* What a search for one query has come to. */
struct outcome {
	bool is_done; /* false: too few rows pass the filter */
	bool is_exact;
	uint64_t hits; /* rows that reach the k-th best score, with those that may not be found */
};

/* Searches the index with what has its axes, and then the others for all that they may have: no factor is known for their
 * axes. */
static enum status look_into(struct search_visit *visit, struct tour *tour,
	struct balls_query *asked, bool *is_exact)
{
	assert(tour->cut_count > 0); /* the lead is there */
	asked->cut_count = tour->cut_count - 1;
	enum status status =
		search_visit_balls(visit, tour->parts, tour->part_count, asked, &tour->space);
	*is_exact = asked->exact;
	asked->factor = 1;
	asked->cut_count = 0;
	for (size_t i = 0; status == STATUS_OK && i < tour->other_count; i++) {
		status = search_visit_balls(visit, &tour->others[i], 1, asked, &tour->space);
		*is_exact = *is_exact && asked->exact;
	}
	return status;
}

static enum status search_one(struct search *search, struct tour *tour, uint32_t query,
	const struct balls_kind *kind, struct outcome *out, struct error *err)
{
	struct search_visit visit = {.err = err};
	const uint64_t began_ns = clock_monotonic_ns();
	visit.is_ranked = kind->factor < 1 && search_may_drop(search);
	enum status status = search_visit_open(&visit, search, query);
	if (status != STATUS_OK) {
		search_visit_close(&visit);
		return error_set(err, status, "no memory for a search");
	}
	struct balls_query asked = {
		.query = (const float *)search->options.query->vectors +
			 (size_t)query * search->options.query->dim,
		.metric = kind->metric,
		.factor = kind->factor,
	};
	*out = (struct outcome){0};
	status = look_into(&visit, tour, &asked, &out->is_exact);
	out->is_done = !visit.is_sparse;
	index_pace_learn(&tour->indexes->pace, kind->metric, search->options.k, kind->factor,
		clock_monotonic_ns() - began_ns);
	if (visit.is_ranked) {
		out->hits = search_rank_of(&visit.rank, visit.top);
	}
	status = search_visit_reason(&visit, status);
	search_visit_close(&visit);
	return status;
}

/* Without a filter, searches are alike: earlier ones tell among how many rows the best k are. */
static bool is_plain(const struct search *search)
{
	const struct filter *filter = search->options.filter;
	return !filter->has_tags && key_set_is_empty(&filter->denied);
}

static uint64_t hits_to_expect(const struct search *search, const struct indexes *indexes)
{
	return is_plain(search) && search_may_drop(search)
		       ? index_pace_hits(&indexes->pace, search->options.k)
		       : search_hits_among(search);
}

/* Searches for one query. If it turns out that the best are among more rows than the factor was
 * chosen for, it searches again, by a greater one. */
static enum status search_surely(struct search *search, struct tour *tour, uint32_t query,
	struct balls_kind kind, struct outcome *out, struct error *err)
{
	struct topk *top = &search->tops[query];
	struct topk before = {0}; /* what rows of the memtable have come to */
	if (kind.factor >= 1 || !search_may_drop(search)) {
		return search_one(search, tour, query, &kind, out, err);
	}
	enum status status = topk_copy(top, &before);
	while (status == STATUS_OK) {
		status = search_one(search, tour, query, &kind, out, err);
		const struct balls_kind wanted =
			kind_of(search, tour->indexes, tour->lead, out->hits);
		if (status != STATUS_OK || !out->is_done || wanted.factor <= kind.factor) {
			topk_fini(&before);
			if (status == STATUS_OK && out->is_done && is_plain(search)) {
				index_pace_learn_hits(&tour->indexes->pace, search->options.k,
					out->hits);
			}
			return status;
		}
		kind = wanted;
		topk_fini(top);
		status = topk_copy(&before, top);
	}
	topk_fini(&before);
	return error_set(err, status, "no memory for a search");
}

/* ---- all queries ---- */

/* Rows that the index names are read without a check, so every segment is checked before. */
static enum status wait_for_level(const struct search *search, struct base_set *set,
	struct error *err)
{
	for (size_t i = 0; i < set->segment_count; i++) {
		enum base_segment_state state = base_segment_state(set->segments[i]);
		if (state == BASE_UNCHECKED) {
			const enum status status = stop_check(search->options.stop, err);
			if (status != STATUS_OK) {
				return status;
			}
			state = base_segment_wait(set, i) == BASE_READY ? BASE_READY : BASE_DAMAGED;
		}
		if (state == BASE_DAMAGED) {
			return error_set(err, STATUS_CORRUPT, "table '%s': a damaged segment",
				search->options.place->items->spec.name.text);
		}
	}
	return STATUS_OK;
}

static enum status wait_for_segments(const struct search *search, struct error *err)
{
	const struct table *items = search->options.place->items;
	enum status status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < items->level_count; i++) {
		status = wait_for_level(search, items->levels[i]->set, err);
	}
	return status;
}

/* Scores the rows that no image has. */
static enum status go_through_others(struct search *search, struct error *err)
{
	enum status status = STATUS_OK;
	while (status == STATUS_OK) {
		status = search_check_time(search, err);
		if (status != STATUS_OK) {
			return status;
		}
		status = rows_next(&search->rows);
		if (status != STATUS_OK || search->rows.block.count == 0) {
			break;
		}
		status = search_block(search);
	}
	return status == STATUS_OK
		       ? status
		       : error_set(err, status, "table '%s': %s", search_spec(search)->name.text,
				 status == STATUS_CORRUPT ? "a damaged segment"
							  : "no memory for a search");
}

/* Takes all queries to the index, and to the images. */
static enum status search_each(struct search *search, struct tour *tour, bool *is_done,
	struct error *err)
{
	enum status status = STATUS_OK;
	const struct balls_kind kind =
		kind_of(search, tour->indexes, tour->lead, hits_to_expect(search, tour->indexes));
	for (uint32_t i = 0; status == STATUS_OK && *is_done && i < search->options.query->count;
		i++) {
		struct outcome outcome = {.is_done = true};
		status = search_surely(search, tour, i, kind, &outcome, err);
		*is_done = outcome.is_done;
		search->is_exact = search->is_exact && outcome.is_exact;
	}
	return status;
}

enum status search_index(struct search *search, bool *is_done, struct error *err)
{
	struct tour tour; /* most of it is used by few tables, so it is not zeroed */
	const struct search_place *place = search->options.place;
	tour_begin(&tour, index_of(search));
	*is_done = tour.lead != NULL;
	if (!*is_done) {
		return STATUS_OK; /* it has failed since search_index_can */
	}
	assert(search->tops != NULL && search->rows.table == NULL); /* search_restart */
	search->is_exact = true;
	search->is_by_users = *tour.lead->balls.queries > 0;
	enum status status = wait_for_segments(search, err);
	if (status == STATUS_OK && rows_begin(&search->rows, place->items, place->visible,
					   search->scorer.rows_max) != STATUS_OK) {
		status = error_set(err, STATUS_NO_MEMORY, "no memory for a search");
	}
	if (status == STATUS_OK) {
		choose_levels(search, &tour);
		choose_images(search, &tour);
		status = go_through_others(search, err);
	}
	if (status == STATUS_OK) {
		status = search_each(search, &tour, is_done, err);
	}
	balls_space_fini(&tour.space);
	return status;
}
