/* search_visit.c - decides whether each row that balls name may be found, and scores it in full. */
#include "daemon/search/search_visit.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "daemon/search/search_rules.h"
#include "daemon/store/index/written.h"

enum {
	LINE_BYTES = 64,
	LINES_MAX = 64, /* of a row; the processor itself asks for the lines behind these in time */
	/* The memory of so many rows is asked for before the first of them is read. */
	AHEAD_ROWS = 64,
	/* If of more rows than this fewer than one in TRIED_PASSING passes the filter, it is faster
	 * to go through the table row by row. */
	TRIED_ROWS = 16384,
	TRIED_PASSING = 8,
};

/* A row that balls name: of the files, or of the memtable. */
struct named {
	const struct row_version *version; /* NULL: of the files */
	bool is_deleted;                   /* a tombstone of a delta */
	struct stored_row stored;
	const int64_t *time_ms;
	const uint64_t *tags;
};

static void stop(struct search_visit *visit, enum status status)
{
	visit->status = visit->status == STATUS_OK ? status : visit->status;
	atomic_store_explicit(&visit->cancel, true, memory_order_relaxed);
}

/* Where a row is; nothing of it is read yet. */
static void find_named(const struct search_visit *visit, uint32_t number, struct named *out)
{
	const struct search *search = visit->search;
	if (visit->image != NULL) {
		const struct row_version *version = visit->image->versions[number];
		*out = (struct named){
			.version = version,
			.stored = {.data = version->row, .scale = &version->scale},
			.time_ms = &version->time_ms,
			.tags = search_spec(search)->tags ? &version->tags : NULL,
		};
		return;
	}
	const struct row_place place = rows_place(&search->rows, visit->first + number);
	const struct segment *view = place.view;
	*out = (struct named){
		.is_deleted = segment_is_deleted(view, place.row),
		.stored = {.data = view->row_data + (size_t)place.row * view->row_bytes,
			.scale = view->scales == NULL ? NULL : &view->scales[place.row]},
		.time_ms = &view->times[place.row],
		.tags = view->tags == NULL ? NULL : &view->tags[place.row],
	};
}

static void prefetch(const struct named *named, size_t row_bytes)
{
	size_t lines = (row_bytes + LINE_BYTES - 1) / LINE_BYTES;
	lines = lines < LINES_MAX ? lines : LINES_MAX;
	if (named->version != NULL) {
		__builtin_prefetch(named->version);
	}
	for (size_t line = 0; line < lines; line++) {
		__builtin_prefetch(named->stored.data + line * LINE_BYTES);
	}
}

static uint64_t id_of(const struct search_visit *visit, uint32_t number)
{
	return visit->image == NULL ? rows_first_base_id + visit->first + number
				    : visit->image->ids[number];
}

/* Whether a row that is good enough to be kept may not be found. */
static enum status is_dropped(const struct search_visit *visit, const struct named *named,
	uint32_t number, bool *out)
{
	const struct rows *rows = &visit->search->rows;
	const uint64_t id = id_of(visit, number);
	/* It was written again since the image was made. */
	*out = named->version != NULL && !rows_is_newest(rows, id, named->version);
	return *out ? STATUS_OK : search_is_dropped(visit->search, id, out);
}

/* The score of a row, or NaN if the row may not be found. This asks only about a score that is good
 * enough to be kept: it costs a look-up. */
static float judged(struct search_visit *visit, float score, const struct named *named,
	uint32_t number, bool passes)
{
	bool drops = !passes;
	if (!(score >= visit->asked->bar)) {
		return passes ? score : NAN;
	}
	enum status status = STATUS_OK;
	if (passes) {
		status = is_dropped(visit, named, number, &drops);
	}
	if (status == STATUS_OK && drops && visit->is_ranked) {
		status = search_rank_add(&visit->rank, score);
	}
	if (status != STATUS_OK) {
		stop(visit, status);
	}
	return drops ? NAN : score;
}

/* Asks for the memory of what tells whether rows of files may be found, of those that will be asked about. */
static void prefetch_judging(const struct search_visit *visit, const uint32_t *rows, uint32_t count,
	const uint32_t *chosen)
{
	const struct rows *of = &visit->search->rows;
	const float threshold = visit->asked->bar;
	if (visit->image != NULL || !rows_are_followed(of)) {
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (visit->scores[i] >= threshold) {
			rows_prefetch_newer(of, id_of(visit, rows[chosen[i]]));
		}
	}
}

/* Scores at most AHEAD_ROWS rows, and at most scorer.rows_max. */
static void score_some(struct search_visit *visit, const uint32_t *rows, uint32_t count,
	float *scores)
{
	struct named named[AHEAD_ROWS];
	uint32_t chosen[AHEAD_ROWS] = {0};
	bool passes[AHEAD_ROWS];
	uint32_t some = 0;
	const bool is_followed = rows_are_followed(&visit->search->rows);
	assert(count <= AHEAD_ROWS && count <= visit->scorer.rows_max);
	for (uint32_t i = 0; i < count; i++) {
		find_named(visit, rows[i], &named[i]);
		prefetch(&named[i], spec_row_bytes(search_spec(visit->search)));
		if (is_followed) {
			/* Most rows that are scored are good enough to be asked about. */
			rows_prefetch_key(&visit->search->rows, id_of(visit, rows[i]));
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		passes[i] = search_passes(visit->search, named[i].time_ms, named[i].tags);
		passes[i] = passes[i] && !named[i].is_deleted;
		visit->passed += passes[i];
		chosen[some] = i;
		some += passes[i] || (visit->is_ranked && !named[i].is_deleted);
		scores[i] = NAN;
	}
	for (uint32_t i = 0; i < some; i++) {
		stored_read(&visit->reader, &named[chosen[i]].stored,
			visit->rows + i * scorer_row_bytes(&visit->scorer), NULL);
	}
	if (some > 0) {
		scorer_run(&visit->scorer, visit->rows, some, visit->scores);
		prefetch_judging(visit, rows, some, chosen);
	}
	for (uint32_t i = 0; i < some; i++) {
		const uint32_t which = chosen[i];
		scores[which] =
			judged(visit, visit->scores[i], &named[which], rows[which], passes[which]);
	}
	visit->tried += count;
	assert(some <= count);
}

static void score(void *arg, const uint32_t *rows, uint32_t count, float *scores)
{
	struct search_visit *visit = arg;
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

enum status search_visit_open(struct search_visit *visit, struct search *search, uint32_t query)
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
	status = stored_reader_init(&visit->reader, search_spec(search), DTYPE_F32, false);
	const size_t rows = visit->scorer.rows_max;
	visit->rows = malloc(AHEAD_ROWS * scorer_row_bytes(&visit->scorer));
	visit->scores = malloc(rows * sizeof *visit->scores);
	return visit->rows == NULL || visit->scores == NULL ? STATUS_NO_MEMORY : status;
}

void search_visit_close(struct search_visit *visit)
{
	scorer_fini(&visit->scorer);
	free(visit->rows);
	free(visit->scores);
	search_rank_fini(&visit->rank);
}

enum status search_visit_balls(struct search_visit *visit, const struct balls *balls,
	const struct written_image *image, struct balls_query *asked, struct balls_space *space)
{
	visit->image = image;
	visit->asked = asked;
	asked->score = score;
	asked->arg = visit;
	asked->top = visit->top;
	asked->first_id = rows_first_base_id + visit->first;
	asked->ids = image == NULL ? NULL : image->ids;
	asked->cancel = &visit->cancel;
	const enum status status = balls_search(balls, asked, space);
	visit->search->compared += asked->compared;
	return status;
}

enum status search_visit_reason(const struct search_visit *visit, enum status status)
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
