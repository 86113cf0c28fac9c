/* history.c - finds the place of a sample among the newest ones of its key. */
#include "daemon/aggregate/history.h"

#include <assert.h>
#include <string.h>

/* Where the parts of a state are. */
struct parts {
	uint8_t *vectors;
	uint8_t *times;
	uint8_t *count;
	size_t vector_bytes; /* of one place */
};

static size_t times_offset(const struct table_spec *spec)
{
	return spec_row_bytes(spec) - ((size_t)spec->history + 1) * sizeof(int64_t);
}

static struct parts parts_of(const struct table_spec *spec, uint8_t *state)
{
	uint8_t *times = state + times_offset(spec);
	return (struct parts){
		.vectors = state,
		.times = times,
		.count = times + (size_t)spec->history * sizeof(int64_t),
		.vector_bytes = dtype_row_bytes(spec->dtype, spec->dim, spec->views),
	};
}

static int64_t time_at(const uint8_t *times, uint32_t place)
{
	int64_t time_ms;
	memcpy(&time_ms, times + (size_t)place * sizeof time_ms, sizeof time_ms);
	return time_ms;
}

/* The first place whose vector is younger than this time; `count` if none is. Most samples are the
 * newest, so it is looked for from the end. */
static uint32_t place_behind(const uint8_t *times, uint32_t count, int64_t time_ms)
{
	uint32_t place = count;
	while (place > 0 && time_at(times, place - 1) > time_ms) {
		place--;
	}
	return place;
}

/* Whether a sample stays finite in the table's dtype: an f32 may be too large for f16. */
static bool is_finite(const struct table_spec *spec, const float *sample)
{
	enum { SOME = 256 };
	float kept[SOME];
	const size_t elements = spec_sample_elements(spec);
	const struct dtype_rows to = {.dtype = spec->dtype, .rows = kept};
	for (size_t at = 0; at < elements; at += SOME) {
		const size_t some = elements - at < SOME ? elements - at : SOME;
		const struct dtype_rows from = {.dtype = DTYPE_F32, .rows = (void *)(sample + at)};
		dtype_convert(&to, &from, 1, (uint32_t)some, 1);
		if (dtype_first_nonfinite(spec->dtype, kept, some) != some) {
			return false;
		}
	}
	return true;
}

static void put(const struct table_spec *spec, const struct parts *to, uint32_t place,
	int64_t time_ms, const float *sample)
{
	const struct dtype_rows vector = {
		.dtype = spec->dtype,
		.rows = to->vectors + place * to->vector_bytes,
	};
	const struct dtype_rows from = {.dtype = DTYPE_F32, .rows = (void *)sample};
	dtype_convert(&vector, &from, 1, spec->dim, spec->views);
	memcpy(to->times + (size_t)place * sizeof time_ms, &time_ms, sizeof time_ms);
}

/* Moves `count` places, those from `from` on. */
static void move(const struct parts *parts, uint32_t to, uint32_t from, uint32_t count)
{
	const size_t each = parts->vector_bytes;
	memmove(parts->vectors + to * each, parts->vectors + from * each, count * each);
	memmove(parts->times + (size_t)to * sizeof(int64_t),
		parts->times + (size_t)from * sizeof(int64_t), count * sizeof(int64_t));
}

/* Puts a sample in its place, if it has one. */
static void insert(const struct table_spec *spec, uint8_t *state, int64_t time_ms,
	const float *sample)
{
	const struct parts parts = parts_of(spec, state);
	uint64_t count = history_count(spec, state);
	uint32_t place = place_behind(parts.times, (uint32_t)count, time_ms);
	if (count < spec->history) {
		move(&parts, place + 1, place, (uint32_t)count - place);
		count++;
		memcpy(parts.count, &count, sizeof count);
	} else if (place > 0) {
		place--;
		move(&parts, 0, 1, place);
	} else {
		return; /* all that are there are younger */
	}
	put(spec, &parts, place, time_ms, sample);
}

bool history_add(struct aggregate *row, const struct table_spec *spec, int64_t time_ms,
	const float *sample)
{
	uint8_t *state = (uint8_t *)row->state;
	assert(spec->history > 0);
	assert(spec->dtype != DTYPE_I8 && spec->dtype != DTYPE_BIT);
	if (!is_finite(spec, sample)) {
		return false;
	}
	if (!row->is_there) {
		memset(state, 0, spec_row_bytes(spec));
		row->last_ms = time_ms;
		row->is_there = true;
	}
	insert(spec, state, time_ms, sample);
	row->last_ms = row->last_ms > time_ms ? row->last_ms : time_ms;
	return true;
}

void history_make(const struct table_spec *spec, const struct dtype_rows *vectors,
	const uint8_t *times, uint32_t count, uint8_t *state)
{
	const uint64_t taken = count;
	const struct parts parts = parts_of(spec, state);
	const struct dtype_rows to = {.dtype = spec->dtype, .rows = parts.vectors};
	assert(count > 0 && count <= spec->history);
	memset(state, 0, spec_row_bytes(spec));
	dtype_convert(&to, vectors, 1, spec->dim, count * spec->views);
	memcpy(parts.times, times, count * sizeof(int64_t));
	memcpy(parts.count, &taken, sizeof taken);
}

uint32_t history_count(const struct table_spec *spec, const uint8_t *state)
{
	uint64_t count;
	memcpy(&count, state + spec_row_bytes(spec) - sizeof count, sizeof count);
	/* What was adopted with a release has its checksums, and may still say anything. */
	return count < spec->history ? (uint32_t)count : spec->history;
}

const uint8_t *history_times(const struct table_spec *spec, const uint8_t *state)
{
	return state + times_offset(spec);
}
