/* lookup.c - finds a batch of keys block by block and gathers their rows into the reply. */
#include "daemon/store/read/lookup.h"

#include "daemon/aggregate/aggregate.h"
#include "daemon/aggregate/history.h"
#include "daemon/store/base/find.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/row/age.h"
#include "daemon/store/row/stored.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/system/mapfault.h"

#include <assert.h>
#include <string.h>

/* What all rows of one lookup have in common. */
struct gather {
	struct lookup *lookup;
	struct stored_reader reader;
	size_t stride;    /* of the answer */
	size_t row_bytes; /* as stored */
	bool has_more;    /* put_more has something to do */
};

/* Where a key's row is: in the memtable, or in a segment of a delta or of the base. */
struct place {
	const struct row_version *version; /* NULL: the levels decide */
	struct found_row found;
};

static int64_t time_of(const struct place *place)
{
	return place->version != NULL ? place->version->time_ms
				      : place->found.segment->view.times[place->found.row];
}

static enum why judge(const struct lookup *lookup, const struct place *place)
{
	if (place->version != NULL ? place->version->deleted : place->found.segment == NULL) {
		return WHY_ABSENT;
	}
	if (place->version == NULL && place->found.row == (uint32_t)FIND_CORRUPT) {
		return WHY_CORRUPT;
	}
	if (place->version == NULL && found_is_deleted(&place->found)) {
		return WHY_ABSENT;
	}
	const uint64_t ttl_ms = lookup->table->spec.ttl_ms;
	if (ttl_ms == 0 && !lookup->has_max_age) {
		return WHY_FOUND;
	}
	const int64_t time_ms = time_of(place);
	if (age_is_over(time_ms, lookup->now_ms, ttl_ms)) {
		return WHY_EXPIRED;
	}
	const bool is_too_old =
		lookup->has_max_age && age_is_reached(time_ms, lookup->now_ms, lookup->max_age_ms);
	return is_too_old ? WHY_TOO_OLD : WHY_FOUND;
}

static void clear_more(const struct gather *gather, uint32_t i)
{
	const struct lookup *lookup = gather->lookup;
	if (lookup->weights != NULL) {
		memset(lookup->weights + (size_t)i * 8, 0, 8);
	}
	if (lookup->history_counts != NULL) {
		memset(lookup->history_counts + (size_t)i * 4, 0, 4);
	}
	if (lookup->history_times != NULL) {
		const size_t bytes = (size_t)lookup->table->spec.history * 8;
		memset(lookup->history_times + i * bytes, 0, bytes);
	}
}

/* What a key gets that has no row: zeros, but for a default's row and scale. */
static void put_missing(const struct gather *gather, uint32_t i, enum why why)
{
	const struct lookup *lookup = gather->lookup;
	const struct table *table = lookup->table;
	const struct default_row *row = why == WHY_DEFAULTED ? table->default_row : NULL;
	uint8_t *target = lookup->rows + i * gather->stride;
	float scale = 0;
	if (row != NULL) {
		default_row_convert(row, &table->spec, lookup->dtype, target, &scale);
	} else {
		memset(target, 0, gather->stride);
	}
	if (lookup->scales != NULL) {
		memcpy(lookup->scales + (size_t)i * 4, &scale, 4);
	}
	if (lookup->times != NULL) {
		memset(lookup->times + (size_t)i * 8, 0, 8);
	}
	if (lookup->tags != NULL) {
		memset(lookup->tags + (size_t)i * 8, 0, 8);
	}
	if (gather->has_more) {
		clear_more(gather, i);
	}
}

/* What stands behind the vectors of a stored row: a weight, or which places of a history are taken. */
static void put_more(const struct gather *gather, uint32_t i, const uint8_t *row)
{
	const struct lookup *lookup = gather->lookup;
	const struct table_spec *spec = &lookup->table->spec;
	if (lookup->weights != NULL) {
		const double weight = aggregate_weight(spec, row);
		memcpy(lookup->weights + (size_t)i * 8, &weight, 8);
	}
	if (lookup->history_counts != NULL) {
		const uint32_t count = history_count(spec, row);
		memcpy(lookup->history_counts + (size_t)i * 4, &count, 4);
	}
	if (lookup->history_times != NULL) {
		const size_t bytes = (size_t)spec->history * 8;
		memcpy(lookup->history_times + i * bytes, history_times(spec, row), bytes);
	}
}

/* Row and scale, in the dtype that was asked for, and what else was. */
static void put_data(const struct gather *gather, uint32_t i, const struct stored_row *row)
{
	const struct lookup *lookup = gather->lookup;
	stored_read(&gather->reader, row, lookup->rows + i * gather->stride,
		lookup->scales == NULL ? NULL : lookup->scales + (size_t)i * 4);
	if (gather->has_more) {
		put_more(gather, i, row->data);
	}
}

static uint64_t tags_of(const struct place *place)
{
	if (place->version != NULL) {
		return place->version->tags;
	}
	const uint64_t *tags = place->found.segment->view.tags;
	return tags == NULL ? 0 : tags[place->found.row];
}

static void put_row(const struct gather *gather, uint32_t i, const struct place *place)
{
	const struct lookup *lookup = gather->lookup;
	if (place->version != NULL) {
		const struct stored_row row = {
			.data = place->version->row,
			.low = row_version_low(place->version, &lookup->table->spec),
			.scale = &place->version->scale,
		};
		put_data(gather, i, &row);
	} else {
		assert(place->found.segment != NULL); /* it was found */
		const struct segment *view = &place->found.segment->view;
		const uint32_t number = place->found.row;
		const struct stored_row row = {
			.data = view->row_data + (size_t)number * gather->row_bytes,
			.low = segment_low(view, number),
			.scale = view->scales == NULL ? NULL : &view->scales[number],
		};
		put_data(gather, i, &row);
	}
	if (lookup->times != NULL) {
		const int64_t time_ms = time_of(place);
		memcpy(lookup->times + (size_t)i * 8, &time_ms, 8);
	}
	if (lookup->tags != NULL) {
		const uint64_t tags = tags_of(place);
		memcpy(lookup->tags + (size_t)i * 8, &tags, 8);
	}
}

/* Puts one block of the answer in place.
 *   versions  what the memtable knows of the keys, or NULL */
static void put_block(const struct gather *gather, uint32_t first, uint32_t count,
	const struct found_row *rows, const struct row_version *const *versions)
{
	struct lookup *lookup = gather->lookup;
	assert(first % 8 == 0); /* its bits begin with a byte */
	assert(count <= FIND_BLOCK);
	memset(lookup->found + first / 8, 0, (count + 7) / 8);
	for (uint32_t i = 0; i < count; i++) {
		const struct place place = {
			.version = versions == NULL ? NULL : versions[i],
			.found = rows[i],
		};
		enum why why = judge(lookup, &place);
		if (why != WHY_FOUND && lookup->defaults && why != WHY_CORRUPT) {
			why = WHY_DEFAULTED;
		}
		lookup->counts[why]++;
		if (lookup->why != NULL) {
			lookup->why[first + i] = (uint8_t)why;
		}
		if (why == WHY_FOUND) {
			put_row(gather, first + i, &place);
			lookup->found[(first + i) / 8] |= (uint8_t)(1u << (first + i) % 8);
		} else {
			put_missing(gather, first + i, why);
		}
	}
}

static unsigned wants_of(const struct lookup *lookup)
{
	const bool times =
		lookup->times != NULL || lookup->has_max_age || lookup->table->spec.ttl_ms != 0;
	return FIND_ROWS | (times ? FIND_TIMES : 0u) | (lookup->tags != NULL ? FIND_TAGS : 0u) |
	       (lookup->raw ? FIND_LOWS : 0u);
}

static enum status gather_rows(const struct gather *gather)
{
	struct lookup *lookup = gather->lookup;
	const struct table *table = lookup->table;
	uint64_t hashes[FIND_BLOCK];
	const struct row_version *versions[FIND_BLOCK];
	const bool is_merged = memtable_is_empty(table->memtable);
	const struct memtable_question question = {
		.keys = &lookup->keys,
		.hashes = hashes,
		.visible = lookup->visible,
		.row_bytes = gather->row_bytes,
	};
	const struct find find = {
		.keys = &lookup->keys,
		.hashes = hashes,
		.known = is_merged ? NULL : versions,
		.wants = wants_of(lookup),
		.may_block = lookup->may_block,
	};
	memset(lookup->counts, 0, sizeof lookup->counts);
	struct found_row rows[FIND_BLOCK];
	for (uint32_t first = 0; first < lookup->keys.count; first += FIND_BLOCK) {
		const uint32_t left = lookup->keys.count - first;
		const uint32_t count = left < FIND_BLOCK ? left : FIND_BLOCK;
		keys_hash(&lookup->keys, &table->seed, first, count, hashes);
		if (!is_merged) {
			memtable_find(table->memtable, &question, first, count, versions);
		}
		enum status status = stop_check(lookup->stop, NULL);
		if (status == STATUS_OK) {
			status = table_find_rows(table, &find, first, count, rows);
		}
		if (status != STATUS_OK) {
			return status;
		}
		put_block(gather, first, count, rows, find.known);
	}
	return STATUS_OK;
}

static enum status look_up(struct lookup *lookup)
{
	const struct table_spec *spec = &lookup->table->spec;
	struct gather gather = {
		.lookup = lookup,
		.stride = dtype_row_bytes(lookup->dtype, spec->dim, spec_row_views(spec)),
		.row_bytes = spec_row_bytes(spec),
		.has_more = lookup->weights != NULL || lookup->history_counts != NULL ||
			    lookup->history_times != NULL,
	};
	enum status status = stored_reader_init(&gather.reader, spec, lookup->dtype, lookup->raw);
	if (status == STATUS_OK) {
		status = gather_rows(&gather);
	}
	stored_reader_fini(&gather.reader);
	return status;
}

/* Every key has got one answer. */
static bool is_complete(const struct lookup *lookup)
{
	uint64_t answers = 0;
	for (size_t i = 0; i < WHY_COUNT; i++) {
		answers += lookup->counts[i];
	}
	return answers == lookup->keys.count;
}

enum status table_lookup(struct lookup *lookup, struct error *err)
{
	enum status status;
	unsigned faults;
	assert(grace_is_inside());
	assert(lookup->keys.type == lookup->table->spec.key_type);
	assert(lookup->weights == NULL || spec_aggregates(&lookup->table->spec));
	assert((lookup->history_counts == NULL && lookup->history_times == NULL) ||
		lookup->table->spec.history != 0);
	do {
		/* A page of a map that could not be read has given zeros. The second time it is
		 * known to be damaged. */
		faults = mapfault_count();
		status = look_up(lookup);
	} while (status == STATUS_OK && mapfault_count() != faults);
	assert(status != STATUS_OK || is_complete(lookup));
	if (status == STATUS_TIMEOUT || status == STATUS_CLOSED) {
		return stop_check(lookup->stop, err);
	}
	if (status == STATUS_OK && lookup->why == NULL && lookup->counts[WHY_CORRUPT] > 0) {
		return error_set(err, STATUS_CORRUPT,
			"table '%s': %u of the keys are in damaged segments; ask with 'why' for the rest",
			lookup->table->spec.name.text, lookup->counts[WHY_CORRUPT]);
	}
	return status;
}
