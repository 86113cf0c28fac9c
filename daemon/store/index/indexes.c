/* indexes.c - holds the indexes of a level's files, and tells which axes most of them have. */
#include "daemon/store/index/indexes.h"

#include "daemon/store/system/refs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Rows of the indexes on the axes of one of them. */
static uint64_t rows_on(const struct indexes *indexes, uint64_t axes)
{
	uint64_t rows = 0;
	for (size_t i = 0; i < indexes->count; i++) {
		const struct index *of = indexes->of[i];
		rows += of != NULL && of->axes == axes ? of->balls.rows : 0;
	}
	return rows;
}

struct indexes *indexes_new(struct index *const *of, size_t count, const struct indexes *before)
{
	struct indexes *indexes = calloc(1, sizeof *indexes + count * sizeof(struct index *));
	bool has_any = false;
	uint64_t most = 0;
	for (size_t i = 0; i < count; i++) {
		has_any = has_any || of[i] != NULL;
	}
	if (indexes == NULL || !has_any) {
		for (size_t i = 0; i < count; i++) {
			index_close(of[i]);
		}
		free(indexes);
		return NULL;
	}
	atomic_init(&indexes->refs, 1);
	indexes->count = count;
	memcpy(indexes->of, of, count * sizeof *of);
	for (size_t i = 0; i < count; i++) {
		const uint64_t rows = of[i] == NULL ? 0 : rows_on(indexes, of[i]->axes);
		if (of[i] != NULL && (most == 0 || rows > most)) {
			most = rows;
			indexes->axes = of[i]->axes;
		}
	}
	if (before != NULL) {
		index_pace_copy(&before->pace, &indexes->pace);
	}
	return indexes;
}

void indexes_hold(struct indexes *indexes)
{
	if (indexes != NULL) {
		refs_hold(&indexes->refs);
	}
}

void indexes_close(struct indexes *indexes)
{
	if (indexes == NULL || !refs_drop(&indexes->refs)) {
		return;
	}
	for (size_t i = 0; i < indexes->count; i++) {
		index_close(indexes->of[i]);
	}
	free(indexes);
}

struct index *indexes_of(const struct indexes *indexes, size_t file)
{
	if (indexes == NULL) {
		return NULL;
	}
	assert(file < indexes->count);
	struct index *index = indexes->of[file];
	return index != NULL && index_is_sound(index) ? index : NULL;
}

struct index *indexes_alike(const struct indexes *indexes, size_t file)
{
	struct index *index = indexes_of(indexes, file);
	return index != NULL && index->axes == indexes->axes ? index : NULL;
}

struct index *indexes_lead(const struct indexes *indexes)
{
	for (size_t i = 0; indexes != NULL && i < indexes->count; i++) {
		struct index *index = indexes_alike(indexes, i);
		if (index != NULL) {
			return index;
		}
	}
	return NULL;
}

struct indexes_sums indexes_sum(const struct indexes *indexes)
{
	struct indexes_sums sums = {0};
	for (size_t i = 0; indexes != NULL && i < indexes->count; i++) {
		const struct index *index = indexes_of(indexes, i);
		if (index != NULL) {
			sums.rows += index->balls.rows;
			sums.bytes += index->bytes;
			sums.build_ms += index->build_ms;
			sums.changed += index->changed;
			sums.count++;
		}
	}
	return sums;
}
