/* training_walk.c - reads each sample, and adds it when the time has moved on. */
#include "tools/evaluation/training_walk.h"

#include "schema/dtype.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Samples whose keys are numbered at once, and for whose new keys states are asked together. */
enum { BLOCK = 4096 };

static const uint32_t no_number = UINT32_MAX;

struct work {
	struct walk *walk;
	struct key_numbers numbers;
	uint32_t of_block[BLOCK]; /* the numbers of the keys; no_number: of another part */
	float *vector;            /* owned; of the largest dim */
	uint64_t added;           /* samples before this one are in the states */
};

static int64_t time_of(const struct walk *walk, uint64_t row)
{
	int64_t time_ms;
	memcpy(&time_ms, walk->times + row * sizeof time_ms, sizeof time_ms);
	return time_ms;
}

static void put_i64(uint8_t *out, uint64_t row, int64_t value)
{
	memcpy(out + row * sizeof value, &value, sizeof value);
}

static void put_f64(uint8_t *out, uint64_t row, double value)
{
	memcpy(out + row * sizeof value, &value, sizeof value);
}

static uint64_t bytes_for(const struct walk *walk, size_t keys)
{
	uint64_t bytes = key_numbers_bytes(walk->key_bytes, keys);
	for (size_t i = 0; i < walk->table_count; i++) {
		bytes += cr_states_bytes(&walk->tables[i].spec, keys);
	}
	return bytes;
}

/* ---- keys ---- */

/* Makes room for the states of keys [first, end), and asks what they begin with. */
static enum status begin_states(struct work *work, uint32_t first, struct error *err)
{
	struct walk *walk = work->walk;
	const struct training_keys keys = {
		.keys = work->numbers.keys + (size_t)first * walk->key_bytes,
		.key_bytes = walk->key_bytes,
		.strings = walk->strings,
		.first = first,
		.count = (uint32_t)work->numbers.count - first,
	};
	enum status status = STATUS_OK;
	for (size_t i = 0; i < walk->table_count && keys.count > 0 && status == STATUS_OK; i++) {
		struct walk_table *table = &walk->tables[i];
		if (cr_states_grow(&table->states, work->numbers.count) != STATUS_OK) {
			return error_set(err, STATUS_NO_MEMORY,
				"no memory for the states of %zu %ss", work->numbers.count,
				walk->what);
		}
		if (walk->request->begin != NULL) {
			status = walk->request->begin(walk->request->context, table->number, &keys,
				&table->states, err);
		}
	}
	return status;
}

/* Numbers the keys of samples [first, first + count). */
static enum status number_block(struct work *work, uint64_t first, size_t count, struct error *err)
{
	struct walk *walk = work->walk;
	struct key_numbers *numbers = &work->numbers;
	const uint32_t known = (uint32_t)numbers->count;
	for (size_t i = 0; i < count; i++) {
		const uint64_t row = sample_order_row(walk->order, first + i);
		const uint8_t *key = walk->keys + row * walk->key_bytes;
		const uint64_t hash = key_numbers_hash(numbers, key);
		work->of_block[i] = no_number;
		if ((hash >> 32 & walk->part_mask) != walk->part ||
			key_numbers_find(numbers, key, hash, &work->of_block[i])) {
			continue;
		}
		const enum status status = key_numbers_add(numbers, key, hash, &work->of_block[i]);
		if (status == STATUS_TOO_LARGE) {
			return STATUS_AGAIN;
		}
		if (status != STATUS_OK) {
			return error_set(err, status, "no memory for %zu %ss", numbers->count,
				walk->what);
		}
	}
	walk->bytes = bytes_for(walk, numbers->count);
	if (walk->request->memory_bytes > 0 && walk->bytes > walk->request->memory_bytes) {
		return STATUS_AGAIN;
	}
	return begin_states(work, known, err);
}

/* ---- samples ---- */

/* What stands in a table's row before its key had a sample, or where it is left out. */
static void leave_out(struct walk_table *table, uint64_t row, int64_t age)
{
	const size_t bytes = table->spec.dim * sizeof(float);
	memset(table->rows + row * bytes, 0, bytes);
	put_f64(table->weights, row, 0);
	put_i64(table->ages, row, age);
}

static enum status read_sample(struct walk *walk, struct walk_table *table, uint64_t row,
	uint32_t number, struct error *err)
{
	const size_t dim = table->spec.dim;
	uint8_t *out = table->rows + row * dim * sizeof(float);
	const int64_t time_ms = time_of(walk, row);
	int64_t last_ms = 0;
	if (!cr_states_is_there(&table->states, number, &last_ms)) {
		leave_out(table, row, AGE_NONE);
		table->count.none++;
		return STATUS_OK;
	}
	/* All that was added is of earlier times, so this is the state that the key began with. */
	if (last_ms >= time_ms) {
		if (walk->late++ == 0) {
			walk->late_row = row;
			walk->late_state_ms = last_ms;
			walk->late_table = table->spec.name.text;
		}
		leave_out(table, row, AGE_LATE);
		table->count.late++;
		return STATUS_OK;
	}
	cr_states_read(&table->states, number, out);
	put_f64(table->weights, row, cr_states_weight(&table->states, number));
	put_i64(table->ages, row, time_ms - last_ms);
	table->count.there++;
	if (dtype_first_nonfinite(DTYPE_F32, out, dim) < dim) {
		return error_set(err, STATUS_TOO_LARGE,
			"table %s: before sample %" PRIu64
			" the sum of its %s's vectors is beyond f32",
			table->spec.name.text, row, walk->what);
	}
	return STATUS_OK;
}

/* Adds a sample to the states of its key. Tables of one layer stand side by side, so its vector is
 * made once. */
static void add_sample(struct work *work, uint64_t k)
{
	const struct walk *walk = work->walk;
	const uint64_t row = sample_order_row(walk->order, k);
	const uint8_t *key = walk->keys + row * walk->key_bytes;
	const uint64_t hash = key_numbers_hash(&work->numbers, key);
	const struct cr_layer *layer = NULL;
	uint32_t number = 0;
	if ((hash >> 32 & walk->part_mask) != walk->part) {
		return;
	}
	const bool found = key_numbers_find(&work->numbers, key, hash, &number);
	assert(found);
	(void)found;
	for (size_t i = 0; i < walk->table_count; i++) {
		struct walk_table *table = &walk->tables[i];
		int64_t age = 0;
		memcpy(&age, table->ages + row * sizeof age, sizeof age);
		if (age == AGE_LATE) {
			continue; /* the state may hold it */
		}
		if (table->layer != layer) {
			layer = table->layer;
			cr_layer_vector(layer, row, work->vector);
		}
		cr_states_add(&table->states, number, time_of(walk, row), work->vector);
	}
}

static enum status read_block(struct work *work, uint64_t first, size_t count, struct error *err)
{
	struct walk *walk = work->walk;
	enum status status = STATUS_OK;
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		const uint64_t k = first + i;
		const uint64_t row = sample_order_row(walk->order, k);
		const int64_t now_ms = time_of(walk, row);
		/* All samples that wait are of one time. */
		if (time_of(walk, sample_order_row(walk->order, work->added)) < now_ms) {
			while (work->added < k) {
				add_sample(work, work->added++);
			}
		}
		assert(work->added == 0 ||
			time_of(walk, sample_order_row(walk->order, work->added - 1)) < now_ms);
		for (size_t j = 0; j < walk->table_count && work->of_block[i] != no_number &&
				   status == STATUS_OK;
			j++) {
			status = read_sample(walk, &walk->tables[j], row, work->of_block[i], err);
		}
	}
	return status;
}

static enum status run(struct work *work, struct error *err)
{
	struct walk *walk = work->walk;
	enum status status = STATUS_OK;
	for (uint64_t first = 0; first < walk->samples && status == STATUS_OK;) {
		const uint64_t left = walk->samples - first;
		const size_t count = (size_t)(left < BLOCK ? left : BLOCK);
		status = number_block(work, first, count, err);
		if (status == STATUS_OK) {
			status = read_block(work, first, count, err);
		}
		first += count;
		if (status == STATUS_OK && !walk->request->progress(walk->request->context,
						   walk->done + first, walk->total)) {
			status = error_set(err, STATUS_CLOSED, "interrupted");
		}
	}
	return status;
}

enum status training_walk_run(struct walk *walk, struct error *err)
{
	struct work *work = calloc(1, sizeof *work);
	size_t dim_max = 0;
	for (size_t i = 0; i < walk->table_count; i++) {
		struct walk_table *table = &walk->tables[i];
		cr_states_init(&table->states, &table->spec);
		dim_max = table->spec.dim > dim_max ? table->spec.dim : dim_max;
	}
	enum status status = STATUS_NO_MEMORY;
	assert(dim_max > 0);
	if (work != NULL) {
		work->walk = walk;
		work->vector = calloc(dim_max, sizeof *work->vector);
		key_numbers_init(&work->numbers, walk->key_bytes);
	}
	if (work != NULL && work->vector != NULL) {
		status = run(work, err);
		walk->key_count = work->numbers.count;
	} else {
		error_set(err, status, "no memory to walk through samples");
	}
	for (size_t i = 0; i < walk->table_count; i++) {
		cr_states_fini(&walk->tables[i].states);
	}
	if (work != NULL) {
		key_numbers_fini(&work->numbers);
		free(work->vector);
	}
	free(work);
	return status;
}
