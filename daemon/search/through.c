/* through.c - finds the tensors that a chain names; runs rows through it, block by block. */
#include "daemon/search/through.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/retrieval/layers/adapter.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/stop.h"
#include "daemon/store/tensor/tensor.h"
#include "schema/limits.h"

struct through {
	struct adapter adapter;
	const struct stop *stop; /* borrowed; may be NULL */
	size_t tensor_count;
	const struct tensor *tensors[2 * LIMIT_ADAPTER_STEPS]; /* borrowed from the snapshot */
};

/* ---- make ---- */

/* Makes a tensor readable and adds it to the chain. */
static enum status use(struct through *through, const struct through_place *place,
	struct tensor *tensor, struct adapter_tensor *out, struct error *err)
{
	const enum status status =
		store_tensor_use(place->store, place->release, tensor, place->may_block, err);
	if (status == STATUS_OK) {
		assert(through->tensor_count < sizeof through->tensors / sizeof *through->tensors);
		through->tensors[through->tensor_count++] = tensor;
		*out = (struct adapter_tensor){.spec = &tensor->spec, .data = tensor->data};
	}
	return status;
}

enum status through_begin(const struct through_place *place, size_t steps, struct through **out,
	struct error *err)
{
	if (steps == 0 || steps > LIMIT_ADAPTER_STEPS) {
		return error_set(err, STATUS_BAD_REQUEST, "%sthrough: %zu given, 1..%u allowed",
			place->where, steps, LIMIT_ADAPTER_STEPS);
	}
	if (place->width > LIMIT_ADAPTER_WIDTH) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%sthrough: rows have %" PRIu64 " values, up to %u allowed", place->where,
			place->width, LIMIT_ADAPTER_WIDTH);
	}
	struct through *through = calloc(1, sizeof *through);
	if (through == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "%sthrough: no memory", place->where);
	}
	through->stop = place->stop;
	adapter_init(&through->adapter, (uint32_t)place->width);
	*out = through;
	return STATUS_OK;
}

static enum status add_step(struct through *through, const struct through_place *place,
	const char *text, size_t len, struct error *err)
{
	struct adapter_name name;
	struct adapter_tensor weight = {0};
	struct adapter_tensor bias = {0};
	struct tensor *tensor;
	enum status status = adapter_name_read(text, len, &name, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (adapter_has_tensors(&name)) {
		status = release_tensor(place->release, name.weight.text, &tensor, err);
		if (status == STATUS_OK) {
			status = use(through, place, tensor, &weight, err);
		}
		if (status == STATUS_OK && release_tensor(place->release, name.bias.text, &tensor,
						   NULL) == STATUS_OK) {
			status = use(through, place, tensor, &bias, err);
		}
	}
	return status == STATUS_OK ? adapter_add(&through->adapter, &name, weight, bias, err)
				   : status;
}

enum status through_add(struct through *through, const struct through_place *place,
	const char *name, size_t len, struct error *err)
{
	struct error reason = {0};
	const size_t step = through->adapter.count;
	assert(step < LIMIT_ADAPTER_STEPS); /* through_begin has checked how many come */
	const enum status status = add_step(through, place, name, len, &reason);
	assert(through->adapter.count == step + (status == STATUS_OK));
	if (status != STATUS_OK && status != STATUS_AGAIN) {
		return error_set(err, status, "%sthrough[%zu]: %s", place->where, step,
			reason.text);
	}
	return status;
}

enum status through_end(const struct through *through, const struct through_place *place,
	struct error *err)
{
	assert(through->adapter.count > 0);
	/* A client may count on LIMIT_DIM for all rows, also for those that leave a chain. */
	if (through->adapter.out > LIMIT_DIM) {
		return error_set(err, STATUS_BAD_REQUEST,
			"%sthrough: rows of %" PRIu32 " values come out, up to %u allowed",
			place->where, through->adapter.out, LIMIT_DIM);
	}
	return STATUS_OK;
}

void through_free(struct through *through)
{
	free(through);
}

uint32_t through_dim(const struct through *through)
{
	return through->adapter.out;
}

uint64_t through_work(const struct through *through, uint64_t rows)
{
	return adapter_work(&through->adapter, rows);
}

/* ---- look up ---- */

/* A lookup of `count` keys of another, from key `first` on: a multiple of 8, since `found` has a
 * bit for each key. */
static struct lookup slice(const struct lookup *whole, uint32_t first, uint32_t count)
{
	struct lookup some = *whole;
	const size_t at = first;
	assert(first % 8 == 0 && first + count <= whole->keys.count);
	some.keys.count = count;
	if (some.keys.type == KEY_U64) {
		some.keys.packed += at * 8;
	} else {
		some.keys.at += at;
	}
	some.dtype = DTYPE_F32;
	some.scales = NULL;
	some.found += at / 8;
	some.times = some.times == NULL ? NULL : some.times + at * 8;
	some.tags = some.tags == NULL ? NULL : some.tags + at * 8;
	some.weights = some.weights == NULL ? NULL : some.weights + at * 4;
	some.why = some.why == NULL ? NULL : some.why + at;
	return some;
}

/* Writes the rows that left the chain as rows [first, ...) of the answer. */
static void put_rows(const struct lookup *whole, const struct lookup *some, uint32_t first,
	float *rows, uint32_t dim)
{
	const uint32_t count = some->keys.count;
	assert(first + count <= whole->keys.count);
	for (uint32_t i = 0; i < count; i++) {
		const bool is_found = (some->found[i / 8] >> i % 8 & 1) != 0;
		/* Without `why`, a damaged segment has failed the look-up. */
		const bool is_defaulted =
			some->defaults && (some->why == NULL || some->why[i] == WHY_DEFAULTED);
		if (!is_found && !is_defaulted) {
			memset(rows + (size_t)i * dim, 0, dim * sizeof *rows);
		}
	}
	const struct dtype_rows target = {
		.dtype = whole->dtype,
		.rows = whole->rows + first * dtype_row_bytes(whole->dtype, dim, 1),
		.scales = whole->scales == NULL ? NULL : whole->scales + (size_t)first * 4,
	};
	const struct dtype_rows source = {.dtype = DTYPE_F32, .rows = rows};
	dtype_convert(&target, &source, count, dim, 1);
}

static enum status look_up(const struct through *through, struct adapter_space *space,
	struct lookup *lookup, struct error *err)
{
	memset(lookup->counts, 0, sizeof lookup->counts);
	for (uint32_t first = 0; first < lookup->keys.count; first += space->rows_max) {
		const uint32_t left = lookup->keys.count - first;
		const uint32_t count = left < space->rows_max ? left : space->rows_max;
		struct lookup some = slice(lookup, first, count);
		some.rows = (uint8_t *)space->rows;
		enum status status = stop_check(through->stop, err);
		if (status == STATUS_OK) {
			status = table_lookup(&some, err);
		}
		if (status != STATUS_OK) {
			return status;
		}
		for (unsigned why = 0; why < WHY_COUNT; why++) {
			lookup->counts[why] += some.counts[why];
		}
		float *rows = adapter_run(&through->adapter, space, count);
		put_rows(lookup, &some, first, rows, through->adapter.out);
	}
	return STATUS_OK;
}

/* Checks that no tensor was damaged while it was read. */
static enum status check_tensors(const struct through *through, struct error *err)
{
	for (size_t i = 0; i < through->tensor_count; i++) {
		if (!tensor_is_sound(through->tensors[i])) {
			return error_set(err, STATUS_CORRUPT,
				"through: tensor '%s': its file is damaged",
				through->tensors[i]->spec.name.text);
		}
	}
	return STATUS_OK;
}

enum status through_lookup(const struct through *through, struct lookup *lookup, struct error *err)
{
	struct adapter_space space;
	assert(lookup->found != NULL); /* rows that were not found are zeroed by it */
	assert(spec_elements(&lookup->table->spec) == through->adapter.in);
	enum status status = adapter_space_init(&space, &through->adapter, lookup->keys.count);
	if (status != STATUS_OK) {
		return error_set(err, status, "through: no memory for rows");
	}
	status = look_up(through, &space, lookup, err);
	adapter_space_fini(&space);
	return status == STATUS_OK ? check_tensors(through, err) : status;
}

enum status through_rows(const struct through *through, const float *rows, uint32_t count,
	float *out, struct error *err)
{
	const struct adapter *adapter = &through->adapter;
	struct adapter_space space;
	enum status status = adapter_space_init(&space, adapter, count);
	if (status != STATUS_OK) {
		return error_set(err, status, "through: no memory for rows");
	}
	for (uint32_t first = 0; status == STATUS_OK && first < count; first += space.rows_max) {
		const uint32_t left = count - first;
		const uint32_t some = left < space.rows_max ? left : space.rows_max;
		memcpy(space.rows, rows + (size_t)first * adapter->in,
			(size_t)some * adapter->in * sizeof *rows);
		memcpy(out + (size_t)first * adapter->out, adapter_run(adapter, &space, some),
			(size_t)some * adapter->out * sizeof *out);
		status = stop_check(through->stop, err);
	}
	adapter_space_fini(&space);
	return status == STATUS_OK ? check_tensors(through, err) : status;
}
