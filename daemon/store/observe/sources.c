/* sources.c - the positions of a release are listed, and sources are forgotten through the log. */
#include "daemon/store/observe/sources.h"

#include "daemon/store/log/positions.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/write/apply.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum status store_positions(struct store *store, const char *release, struct position_list *out,
	struct error *err)
{
	const struct release *found;
	struct position_list list = {.count = 0};
	const struct snapshot *snapshot = snapshot_begin(store);
	enum status status = snapshot_release(snapshot, release, &found, err);
	if (status == STATUS_OK && found->state != RELEASE_SEALED) {
		status = error_set(err, STATUS_NOT_SEALED,
			"release: '%s' is open; it takes samples when it is sealed",
			found->id.text);
	}
	if (status == STATUS_OK) {
		list.release = found->id;
		status = positions_list(found->positions, POSITION_COUNTED, &list.all, &list.count);
		if (status != STATUS_OK) {
			error_set(err, status, "no memory for positions");
		}
	}
	snapshot_end(store);
	if (status == STATUS_OK) {
		*out = list;
	}
	return status;
}

/* ---- forget ---- */

/* Oldest first; of one time in the order of (layer, source). */
static int compare_age(const void *one, const void *other)
{
	const struct source_position *a = one;
	const struct source_position *b = other;
	if (a->time_ms != b->time_ms) {
		return a->time_ms < b->time_ms ? -1 : 1;
	}
	const int order = strcmp(a->layer.text, b->layer.text);
	return order == 0 ? strcmp(a->source.text, b->source.text) : order;
}

/* Keeps what is to be forgotten of a list of all; returns how many they are. */
static size_t choose(const struct forget *which, struct source_position *all, size_t count)
{
	size_t chosen = 0;
	for (size_t i = 0; i < count; i++) {
		const bool is_layer =
			which->layer == NULL || strcmp(which->layer, all[i].layer.text) == 0;
		const bool is_source =
			which->source == NULL || strcmp(which->source, all[i].source.text) == 0;
		if (is_layer && is_source) {
			all[chosen++] = all[i];
		}
	}
	if (which->source != NULL || chosen <= which->oldest) {
		return chosen;
	}
	qsort(all, chosen, sizeof *all, compare_age);
	return (size_t)which->oldest;
}

static enum status find_sources(const struct release *release, const struct forget *which,
	struct source_position **all, size_t *count, struct error *err)
{
	const enum status status = positions_list(release->positions, POSITION_APPLIED, all, count);
	if (status != STATUS_OK) {
		return error_set(err, status, "no memory for positions");
	}
	*count = choose(which, *all, *count);
	if (*count > 0 || which->source == NULL) {
		return STATUS_OK;
	}
	return which->layer == NULL
		       ? error_set(err, STATUS_NOT_FOUND,
				 "source: '%s' is not counted in release '%s'", which->source,
				 release->id.text)
		       : error_set(err, STATUS_NOT_FOUND,
				 "source: '%s' is not counted in layer '%s' of release '%s'",
				 which->source, which->layer, release->id.text);
}

enum status store_forget(struct store *store, const struct forget *which, struct write_result *out,
	struct write_ticket **ticket, struct error *err)
{
	struct apply apply;
	struct source_position *all = NULL;
	size_t count = 0;
	const struct apply_given given = {which->release, which->now_ms, which->stop, NULL};
	enum status status = apply_begin(&apply, store, &given, err);
	if (status != STATUS_OK) {
		return status;
	}
	status = find_sources(apply.release, which, &all, &count, err);
	apply.forget = all;
	apply.forget_count = status == STATUS_OK ? count : 0;
	assert(apply.forget_count <= LIMIT_SOURCES);
	status = apply_end(&apply, status, out, ticket, err);
	if (status == STATUS_OK) {
		out->count = count;
	}
	free(all);
	return status;
}
