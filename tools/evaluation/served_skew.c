/* served_skew.c - compares rows, and counts them by table and hour. */
#include "tools/evaluation/served_skew.h"

#include "schema/dtype.h"
#include "tools/evaluation/feature_file.h"
#include "tools/format/served_read.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOUR_MS = 3600 * 1000 };

/* What rounding into a dtype does to a row, as a share of its largest element, and some more. */
static double rounding_of(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_F16:
		return 1e-3;
	case DTYPE_BF16:
		return 8e-3;
	case DTYPE_I8:
		return 1e-2;
	case DTYPE_F32:
	case DTYPE_F64:
	case DTYPE_BIT:
	case DTYPE_NONE:
		break;
	}
	return 1e-5;
}

enum status skew_init(struct skew *skew, const struct feature_file *features,
	const struct skew_settings *settings)
{
	*skew = (struct skew){.settings = *settings, .table_count = features->table_count};
	skew->tables =
		calloc(features->table_count > 0 ? features->table_count : 1, sizeof *skew->tables);
	if (skew->tables == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (size_t i = 0; i < features->table_count; i++) {
		memcpy(skew->tables[i].name, features->tables[i].name, sizeof skew->tables[i].name);
	}
	return STATUS_OK;
}

void skew_fini(struct skew *skew)
{
	for (size_t i = 0; skew->tables != NULL && i < skew->table_count; i++) {
		free(skew->tables[i].hours);
	}
	free(skew->tables);
	*skew = (struct skew){0};
}

/* ---- hours ---- */

/* Finds the place of an hour, or where it belongs. Fetches mostly come in the order of time. */
static size_t place_of(const struct skew_table *table, int64_t hour)
{
	size_t low = 0;
	size_t high = table->hour_count;
	if (high > 0 && table->hours[high - 1].hour <= hour) {
		return table->hours[high - 1].hour == hour ? high - 1 : high;
	}
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (table->hours[middle].hour < hour) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

/* NULL: no memory. */
static struct skew_count *count_of(struct skew_table *table, int64_t time_ms)
{
	const int64_t hour = time_ms / HOUR_MS - (time_ms % HOUR_MS < 0);
	const size_t place = place_of(table, hour);
	if (place < table->hour_count && table->hours[place].hour == hour) {
		return &table->hours[place].count;
	}
	if (table->hour_count == table->hour_cap) {
		const size_t cap = table->hour_cap > 0 ? 2 * table->hour_cap : 32;
		struct skew_hour *hours = reallocarray(table->hours, cap, sizeof *hours);
		if (hours == NULL) {
			return NULL;
		}
		table->hours = hours;
		table->hour_cap = cap;
	}
	memmove(table->hours + place + 1, table->hours + place,
		(table->hour_count - place) * sizeof *table->hours);
	table->hours[place] = (struct skew_hour){.hour = hour};
	table->hour_count++;
	return &table->hours[place].count;
}

/* ---- rows ---- */

/* Element j of a row, in f32. */
static float element_of(enum dtype dtype, const uint8_t *row, size_t j, const uint8_t *scale)
{
	float value = 0;
	float factor = 1;
	const struct dtype_rows to = {DTYPE_F32, &value, NULL};
	const struct dtype_rows from = {dtype, (void *)(row + j * dtype_row_bytes(dtype, 1, 1)),
		&factor};
	if (scale != NULL) {
		memcpy(&factor, scale, sizeof factor);
	}
	dtype_convert(&to, &from, 1, 1, 1);
	return value;
}

static const uint8_t *scale_at(const uint8_t *scales, uint64_t i)
{
	return scales == NULL ? NULL : scales + i * sizeof(float);
}

/* Compares a served row with row `row` of the table. */
static void compare(const struct skew *skew, const struct feature_table *table, uint64_t row,
	const struct served_rows *served, uint32_t i, struct skew_count *out)
{
	const double tolerance = skew->settings.tolerance >= 0 ? skew->settings.tolerance
							       : rounding_of(served->dtype);
	const size_t elements = (size_t)table->views * table->dim;
	const uint8_t *expected_row =
		table->rows + row * dtype_row_bytes(table->dtype, table->dim, table->views);
	double largest = 0;
	double difference = 0;
	bool is_finite = true;
	for (size_t j = 0; j < elements; j++) {
		const double expected = (double)element_of(table->dtype, expected_row, j,
			scale_at(table->scales, row));
		const double given = (double)element_of(served->dtype,
			served->rows + i * served->stride, j, scale_at(served->scales, i));
		const double off = fabs(given - expected);
		is_finite = is_finite && isfinite(off);
		difference = off > difference ? off : difference;
		largest = fabs(expected) > largest ? fabs(expected) : largest;
	}
	out->compared++;
	if (!is_finite) {
		difference = INFINITY;
	}
	out->differ += !(difference <= tolerance * (largest > 0 ? largest : 1));
	out->difference_max = difference > out->difference_max ? difference : out->difference_max;
	out->difference_sum += difference;
}

/* Counts one key. found: what it had by the table. */
static void count_key(const struct skew *skew, const struct feature_table *table,
	const struct feature_found *found, const struct served_rows *served, uint32_t i,
	struct skew_count *out)
{
	const bool is_served = (served->found[i / 8] >> i % 8 & 1) != 0;
	switch (found->answer) {
	case FEATURE_UNKNOWN:
		out->unknown++;
		break;
	case FEATURE_ABSENT:
		out->none += !is_served;
		out->missing_training += is_served;
		break;
	case FEATURE_THERE:
		if (!is_served) {
			out->missing_served++;
		} else if (served->rows == NULL) {
			out->both++;
		} else {
			compare(skew, table, found->row, served, i, out);
		}
		break;
	}
}

static void add_count(struct skew_count *to, const struct skew_count *from)
{
	to->compared += from->compared;
	to->differ += from->differ;
	to->both += from->both;
	to->none += from->none;
	to->missing_served += from->missing_served;
	to->missing_training += from->missing_training;
	to->unknown += from->unknown;
	to->difference_max = from->difference_max > to->difference_max ? from->difference_max
								       : to->difference_max;
	to->difference_sum += from->difference_sum;
}

static enum status add_rows(struct skew *skew, const struct feature_file *features,
	const struct feature_table *table, const struct served_rows *served, int64_t time_ms)
{
	struct skew_table *counts = &skew->tables[table - features->tables];
	struct skew_count sum = {0};
	const uint8_t *key = served->keys;
	struct skew_count *hour = count_of(counts, time_ms);
	if (hour == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (uint32_t i = 0; i < served->count; i++) {
		const size_t len = served->key_type == KEY_U64 ? sizeof(uint64_t) : *key++;
		struct feature_found found;
		const struct feature_key wanted = {key, len, time_ms};
		const enum status status = feature_file_find(table, &wanted, &found);
		if (status != STATUS_OK) {
			return status;
		}
		count_key(skew, table, &found, served, i, &sum);
		key += len;
	}
	add_count(hour, &sum);
	add_count(&counts->count, &sum);
	return STATUS_OK;
}

/* Can these rows be held against those of the table? */
static bool is_like(const struct feature_table *table, const struct served_rows *served)
{
	return !served->raw && !served->through && served->dtype != DTYPE_BIT &&
	       served->views == table->views && served->dim == table->dim &&
	       (served->key_type == KEY_BYTES) == table->keys->strings;
}

enum status skew_add(struct skew *skew, const struct feature_file *features,
	const struct served_record *record)
{
	enum status status = STATUS_OK;
	skew->fetches++;
	for (size_t i = 0; i < record->part_count && status == STATUS_OK; i++) {
		struct served_rows served;
		if (!served_record_rows(record, i, &served)) {
			continue;
		}
		const struct feature_table *table = feature_file_table(features, served.table.text);
		if (table == NULL || !is_like(table, &served)) {
			skew->other += served.count;
		} else {
			status = add_rows(skew, features, table, &served, record->time_ms);
		}
	}
	return status;
}

/* ---- figures ---- */

double skew_share(const struct skew_count *count)
{
	const uint64_t bad = count->differ + count->missing_served + count->missing_training;
	const uint64_t all =
		count->compared + count->both + count->missing_served + count->missing_training;
	return all > 0 ? (double)bad / (double)all : 0;
}

double skew_mean(const struct skew_count *count)
{
	return count->compared > 0 ? count->difference_sum / (double)count->compared : 0;
}
