/* search.c - every row that may be found is scored: those of a list, or all of the table. */
#include "daemon/method/search.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/method/call.h"
#include "daemon/method/listed.h"
#include "daemon/method/search_balls.h"
#include "daemon/store/age.h"
#include "daemon/store/clock.h"
#include "daemon/store/mapfault.h"
#include "daemon/store/stored.h"
#include "schema/limits.h"

static const uint64_t ns_per_ms = 1000000;

/* What is known of a row of a block. */
enum verdict { VERDICT_NONE, VERDICT_PASSES, VERDICT_DROPPED };

static const struct table_spec *spec_of(const struct search *search)
{
	return &search->options.place->items->spec;
}

/* ---- keys and ties ---- */

static bool is_listed(const struct search *search)
{
	return search->options.filter->has_allow;
}

/* Of a list an id is the number of the key. */
static int compare_listed(void *arg, uint64_t a, uint64_t b)
{
	const struct search *search = arg;
	const struct keys *keys = &search->options.filter->allow;
	if (keys->type == KEY_U64) {
		const uint64_t x = keys_u64(keys, (uint32_t)a);
		const uint64_t y = keys_u64(keys, (uint32_t)b);
		return (x > y) - (x < y);
	}
	size_t x_len;
	size_t y_len;
	const uint8_t *x = keys_bytes(keys, (uint32_t)a, &x_len);
	const uint8_t *y = keys_bytes(keys, (uint32_t)b, &y_len);
	const int order = memcmp(x, y, x_len < y_len ? x_len : y_len);
	return order != 0 ? order : (x_len > y_len) - (x_len < y_len);
}

static int compare_rows(void *arg, uint64_t a, uint64_t b)
{
	const struct search *search = arg;
	return rows_compare_keys(&search->rows, a, b);
}

void search_prefetch_key(const struct search *search, uint64_t id)
{
	if (!is_listed(search)) {
		rows_prefetch_key(&search->rows, id);
	}
}

enum status search_key(const struct search *search, uint64_t id, const uint8_t **key, size_t *len)
{
	if (is_listed(search)) {
		*key = keys_bytes(&search->options.filter->allow, (uint32_t)id, len);
		return STATUS_OK;
	}
	struct frame_row row;
	const enum status status = rows_get(&search->rows, id, &row);
	*key = row.key;
	*len = row.key_len;
	return status;
}

/* ---- begin and end ---- */

static enum status make_tops(struct search *search)
{
	const uint32_t queries = search->options.query->count;
	search->tops = calloc(queries, sizeof *search->tops);
	for (uint32_t i = 0; i < queries; i++) {
		if (search->tops == NULL ||
			topk_init(&search->tops[i], search->options.k, search->options.min_score,
				is_listed(search) ? compare_listed : compare_rows,
				search) != STATUS_OK) {
			return STATUS_NO_MEMORY;
		}
	}
	return STATUS_OK;
}

static void drop_tops(struct search *search)
{
	for (uint32_t i = 0; search->tops != NULL && i < search->options.query->count; i++) {
		topk_fini(&search->tops[i]);
	}
	free(search->tops);
	search->tops = NULL;
}

static enum status make_room(struct search *search)
{
	const size_t rows = search->scorer.rows_max;
	const size_t queries = search->options.query->count;
	float *room = malloc(rows * queries * sizeof *room + rows * sizeof(uint32_t) +
			     rows * scorer_row_bytes(&search->scorer) + rows);
	if (room == NULL) {
		return STATUS_NO_MEMORY;
	}
	search->scores = room;
	search->chosen = (uint32_t *)(void *)(search->scores + rows * queries);
	search->converted = (uint8_t *)(search->chosen + rows);
	search->verdicts = search->converted + rows * scorer_row_bytes(&search->scorer);
	return STATUS_OK;
}

enum status search_begin(struct search *search, const struct search_options *options,
	struct error *err)
{
	const struct table_spec *spec = &options->place->items->spec;
	const struct query_of *query = options->query;
	const uint64_t waited_ms = options->place->call->waited_ms;
	const struct scorer_shape shape = {
		.metric = options->place->metric,
		.dim = spec->dim,
		.views = spec->views,
		.queries = query->count,
		.parts = query->parts,
	};
	*search = (struct search){.options = *options};
	const uint64_t now_ns = clock_monotonic_ns();
	const uint64_t left_ms =
		options->deadline_ms > waited_ms ? options->deadline_ms - waited_ms : 0;
	search->ends_ns = now_ns + left_ms * ns_per_ms;
	search->leaves_ns =
		options->place->call->may_block ? UINT64_MAX : now_ns + LIMIT_INLINE_SEARCH_END_NS;
	enum status status = scorer_init(&search->scorer, &shape, query->vectors, query->weights);
	if (status == STATUS_OK) {
		status = make_room(search);
	}
	return status == STATUS_OK ? status : error_set(err, status, "no memory for a search");
}

void search_end(struct search *search)
{
	if (search->options.query != NULL) {
		drop_tops(search);
	}
	rows_end(&search->rows);
	scorer_fini(&search->scorer);
	free(search->scores);
	search->scores = NULL;
}

bool search_is_long(const struct search *search)
{
	const struct table *items = search->options.place->items;
	if (!is_listed(search) && search_balls_can(search)) {
		return !rows_are_at_hand(items) || search_balls_are_long(search);
	}
	const uint64_t rows = is_listed(search) ? search->options.filter->allow.count
						: items->rows + memtable_rows(items->memtable);
	const uint64_t each = (uint64_t)spec_elements(&items->spec) * search->options.query->count *
			      search->options.query->parts;
	return rows > LIMIT_INLINE_WORK / each || rows > LIMIT_INLINE_SEARCH_ROWS ||
	       !rows_are_at_hand(items);
}

/* ---- in time ---- */

enum status search_check_time(const struct search *search, struct error *err)
{
	const struct call *call = search->options.place->call;
	if ((call->gone != NULL && atomic_load_explicit(call->gone, memory_order_relaxed)) ||
		(call->cut != NULL && atomic_load_explicit(call->cut, memory_order_relaxed))) {
		return error_set(err, STATUS_CLOSED, "nobody waits for the search");
	}
	const uint64_t now_ns = clock_monotonic_ns();
	if (now_ns >= search->leaves_ns) {
		return STATUS_AGAIN;
	}
	if (now_ns >= search->ends_ns) {
		return error_set(err, STATUS_TIMEOUT,
			"the search has not ended in timeout_ms, %llu, of which it waited %llu",
			(unsigned long long)search->options.deadline_ms,
			(unsigned long long)call->waited_ms);
	}
	return STATUS_OK;
}

/* ---- all rows ---- */

bool search_passes(const struct search *search, const int64_t *time_ms, const uint64_t *tags)
{
	const uint64_t ttl_ms = spec_of(search)->ttl_ms;
	const struct filter *filter = search->options.filter;
	if (ttl_ms != 0 && age_is_over(*time_ms, search->options.place->now_ms, ttl_ms)) {
		return false;
	}
	return !filter->has_tags || tags == NULL || filter_passes_tags(filter, *tags);
}

/* Which rows of a block may be found, as far as the columns tell. */
static uint32_t choose(struct search *search, const struct row_block *block)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < block->count; i++) {
		search->chosen[count] = i;
		count += search_passes(search, block->times + i,
			block->tags == NULL ? NULL : block->tags + i);
	}
	return count;
}

/* The chosen rows, as the scorer takes them. */
static const void *convert(struct search *search, const struct row_block *block, uint32_t count)
{
	const struct table_spec *spec = spec_of(search);
	const enum dtype dtype =
		metric_is_of_bits(search->scorer.shape.metric) ? DTYPE_BIT : DTYPE_F32;
	const size_t row_bytes = spec_row_bytes(spec);
	const bool is_plain = !spec_aggregates(spec);
	if (is_plain && count == block->count) {
		if (spec->dtype == dtype) {
			return block->data;
		}
		const struct dtype_rows to = {.dtype = dtype, .rows = search->converted};
		const struct dtype_rows from = {
			.dtype = spec->dtype,
			.rows = (void *)block->data,
			.scales = (void *)block->scales,
		};
		dtype_convert(&to, &from, count, spec->dim, spec->views);
		return search->converted;
	}
	/* To f32 or to itself: for neither the reader has memory of its own. */
	struct stored_reader reader;
	(void)stored_reader_init(&reader, spec, dtype, false);
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t row = search->chosen[i];
		stored_read(&reader, block->data + row * row_bytes,
			block->scales == NULL ? NULL : &block->scales[row],
			search->converted + i * scorer_row_bytes(&search->scorer), NULL);
	}
	return search->converted;
}

enum status search_is_dropped(const struct search *search, uint64_t id, bool is_base, bool *out)
{
	const struct key_set *denied = &search->options.filter->denied;
	*out = false;
	if (key_set_is_empty(denied) && !(is_base && rows_are_followed(&search->rows))) {
		return STATUS_OK;
	}
	struct frame_row row;
	const enum status status = rows_get(&search->rows, id, &row);
	if (status == STATUS_OK) {
		*out = key_set_has(denied, row.key, row.key_len) ||
		       (is_base && rows_is_superseded(&search->rows, &row));
	}
	return status;
}

static enum status push_scores(struct search *search, const struct row_block *block, uint32_t count,
	uint32_t query)
{
	struct topk *top = &search->tops[query];
	const float *scores = search->scores + (size_t)query * search->scorer.rows_max;
	for (uint32_t i = 0; i < count; i++) {
		if (!(scores[i] >= topk_threshold(top))) {
			continue;
		}
		const uint64_t id = row_block_id(block, search->chosen[i]);
		if (search->verdicts[i] == VERDICT_NONE) {
			bool is_dropped;
			const enum status status =
				search_is_dropped(search, id, block->ids == NULL, &is_dropped);
			if (status != STATUS_OK) {
				return status;
			}
			search->verdicts[i] = is_dropped ? VERDICT_DROPPED : VERDICT_PASSES;
		}
		if (search->verdicts[i] == VERDICT_PASSES) {
			topk_push(top, scores[i], id);
		}
	}
	return STATUS_OK;
}

enum status search_block(struct search *search)
{
	const struct row_block *block = &search->rows.block;
	const uint32_t count = choose(search, block);
	if (count == 0) {
		return STATUS_OK;
	}
	scorer_run(&search->scorer, convert(search, block, count), count, search->scores);
	search->compared += count;
	memset(search->verdicts, VERDICT_NONE, count);
	enum status status = STATUS_OK;
	for (uint32_t i = 0; status == STATUS_OK && i < search->options.query->count; i++) {
		status = push_scores(search, block, count, i);
	}
	return status;
}

static enum status go_through(struct search *search, struct error *err)
{
	enum status status = rows_begin(&search->rows, search->options.place->items,
		search->options.place->visible, search->scorer.rows_max);
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
	if (status != STATUS_OK) {
		return error_set(err, status, "table '%s': %s", spec_of(search)->name.text,
			status == STATUS_CORRUPT ? "a damaged segment" : "no memory for a search");
	}
	return STATUS_OK;
}

/* By the index, where there is one, else row by row. */
static enum status look_everywhere(struct search *search, struct error *err)
{
	bool is_done = false;
	if (search_balls_can(search)) {
		const enum status status = search_balls(search, &is_done, err);
		if (status != STATUS_OK || is_done) {
			return status;
		}
		rows_end(&search->rows);
		drop_tops(search);
		search->compared = 0;
		if (make_tops(search) != STATUS_OK) {
			return error_set(err, STATUS_NO_MEMORY, "no memory for a search");
		}
	}
	search->is_exact = true;
	return go_through(search, err);
}

static enum status search_all(struct search *search, struct error *err)
{
	enum status status;
	unsigned faults;
	do {
		/* As in table_lookup: after a fault somewhere, the second time tells where. */
		rows_end(&search->rows);
		drop_tops(search);
		search->compared = 0;
		faults = mapfault_count();
		status = make_tops(search);
		if (status != STATUS_OK) {
			return error_set(err, status, "no memory for a search");
		}
		status = look_everywhere(search, err);
	} while (status == STATUS_OK && mapfault_count() != faults);
	return status;
}

/* ---- rows of a list ---- */

static bool passes(const struct search *search, const struct listed *listed, uint32_t i)
{
	const struct filter *filter = search->options.filter;
	const uint32_t number = listed->first + i;
	size_t len;
	const uint8_t *key = keys_bytes(&filter->allow, number, &len);
	return listed_has(listed, i) && key_set_is_first(&filter->allowed, number) &&
	       !key_set_has(&filter->denied, key, len) &&
	       (listed->tags == NULL || filter_passes_tags(filter, listed->tags[i]));
}

static void push_listed(struct search *search, const struct listed *listed)
{
	for (uint32_t i = 0; i < listed->count; i++) {
		if (!passes(search, listed, i)) {
			continue;
		}
		search->compared++;
		for (uint32_t query = 0; query < search->options.query->count; query++) {
			topk_push(&search->tops[query],
				listed->scores[(size_t)query * search->scorer.rows_max + i],
				listed->first + i);
		}
	}
}

static enum status search_list(struct search *search, struct error *err)
{
	const struct query_place *place = search->options.place;
	const struct lookup lookup = {
		.table = place->items,
		.keys = search->options.filter->allow,
		.visible = place->visible,
		.now_ms = place->now_ms,
		.may_block = place->call->may_block,
	};
	struct listed listed = {0};
	enum status status = make_tops(search);
	if (status == STATUS_OK) {
		status = listed_begin(&listed, &lookup, &search->scorer);
	}
	if (status != STATUS_OK) {
		return error_set(err, status, "no memory for a search");
	}
	do {
		status = search_check_time(search, err);
		if (status == STATUS_OK) {
			status = listed_next(&listed, err);
		}
		if (status == STATUS_OK) {
			push_listed(search, &listed);
		}
	} while (status == STATUS_OK && listed.count > 0);
	listed_end(&listed);
	return status;
}

enum status search_run(struct search *search, struct error *err)
{
	const enum status status =
		is_listed(search) ? search_list(search, err) : search_all(search, err);
	for (uint32_t i = 0; status == STATUS_OK && i < search->options.query->count; i++) {
		topk_finish(&search->tops[i]);
	}
	search->is_exact = search->is_exact || is_listed(search);
	return status;
}
