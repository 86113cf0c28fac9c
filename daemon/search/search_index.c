/* search_index.c - scores the rows of the memtable first, so that the k-th best score is high
 * early. Then the index names rows of the base files, and this file decides whether each may be
 * found and scores it in full. */
#include "daemon/search/search_index.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "daemon/search/expect.h"
#include "daemon/search/search_rank.h"
#include "daemon/search/search_rules.h"
#include "daemon/search/search_whole.h"
#include "daemon/store/base/base.h"
#include "daemon/store/index/index.h"
#include "daemon/store/row/stored.h"
#include "daemon/store/system/clock.h"

enum {
	LINE_BYTES = 64,
	LINES_MAX = 64, /* of a row; the processor itself asks for the lines behind these in time */
	/* The memory of so many rows is asked for before the first of them is read. */
	AHEAD_ROWS = 64,
	/* If of more rows than this fewer than one in TRIED_PASSING passes the filter, it is faster
	 * to go through the table row by row. */
	TRIED_ROWS = 16384,
	TRIED_PASSING = 8,
	/* The time of a kind of search is an average: a single one may take so many times as long. */
	PACE_TIMES = 3,
};

/* One query on its way through the index. */
struct visit {
	struct search *search;
	struct topk *top;
	struct scorer scorer; /* of this query alone */
	struct stored_reader reader;
	uint8_t *rows; /* owned: as the scorer takes them */
	float *scores; /* owned */
	uint64_t tried;
	uint64_t passed;
	/* Rows that may not be found are scored too, and `rank` keeps their scores. */
	bool is_ranked;
	struct search_rank rank;
	enum status status; /* why it was cancelled; OK: it was not, or it is sparse */
	bool is_sparse;     /* too few rows pass the filter */
	_Atomic bool cancel;
	struct error *err;
};

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

/* The metric and the factor of a search of the index. */
struct balls_kind {
	enum balls_metric metric;
	float factor;
};

/* For a search for so many rows. */
static struct balls_kind kind_of(const struct search *search, uint64_t hits)
{
	struct balls_kind kind = {.metric = BALLS_INNER_PRODUCT};
	const bool is_known = metric_of(search->options.place->metric, &kind.metric);
	assert(is_known); /* else search_index_can is false */
	const struct balls *balls = &index_of(search)->balls;
	kind.factor = balls_factor_for(balls, kind.metric,
		balls_recall_to_ask(balls, search->options.recall), hits);
	return kind;
}

uint64_t search_index_expect_ns(const struct search *search)
{
	const struct table *items = search->options.place->items;
	const struct balls_kind kind = kind_of(search, search->options.k);
	const uint64_t each_ns = index_pace_expect(&index_of(search)->pace, kind.metric,
		search->options.k, kind.factor);
	if (each_ns == 0) {
		return UINT64_MAX;
	}
	const uint64_t all_ns = search->options.query->count * each_ns * PACE_TIMES;
	/* When few rows pass, it goes through all of them instead. */
	return search->options.filter->has_tags
		       ? all_ns + expect_scores_ns(items, &search->scorer.shape, items->rows)
		       : all_ns;
}

/* ---- rows that the index names ---- */

static void stop(struct visit *visit, enum status status)
{
	visit->status = visit->status == STATUS_OK ? status : visit->status;
	atomic_store_explicit(&visit->cancel, true, memory_order_relaxed);
}

static void prefetch(const struct row_place *place)
{
	const uint8_t *row = place->view->row_data + (size_t)place->row * place->view->row_bytes;
	size_t lines = (place->view->row_bytes + LINE_BYTES - 1) / LINE_BYTES;
	lines = lines < LINES_MAX ? lines : LINES_MAX;
	for (size_t line = 0; line < lines; line++) {
		__builtin_prefetch(row + line * LINE_BYTES);
	}
}

static void read_row(const struct visit *visit, const struct row_place *place, uint8_t *out)
{
	const struct segment *view = place->view;
	const struct stored_row row = {
		.data = view->row_data + (size_t)place->row * view->row_bytes,
		.scale = view->scales == NULL ? NULL : &view->scales[place->row],
	};
	stored_read(&visit->reader, &row, out, NULL);
}

/* The score of a row, or NaN if the row may not be found. This asks only about a score that is good
 * enough to be kept: search_is_dropped costs a look-up. */
static float judged(struct visit *visit, float score, uint32_t row, bool passes)
{
	bool is_dropped = !passes;
	if (!(score >= topk_threshold(visit->top))) {
		return passes ? score : NAN;
	}
	enum status status = STATUS_OK;
	if (passes) {
		status = search_is_dropped(visit->search, rows_first_base_id + row, &is_dropped);
	}
	if (status == STATUS_OK && is_dropped && visit->is_ranked) {
		status = search_rank_add(&visit->rank, score);
	}
	if (status != STATUS_OK) {
		stop(visit, status);
	}
	return is_dropped ? NAN : score;
}

/* Scores at most AHEAD_ROWS rows, and at most scorer.rows_max. */
static void score_some(struct visit *visit, const uint32_t *rows, uint32_t count, float *scores)
{
	struct row_place places[AHEAD_ROWS];
	uint32_t chosen[AHEAD_ROWS] = {0};
	bool passes[AHEAD_ROWS];
	uint32_t some = 0;
	assert(count <= AHEAD_ROWS && count <= visit->scorer.rows_max);
	for (uint32_t i = 0; i < count; i++) {
		places[i] = rows_place(&visit->search->rows, rows[i]);
		prefetch(&places[i]);
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct segment *view = places[i].view;
		const uint32_t row = places[i].row;
		passes[i] = search_passes(visit->search, view->times + row,
			view->tags == NULL ? NULL : view->tags + row);
		visit->passed += passes[i];
		chosen[some] = i;
		some += passes[i] || visit->is_ranked;
		scores[i] = NAN;
	}
	for (uint32_t i = 0; i < some; i++) {
		read_row(visit, &places[chosen[i]],
			visit->rows + i * scorer_row_bytes(&visit->scorer));
	}
	if (some > 0) {
		scorer_run(&visit->scorer, visit->rows, some, visit->scores);
	}
	for (uint32_t i = 0; i < some; i++) {
		const uint32_t which = chosen[i];
		scores[which] = judged(visit, visit->scores[i], rows[which], passes[which]);
	}
	visit->tried += count;
	assert(some <= count);
}

static void score(void *arg, const uint32_t *rows, uint32_t count, float *scores)
{
	struct visit *visit = arg;
	const uint32_t most =
		visit->scorer.rows_max < AHEAD_ROWS ? visit->scorer.rows_max : AHEAD_ROWS;
	for (uint32_t i = 0; i < count; i += most) {
		score_some(visit, rows + i, count - i < most ? count - i : most, scores + i);
	}
	const enum status status = search_check_time(visit->search, visit->err);
	if (status != STATUS_OK) {
		stop(visit, status);
	}
	if (visit->tried > TRIED_ROWS && visit->passed * TRIED_PASSING < visit->tried) {
		visit->is_sparse = true;
		stop(visit, STATUS_OK);
	}
}

/* ---- one query ---- */

static enum status open_visit(struct visit *visit, struct search *search, uint32_t query)
{
	const struct query *of = search->options.query;
	struct scorer_shape shape = search->scorer.shape;
	assert(query < of->count && shape.parts == 1);
	shape.queries = 1;
	visit->search = search;
	visit->top = &search->tops[query];
	enum status status = scorer_init(&visit->scorer, &shape,
		(const float *)of->vectors + (size_t)query * of->dim, NULL);
	if (status != STATUS_OK) {
		return status;
	}
	/* This reader converts to f32, so it allocates nothing and needs no fini. */
	status = stored_reader_init(&visit->reader, &search->options.place->items->spec, DTYPE_F32,
		false);
	const size_t rows = visit->scorer.rows_max;
	visit->rows = malloc(AHEAD_ROWS * scorer_row_bytes(&visit->scorer));
	visit->scores = malloc(rows * sizeof *visit->scores);
	return visit->rows == NULL || visit->scores == NULL ? STATUS_NO_MEMORY : status;
}

static void close_visit(struct visit *visit)
{
	scorer_fini(&visit->scorer);
	free(visit->rows);
	free(visit->scores);
	search_rank_fini(&visit->rank);
}

/* What a search for one query has come to. */
struct outcome {
	bool is_done; /* false: too few rows pass the filter */
	bool is_exact;
	uint64_t hits; /* rows that reach the k-th best score, with those that may not be found */
};

/* Why a visit has failed, if it has. */
static enum status reason_of(const struct visit *visit, enum status status)
{
	const char *table = search_spec(visit->search)->name.text;
	if (visit->status != STATUS_OK) {
		status = visit->status;
	} else if (visit->is_sparse) {
		status = STATUS_OK;
	}
	return status == STATUS_CORRUPT
		       ? error_set(visit->err, status, "table '%s': a damaged segment", table)
	       : status == STATUS_NO_MEMORY
		       ? error_set(visit->err, status, "no memory for a search")
		       : status;
}

static enum status search_one(struct search *search, struct balls_space *space, uint32_t query,
	const struct balls_kind *kind, struct outcome *out, struct error *err)
{
	struct visit visit = {.search = search, .err = err};
	struct index *index = index_of(search);
	const uint64_t began_ns = clock_monotonic_ns();
	visit.is_ranked = kind->factor < 1 && search_may_drop(search);
	enum status status = open_visit(&visit, search, query);
	if (status != STATUS_OK) {
		close_visit(&visit);
		return error_set(err, status, "no memory for a search");
	}
	struct balls_query asked = {
		.query = (const float *)search->options.query->vectors +
			 (size_t)query * search->options.query->dim,
		.metric = kind->metric,
		.factor = kind->factor,
		.score = score,
		.arg = &visit,
		.top = visit.top,
		.first_id = rows_first_base_id,
		.cancel = &visit.cancel,
	};
	assert(index->balls.dim == search->options.query->dim);
	status = balls_search(&index->balls, &asked, space);
	index_pace_learn(&index->pace, kind->metric, search->options.k, kind->factor,
		clock_monotonic_ns() - began_ns);
	search->compared += asked.compared;
	*out = (struct outcome){.is_done = !visit.is_sparse, .is_exact = asked.exact};
	if (visit.is_ranked) {
		out->hits = search_rank_of(&visit.rank, visit.top);
	}
	status = reason_of(&visit, status);
	close_visit(&visit);
	return status;
}

/* Searches for one query. If it turns out that the best are among more rows than the factor was
 * chosen for, it searches again, by a greater one. */
static enum status search_surely(struct search *search, struct balls_space *space, uint32_t query,
	struct balls_kind kind, struct outcome *out, struct error *err)
{
	struct topk *top = &search->tops[query];
	struct topk before = {0}; /* what rows of the memtable have come to */
	if (kind.factor >= 1 || !search_may_drop(search)) {
		return search_one(search, space, query, &kind, out, err);
	}
	enum status status = topk_copy(top, &before);
	while (status == STATUS_OK) {
		status = search_one(search, space, query, &kind, out, err);
		const float wanted = kind_of(search, out->hits).factor;
		if (status != STATUS_OK || !out->is_done || wanted <= kind.factor) {
			topk_fini(&before);
			return status;
		}
		kind.factor = wanted;
		topk_fini(top);
		status = topk_copy(&before, top);
	}
	topk_fini(&before);
	return error_set(err, status, "no memory for a search");
}

/* ---- all queries ---- */

/* Rows that the index names are read without a check, so every segment is checked before. */
static enum status wait_for_segments(const struct search *search, struct error *err)
{
	struct base_set *set = search->options.place->items->bases;
	for (size_t i = 0; i < set->segment_count; i++) {
		const enum base_segment_state state = base_segment_state(set->segments[i]);
		if (state == BASE_DAMAGED ||
			(state == BASE_UNCHECKED && base_segment_wait(set, i) != BASE_READY)) {
			return error_set(err, STATUS_CORRUPT, "table '%s': a damaged segment",
				search->options.place->items->spec.name.text);
		}
	}
	return STATUS_OK;
}

static enum status go_through_memtable(struct search *search, struct error *err)
{
	enum status status = STATUS_OK;
	while (status == STATUS_OK) {
		status = search_check_time(search, err);
		if (status != STATUS_OK) {
			return status;
		}
		status = rows_next(&search->rows);
		if (status != STATUS_OK || search->rows.block.ids == NULL) {
			break;
		}
		status = search_block(search);
	}
	return status == STATUS_OK ? status : error_set(err, status, "no memory for a search");
}

enum status search_index(struct search *search, bool *is_done, struct error *err)
{
	struct balls_space space = {0};
	const struct search_place *place = search->options.place;
	assert(search->tops != NULL && search->rows.table == NULL); /* search_restart */
	enum status status = wait_for_segments(search, err);
	if (status == STATUS_OK && rows_begin(&search->rows, place->items, place->visible,
					   search->scorer.rows_max) != STATUS_OK) {
		status = error_set(err, STATUS_NO_MEMORY, "no memory for a search");
	}
	if (status == STATUS_OK) {
		status = go_through_memtable(search, err);
	}
	search->is_exact = true;
	search->is_by_users = *index_of(search)->balls.queries > 0;
	*is_done = true;
	const struct balls_kind kind =
		kind_of(search, status == STATUS_OK ? search_hits_among(search) : 0);
	for (uint32_t i = 0; status == STATUS_OK && *is_done && i < search->options.query->count;
		i++) {
		struct outcome outcome = {.is_done = true};
		status = search_surely(search, &space, i, kind, &outcome, err);
		*is_done = outcome.is_done;
		search->is_exact = search->is_exact && outcome.is_exact;
	}
	balls_space_fini(&space);
	return status;
}
