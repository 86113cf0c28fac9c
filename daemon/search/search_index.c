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
#include "daemon/store/index/index.h"
#include "daemon/store/index/written.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/table_counts.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/system/clock.h"

/* The time of a kind of search is an average: a single one may take so many times as long. */
enum { PACE_TIMES = 3 };

static struct index *index_of(const struct search *search)
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
	const struct index *index = index_of(search);
	const struct query *query = search->options.query;
	return index != NULL && index_is_sound(index) &&
	       metric_of(search->options.place->metric, &metric) && query->parts == 1 &&
	       query->weights == NULL && query->age_weights == NULL;
}

/* The metric and the factor of a search. */
struct balls_kind {
	enum balls_metric metric;
	float factor;
};

/* For a search for so many rows. */
static struct balls_kind kind_of(const struct search *search, const struct index *index,
	uint64_t hits)
{
	struct balls_kind kind = {.metric = BALLS_INNER_PRODUCT};
	const bool is_known = metric_of(search->options.place->metric, &kind.metric);
	assert(is_known); /* else search_index_can is false */
	const double recall = balls_recall_to_ask(&index->balls, search->options.recall);
	kind.factor = balls_factor_for(&index->balls, kind.metric, recall, hits);
	return kind;
}

uint64_t search_index_expect_ns(const struct search *search)
{
	const struct table *items = search->options.place->items;
	struct index *index = index_of(search);
	const struct balls_kind kind = kind_of(search, index, search->options.k);
	const uint64_t each_ns =
		index_pace_expect(&index->pace, kind.metric, search->options.k, kind.factor);
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

uint64_t search_index_scanned(const struct search *search)
{
	const struct table *items = search->options.place->items;
	uint64_t rows = 0;
	for (size_t i = 1; i < items->level_count; i++) {
		rows += table_image(items, i) == NULL ? items->levels[i]->rows : 0;
	}
	return rows;
}

/* What the queries of a search are taken to. */
struct tour {
	/* That of the table when the tour began: another may be swapped in meanwhile, and its axes may be others. */
	struct index *index;
	struct balls_space space;
	/* The index, and what has its axes: factors hold for all of these. */
	size_t part_count;
	struct search_part parts[1 + TABLE_LEVELS_MAX - 1 + WRITTEN_IMAGES_MAX];
	size_t other_count;
	struct search_part others[TABLE_LEVELS_MAX]; /* deltas on other axes */
};
static_assert(TABLE_LEVELS_MAX - 1 + WRITTEN_IMAGES_MAX <= BALLS_BESIDE_MAX,
	"one search takes all images");

/* Whether an image has the axes of the index. */
static bool is_on_axes(const struct tour *tour, uint64_t axes, const struct balls *image)
{
	return axes == tour->index->axes && balls_are_alike(image, &tour->index->balls);
}

/* The number of the next row of the parts. */
static uint64_t next_number(const struct tour *tour)
{
	const struct search_part *last = &tour->parts[tour->part_count - 1];
	return (uint64_t)last->first + last->balls->rows;
}

/* Whether numbers of 32 bits suffice for the parts with one more. */
static bool has_numbers(const struct tour *tour, const struct balls *more)
{
	return next_number(tour) + more->rows <= UINT32_MAX;
}

static void add_part(struct tour *tour, struct search_part part)
{
	part.first = (uint32_t)next_number(tour);
	tour->parts[tour->part_count++] = part;
}

/* Lets the walk pass over the base, and over the deltas that have an image. */
static void choose_levels(struct search *search, struct tour *tour)
{
	const struct table *items = search->options.place->items;
	rows_skip_level(&search->rows, 0);
	tour->parts[tour->part_count++] = (struct search_part){.balls = &tour->index->balls};
	for (size_t i = 1; i < items->level_count; i++) {
		const struct index *image = table_image(items, i);
		if (image == NULL) {
			continue;
		}
		const struct search_part part = {
			.balls = &image->balls,
			.first_of_files = rows_first_of(&search->rows, i),
		};
		if (is_on_axes(tour, image->axes, &image->balls) &&
			has_numbers(tour, &image->balls)) {
			add_part(tour, part);
		} else {
			tour->others[tour->other_count++] = part;
		}
		rows_skip_level(&search->rows, i);
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
			has_numbers(tour, &image->balls) &&
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
	assert(tour->parts[0].balls->dim == visit->search->options.query->dim);
	enum status status =
		search_visit_balls(visit, tour->parts, tour->part_count, asked, &tour->space);
	*is_exact = asked->exact;
	asked->factor = 1;
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
	index_pace_learn(&tour->index->pace, kind->metric, search->options.k, kind->factor,
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

static uint64_t hits_to_expect(const struct search *search, struct index *index)
{
	return is_plain(search) && search_may_drop(search)
		       ? index_pace_hits(&index->pace, search->options.k)
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
		const struct balls_kind wanted = kind_of(search, tour->index, out->hits);
		if (status != STATUS_OK || !out->is_done || wanted.factor <= kind.factor) {
			topk_fini(&before);
			if (status == STATUS_OK && out->is_done && is_plain(search)) {
				index_pace_learn_hits(&tour->index->pace, search->options.k,
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

enum status search_index(struct search *search, bool *is_done, struct error *err)
{
	struct tour tour = {.index = index_of(search)};
	const struct search_place *place = search->options.place;
	assert(search->tops != NULL && search->rows.table == NULL); /* search_restart */
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
	search->is_exact = true;
	search->is_by_users = *tour.index->balls.queries > 0;
	*is_done = true;
	const struct balls_kind kind = kind_of(search, tour.index,
		status == STATUS_OK ? hits_to_expect(search, tour.index) : 0);
	for (uint32_t i = 0; status == STATUS_OK && *is_done && i < search->options.query->count;
		i++) {
		struct outcome outcome = {.is_done = true};
		status = search_surely(search, &tour, i, kind, &outcome, err);
		*is_done = outcome.is_done;
		search->is_exact = search->is_exact && outcome.is_exact;
	}
	balls_space_fini(&tour.space);
	return status;
}
