/* search_state.c - memory for a block and for the best rows; the order of keys of equal scores. */
#include "daemon/search/search_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys ---- */

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
	if (!search_is_listed(search)) {
		rows_prefetch_key(&search->rows, id);
	}
}

enum status search_key(const struct search *search, uint64_t id, const uint8_t **key, size_t *len)
{
	if (search_is_listed(search)) {
		assert(id < search->options.filter->allow.count);
		*key = keys_bytes(&search->options.filter->allow, (uint32_t)id, len);
		return STATUS_OK;
	}
	struct frame_row row;
	const enum status status = rows_get(&search->rows, id, &row);
	*key = row.key;
	*len = row.key_len;
	return status;
}

/* ---- memory ---- */

enum status search_make_room(struct search *search)
{
	const size_t rows = search->scorer.rows_max;
	assert(rows > 0 && search->scores == NULL);
	const size_t queries = search->options.query->count;
	float *room = malloc(rows * queries * sizeof *room + 2 * rows * sizeof(uint32_t) +
			     rows * scorer_row_bytes(&search->scorer) + rows);
	if (room == NULL) {
		return STATUS_NO_MEMORY;
	}
	search->scores = room;
	search->chosen = (uint32_t *)(void *)(search->scores + rows * queries);
	search->views = search->chosen + rows;
	search->converted = (uint8_t *)(search->views + rows);
	search->verdicts = search->converted + rows * scorer_row_bytes(&search->scorer);
	return STATUS_OK;
}

void search_drop_room(struct search *search)
{
	free(search->scores);
	search->scores = NULL;
}

void search_drop_tops(struct search *search)
{
	for (uint32_t i = 0; search->tops != NULL && i < search->options.query->count; i++) {
		topk_fini(&search->tops[i]);
	}
	free(search->tops);
	search->tops = NULL;
}

static enum status make_tops(struct search *search)
{
	const uint32_t queries = search->options.query->count;
	assert(search->tops == NULL);
	search->tops = calloc(queries, sizeof *search->tops);
	for (uint32_t i = 0; i < queries; i++) {
		if (search->tops == NULL ||
			topk_init(&search->tops[i], search->options.k, search->options.min_score,
				search_is_listed(search) ? compare_listed : compare_rows,
				search) != STATUS_OK) {
			return STATUS_NO_MEMORY;
		}
	}
	return STATUS_OK;
}

enum status search_restart(struct search *search)
{
	rows_end(&search->rows);
	search_drop_tops(search);
	search->compared = 0;
	return make_tops(search);
}
