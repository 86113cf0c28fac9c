/* cr_samples.c - reads columns, checks them, numbers keys, sorts by time. */
#include "tools/evaluation/cr_samples.h"

#include "schema/limits.h"
#include "tools/format/npy_file.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One column: the option that named it, and its file. */
struct column {
	const char *option;
	struct npy_file file;
};

enum { USERS, ITEMS, TIMES, LABELS, COLUMNS };

/* ---- files ---- */

static enum status wrong(const struct column *column, const char *allowed, struct error *err)
{
	char given[NPY_FILE_SHAPE_BYTES];
	return error_set(err, STATUS_BAD_REQUEST, "--%s: '%s': %s given, %s", column->option,
		column->file.path, npy_file_shape(&column->file, given), allowed);
}

static enum status check_shape(const struct column *column, uint64_t count, struct error *err)
{
	char allowed[80];
	const struct npy *npy = &column->file.npy;
	if (npy->dims != 1) {
		return wrong(column, "one dimension, [n], is allowed", err);
	}
	if (npy->shape[0] != count) {
		snprintf(allowed, sizeof allowed, "[%" PRIu64 "] is as many as there are users",
			count);
		return wrong(column, allowed, err);
	}
	return STATUS_OK;
}

static enum status open_columns(const struct sample_columns *paths, struct column columns[COLUMNS],
	struct error *err)
{
	const char *given[COLUMNS] = {paths->users, paths->items, paths->times, paths->labels};
	for (size_t i = 0; i < COLUMNS; i++) {
		enum status status = npy_file_open(given[i], &columns[i].file, err);
		if (status == STATUS_OK) {
			status = check_shape(&columns[i], columns[USERS].file.npy.shape[0], err);
		}
		if (status != STATUS_OK) {
			return status;
		}
	}
	const uint64_t count = columns[USERS].file.npy.shape[0];
	if (count < 2 || count > UINT32_MAX) {
		return wrong(&columns[USERS], "2 to 2^32 - 1 samples are allowed", err);
	}
	return STATUS_OK;
}

/* ---- values ---- */

static bool is_integer(const struct npy *npy)
{
	return npy->kind == 'i' || npy->kind == 'u' || npy->kind == 'b';
}

/* Reads the times, in the order of the files. */
static enum status read_times(const struct column *column, const struct row_time_rule *rule,
	int64_t *out, struct error *err)
{
	if (!is_integer(&column->file.npy)) {
		return wrong(column, "times are integers", err);
	}
	for (uint64_t i = 0; i < column->file.npy.elements; i++) {
		if (!npy_file_integer(&column->file, i, &out[i])) {
			out[i] = INT64_MAX; /* above all times */
		}
	}
	char what[320];
	snprintf(what, sizeof what, "--times: '%s'", column->file.path);
	return row_times_take(rule, out, column->file.npy.elements, what, 0, err);
}

/* Reads the labels, in the order of time. */
static enum status read_labels(const struct column *column, const uint32_t *order, uint8_t *out,
	struct error *err)
{
	if (!is_integer(&column->file.npy)) {
		return wrong(column, "labels are integers or bools", err);
	}
	for (uint64_t k = 0; k < column->file.npy.elements; k++) {
		int64_t label = 0;
		if (!npy_file_integer(&column->file, order[k], &label) || label < 0 || label > 1) {
			return error_set(err, STATUS_BAD_REQUEST,
				"--labels: '%s': sample %" PRIu32 " has %" PRId64
				", 0 or 1 allowed",
				column->file.path, order[k], label);
		}
		out[k] = (uint8_t)label;
	}
	return STATUS_OK;
}

static enum status check_keys(const struct column *column, struct error *err)
{
	static const uint8_t nothing[LIMIT_KEY_BYTES] = {0};
	const struct npy *npy = &column->file.npy;
	if (npy->kind != 'u' && npy->kind != 'i' && npy->kind != 'S') {
		return wrong(column, "keys are integers or byte strings ('S')", err);
	}
	if (npy->kind == 'S' && npy->item_bytes > LIMIT_KEY_BYTES) {
		return wrong(column, "keys have 255 bytes at most", err);
	}
	for (uint64_t i = 0; i < npy->elements; i++) {
		const uint8_t *at = npy->data + i * npy->item_bytes;
		if (npy->kind == 'i' && (at[npy->item_bytes - 1] & 0x80) != 0) {
			return error_set(err, STATUS_BAD_REQUEST,
				"--%s: '%s': the key of sample %" PRIu64
				" is negative, 0 to 2^64 - 1 allowed",
				column->option, column->file.path, i);
		}
		if (npy->kind == 'S' && memcmp(at, nothing, npy->item_bytes) == 0) {
			return error_set(err, STATUS_BAD_REQUEST,
				"--%s: '%s': the key of sample %" PRIu64
				" is empty, 1 to 255 bytes allowed",
				column->option, column->file.path, i);
		}
	}
	return STATUS_OK;
}

static int by_key(const void *a, const void *b, void *context)
{
	const struct npy *npy = context;
	return memcmp(npy->data + *(const uint32_t *)a * npy->item_bytes,
		npy->data + *(const uint32_t *)b * npy->item_bytes, npy->item_bytes);
}

/* Copies each key once, in the order of memcmp. */
static enum status copy_keys(const struct npy *npy, const uint32_t *sorted, size_t count,
	struct cr_keys *out)
{
	const bool strings = npy->kind == 'S';
	const size_t key_bytes = strings ? npy->item_bytes : sizeof(uint64_t);
	*out = (struct cr_keys){strings ? 'S' : 'u', key_bytes, 0, calloc(count, key_bytes)};
	if (out->bytes == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (uint64_t i = 0; i < npy->elements; i++) {
		if (i == 0 || by_key(&sorted[i - 1], &sorted[i], (void *)npy) != 0) {
			memcpy(out->bytes + out->count++ * key_bytes,
				npy->data + sorted[i] * npy->item_bytes, npy->item_bytes);
		}
	}
	return STATUS_OK;
}

bool cr_keys_find(const struct cr_keys *keys, const uint8_t *key, size_t len, uint32_t *out)
{
	uint8_t padded[LIMIT_KEY_BYTES] = {0};
	/* NumPy cannot hold a string that ends in NUL, so it is none of them. */
	if (len == 0 || len > keys->key_bytes || (keys->kind == 'S' && key[len - 1] == 0)) {
		return false;
	}
	memcpy(padded, key, len);
	size_t low = 0;
	size_t high = keys->count;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const int order =
			memcmp(keys->bytes + middle * keys->key_bytes, padded, keys->key_bytes);
		if (order == 0) {
			*out = (uint32_t)middle;
			return true;
		}
		low = order < 0 ? middle + 1 : low;
		high = order < 0 ? high : middle;
	}
	return false;
}

/* Numbers the keys of a column, in the order of the files, and returns how many different ones
 * there are. sorted: out, uint32_t[n], the rows in the order of their keys. */
static size_t number_keys(const struct npy *npy, uint32_t *sorted, uint32_t *out)
{
	uint32_t number = 0;
	for (uint64_t i = 0; i < npy->elements; i++) {
		sorted[i] = (uint32_t)i;
	}
	qsort_r(sorted, npy->elements, sizeof *sorted, by_key, (void *)npy);
	for (uint64_t i = 0; i < npy->elements; i++) {
		number += i > 0 && by_key(&sorted[i - 1], &sorted[i], (void *)npy) != 0;
		out[sorted[i]] = number;
	}
	return (size_t)number + 1;
}

/* ---- order ---- */

static int by_time(const void *a, const void *b, void *context)
{
	const int64_t *times = context;
	const uint32_t left = *(const uint32_t *)a;
	const uint32_t right = *(const uint32_t *)b;
	return times[left] != times[right] ? (times[left] > times[right] ? 1 : -1)
					   : (left > right) - (left < right);
}

static void order_by_time(const int64_t *times, size_t count, uint32_t *order)
{
	for (size_t i = 0; i < count; i++) {
		order[i] = (uint32_t)i;
	}
	qsort_r(order, count, sizeof *order, by_time, (void *)times);
}

/* Puts `numbers`, which are in the order of the files, in the order of time. */
static void put_in_order(const uint32_t *numbers, const uint32_t *order, size_t count,
	uint32_t *out)
{
	for (size_t k = 0; k < count; k++) {
		out[k] = numbers[order[k]];
	}
}

/* ---- all together ---- */

/* What is needed while reading. */
struct work {
	int64_t *times;    /* by the files' rows */
	uint32_t *sorted;  /* their numbers, by key */
	uint32_t *numbers; /* of keys, by the files' rows */
};

static enum status make_room(struct cr_samples *samples, struct work *work, struct error *err)
{
	const size_t count = samples->count;
	samples->order = calloc(count, sizeof *samples->order);
	samples->users = calloc(count, sizeof *samples->users);
	samples->items = calloc(count, sizeof *samples->items);
	samples->times_ms = calloc(count, sizeof *samples->times_ms);
	samples->labels = calloc(count, sizeof *samples->labels);
	work->times = calloc(count, sizeof *work->times);
	work->sorted = calloc(count, sizeof *work->sorted);
	work->numbers = calloc(count, sizeof *work->numbers);
	if (samples->order == NULL || samples->users == NULL || samples->items == NULL ||
		samples->times_ms == NULL || samples->labels == NULL || work->times == NULL ||
		work->sorted == NULL || work->numbers == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for %zu samples", count);
	}
	return STATUS_OK;
}

static enum status fill(const struct column columns[COLUMNS], const struct row_time_rule *rule,
	struct cr_samples *samples, struct work *work, struct error *err)
{
	enum status status = read_times(&columns[TIMES], rule, work->times, err);
	if (status == STATUS_OK) {
		order_by_time(work->times, samples->count, samples->order);
		status = read_labels(&columns[LABELS], samples->order, samples->labels, err);
	}
	if (status == STATUS_OK) {
		status = check_keys(&columns[USERS], err);
	}
	if (status == STATUS_OK) {
		status = check_keys(&columns[ITEMS], err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	for (size_t k = 0; k < samples->count; k++) {
		samples->times_ms[k] = work->times[samples->order[k]];
	}
	for (size_t k = 1; k < samples->count; k++) {
		assert(samples->times_ms[k - 1] <= samples->times_ms[k]);
	}
	samples->user_count = number_keys(&columns[USERS].file.npy, work->sorted, work->numbers);
	put_in_order(work->numbers, samples->order, samples->count, samples->users);
	status = copy_keys(&columns[USERS].file.npy, work->sorted, samples->user_count,
		&samples->user_keys);
	if (status != STATUS_OK) {
		return error_set(err, status, "no memory for %zu users", samples->user_count);
	}
	samples->item_count = number_keys(&columns[ITEMS].file.npy, work->sorted, work->numbers);
	put_in_order(work->numbers, samples->order, samples->count, samples->items);
	status = copy_keys(&columns[ITEMS].file.npy, work->sorted, samples->item_count,
		&samples->item_keys);
	return status == STATUS_OK
		       ? STATUS_OK
		       : error_set(err, status, "no memory for %zu items", samples->item_count);
}

enum status cr_samples_read(const struct sample_columns *paths, struct cr_samples *out,
	struct error *err)
{
	struct column columns[COLUMNS] = {{"users", {0}}, {"items", {0}}, {"times", {0}},
		{"labels", {0}}};
	struct cr_samples samples = {0};
	struct work work = {0};
	enum status status = open_columns(paths, columns, err);
	if (status == STATUS_OK) {
		samples.count = columns[USERS].file.npy.shape[0];
		status = make_room(&samples, &work, err);
	}
	if (status == STATUS_OK) {
		status = fill(columns, &paths->time, &samples, &work, err);
	}
	for (size_t i = 0; i < COLUMNS; i++) {
		npy_file_close(&columns[i].file);
	}
	free(work.times);
	free(work.sorted);
	free(work.numbers);
	if (status != STATUS_OK) {
		cr_samples_fini(&samples);
		return status;
	}
	*out = samples;
	return STATUS_OK;
}

void cr_samples_fini(struct cr_samples *samples)
{
	free(samples->user_keys.bytes);
	free(samples->item_keys.bytes);
	free(samples->order);
	free(samples->users);
	free(samples->items);
	free(samples->times_ms);
	free(samples->labels);
	*samples = (struct cr_samples){0};
}

size_t cr_samples_cut(const struct cr_samples *samples, double share)
{
	size_t cut = (size_t)(share * (double)samples->count);
	assert(cut <= samples->count);
	while (cut > 0 && cut < samples->count &&
		samples->times_ms[cut] == samples->times_ms[cut - 1]) {
		cut--;
	}
	return cut;
}
