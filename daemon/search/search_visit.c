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
	uint64_t id;
	const struct written_row *written; /* NULL: of the files */
	struct row_place place;            /* of the files */
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

/* The part that has a row. */
static const struct search_part *part_of(const struct search_visit *visit, uint32_t number)
{
	size_t from = 0;
	size_t behind = visit->part_count;
	while (behind - from > 1) {
		const size_t middle = from + (behind - from) / 2;
		if (visit->parts[middle].first <= number) {
			from = middle;
		} else {
			behind = middle;
		}
	}
	return &visit->parts[from];
}

static uint64_t id_of(void *arg, uint32_t number)
{
	const struct search_part *part = part_of(arg, number);
	number -= part->first;
	return part->rows == NULL ? rows_first_base_id + part->first_of_files + number
				  : rows_id_of_entry(part->rows[number].entry);
}

/* Where a row is; nothing of it is read yet. */
static void find_named(const struct search_visit *visit, uint32_t number, struct named *out)
{
	const struct search *search = visit->search;
	const struct search_part *part = part_of(visit, number);
	number -= part->first;
	if (part->rows != NULL) {
		const struct written_row *row = &part->rows[number];
		const struct row_version *version = row->version;
		*out = (struct named){
			.id = rows_id_of_entry(row->entry),
			.written = row,
			.stored = {.data = version->row, .scale = &version->scale},
			.time_ms = &version->time_ms,
			.tags = search_spec(search)->tags ? &version->tags : NULL,
		};
		return;
	}
	const struct row_place place = rows_place(&search->rows, part->first_of_files + number);
	const struct segment *view = place.view;
	*out = (struct named){
		.id = rows_first_base_id + part->first_of_files + number,
		.place = place,
		.is_deleted = segment_is_deleted(view, place.row),
		.stored = {.data = view->row_data + (size_t)place.row * view->row_bytes,
			.scale = view->scales == NULL ? NULL : &view->scales[place.row]},
		.time_ms = &view->times[place.row],
		.tags = view->tags == NULL ? NULL : &view->tags[place.row],
	};
}

/* Asks for the memory of where rows of images are. */
static void prefetch_places(const struct search_visit *visit, const uint32_t *rows, uint32_t count)
{
	for (uint32_t i = 0; visit->part_count > 1 && i < count; i++) {
		const struct search_part *part = part_of(visit, rows[i]);
		if (part->rows != NULL) {
			__builtin_prefetch(&part->rows[rows[i] - part->first]);
		}
	}
}

static void prefetch(const struct search_visit *visit, const struct named *named)
{
	const size_t row_bytes = spec_row_bytes(search_spec(visit->search));
	size_t lines = (row_bytes + LINE_BYTES - 1) / LINE_BYTES;
	lines = lines < LINES_MAX ? lines : LINES_MAX;
	if (named->written != NULL) {
		__builtin_prefetch(named->written->version);
	}
	for (size_t line = 0; line < lines; line++) {
		__builtin_prefetch(named->stored.data + line * LINE_BYTES);
	}
	if (rows_are_followed(&visit->search->rows)) {
		/* Most rows that are scored are good enough to be asked about. */
		rows_prefetch_key(&visit->search->rows, named->id);
	}
}

/* ---- judging: it is asked only about rows whose score is good enough to be kept, since it costs a look-up ---- */

/* Rows of a batch that are asked about. */
struct judging {
	uint32_t count;
	uint32_t places[AHEAD_ROWS];
	struct rows_asked asked[AHEAD_ROWS];
};

/* Lists the rows that may have been written since, or are denied; *out those that may not be found without a look-up. */
static enum status list_judged(const struct search_visit *visit, const struct named *named,
	const bool *asks, uint32_t count, struct judging *out)
{
	const struct rows *rows = &visit->search->rows;
	const bool all = !key_set_is_empty(&visit->search->options.filter->denied);
	out->count = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (asks[i] && (all || rows_may_be_superseded(rows, named[i].id))) {
			out->places[out->count] = i;
			const enum status status = rows_ask(rows, named[i].id, &named[i].place,
				&out->asked[out->count++]);
			if (status != STATUS_OK) {
				return status;
			}
		}
	}
	return STATUS_OK;
}

/* Of rows that pass so far, those of which asks[i] is true may not be found after all if they were written since, or are
 * denied: passes[i] becomes false. */
static enum status judge(const struct search_visit *visit, const struct named *named,
	const bool *asks, uint32_t count, bool *passes)
{
	const struct rows *rows = &visit->search->rows;
	const struct key_set *denied = &visit->search->options.filter->denied;
	struct judging judging;
	for (uint32_t i = 0; i < count; i++) {
		/* It was written again since the image was made. */
		passes[i] = passes[i] && (!asks[i] || named[i].written == NULL ||
						 rows_is_newest(rows, named[i].written->entry,
							 named[i].written->version));
	}
	const enum status status = list_judged(visit, named, asks, count, &judging);
	if (status != STATUS_OK) {
		return status;
	}
	for (uint32_t i = 0; i < judging.count; i++) {
		rows_ask_entry(rows, &judging.asked[i]);
	}
	for (uint32_t i = 0; i < judging.count; i++) {
		rows_ask_version(rows, &judging.asked[i]);
	}
	for (uint32_t i = 0; i < judging.count; i++) {
		const struct rows_asked *asked = &judging.asked[i];
		bool *out = &passes[judging.places[i]];
		*out = *out && !key_set_has(denied, asked->key, asked->len) &&
		       !(rows_may_be_superseded(rows, asked->id) && rows_answer(rows, asked));
	}
	return STATUS_OK;
}

/* Lists the rows of a batch that are to be scored, with their places in it; *passes: by tags and age. */
static uint32_t choose(struct search_visit *visit, const uint32_t *rows, uint32_t count,
	struct named *named, uint32_t *places, bool *passes)
{
	uint32_t some = 0;
	prefetch_places(visit, rows, count);
	for (uint32_t i = 0; i < count; i++) {
		find_named(visit, rows[i], &named[i]);
		prefetch(visit, &named[i]);
	}
	for (uint32_t i = 0; i < count; i++) {
		const bool passed = !named[i].is_deleted &&
				    search_passes(visit->search, named[i].time_ms, named[i].tags);
		visit->passed += passed;
		if (passed || (visit->is_ranked && !named[i].is_deleted)) {
			passes[some] = passed;
			places[some] = i;
			named[some++] = named[i];
		}
	}
	return some;
}

/* Scores at most AHEAD_ROWS rows, and at most scorer.rows_max. */
static void score_some(struct search_visit *visit, const uint32_t *rows, uint32_t count,
	float *scores)
{
	struct named named[AHEAD_ROWS];
	uint32_t places[AHEAD_ROWS];
	bool passes[AHEAD_ROWS];
	bool asks[AHEAD_ROWS];
	assert(count <= AHEAD_ROWS && count <= visit->scorer.rows_max);
	const uint32_t some = choose(visit, rows, count, named, places, passes);
	for (uint32_t i = 0; i < some; i++) {
		stored_read(&visit->reader, &named[i].stored,
			visit->rows + i * scorer_row_bytes(&visit->scorer), NULL);
	}
	if (some > 0) {
		scorer_run(&visit->scorer, visit->rows, some, visit->scores);
	}
	for (uint32_t i = 0; i < some; i++) {
		asks[i] = passes[i] && visit->scores[i] >= visit->asked->bar;
	}
	enum status status = judge(visit, named, asks, some, passes);
	for (uint32_t i = 0; i < count; i++) {
		scores[i] = NAN;
	}
	for (uint32_t i = 0; i < some && status == STATUS_OK; i++) {
		if (passes[i]) {
			scores[places[i]] = visit->scores[i];
		} else if (visit->is_ranked && visit->scores[i] >= visit->asked->bar) {
			status = search_rank_add(&visit->rank, visit->scores[i]);
		}
	}
	if (status != STATUS_OK) {
		stop(visit, status);
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

enum status search_visit_balls(struct search_visit *visit, const struct search_part *parts,
	size_t count, struct balls_query *asked, struct balls_space *space)
{
	const struct balls *beside[BALLS_BESIDE_MAX];
	assert(count > 0 && count <= 1 + BALLS_BESIDE_MAX && parts[0].first == 0);
	for (size_t i = 1; i < count; i++) {
		assert(parts[i].first == parts[i - 1].first + parts[i - 1].balls->rows);
		beside[i - 1] = parts[i].balls;
	}
	visit->parts = parts;
	visit->part_count = count;
	visit->asked = asked;
	asked->score = score;
	asked->id = id_of;
	asked->arg = visit;
	asked->top = visit->top;
	asked->cancel = &visit->cancel;
	asked->beside = beside;
	asked->beside_count = count - 1;
	const enum status status = balls_search(parts[0].balls, asked, space);
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
