/* fold.c - reads each key's state once, adds its samples, hands over what is to be written. */
#include "daemon/store/fold/fold.h"

#include "daemon/aggregate/history.h"
#include "daemon/store/base/base.h"
#include "daemon/store/base/find.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/row/age.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/system/mapfault.h"
#include "schema/slots.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	SAMPLES_AHEAD = 2,
	LINE_FLOATS = 16,
	AHEAD_FLOATS_MAX = 256, /* the processor itself fetches the rest of longer ones ahead */
};

/* ---- keys, each once ---- */

/* Finds the number of a key by its hash under the seed of the process, with open addressing. A slot has the number plus one; 0:
 * empty. */
struct once {
	uint32_t *slots; /* owned */
	size_t mask;
};

static bool once_init(struct once *once, uint32_t count)
{
	size_t slots = 16;
	while (slots < (size_t)count * 2) {
		slots *= 2;
	}
	once->mask = slots - 1;
	once->slots = calloc(slots, sizeof *once->slots);
	return once->slots != NULL;
}

static bool key_is(const struct keys *a, uint32_t i, const struct keys *b, uint32_t j)
{
	size_t len;
	size_t other_len;
	const uint8_t *key = keys_bytes(a, i, &len);
	const uint8_t *other = keys_bytes(b, j, &other_len);
	return len == other_len && memcmp(key, other, len) == 0;
}

/* The number of a sample's key. A new key gets fold->keys.count, and its slot is taken. */
static uint32_t number_of(struct once *once, const struct fold *fold, const struct keys *keys,
	uint32_t i, uint64_t hash)
{
	struct slots_walk walk;
	slots_begin(&walk, hash, once->mask);
	while (once->slots[walk.at] != 0) {
		const uint32_t number = once->slots[walk.at] - 1;
		if (key_is(&fold->keys, number, keys, i)) {
			return number;
		}
		if (!slots_next(&walk, once->mask)) {
			slots_jump(&walk, slots_other(hash), once->mask);
		}
	}
	once->slots[walk.at] = fold->keys.count + 1;
	return fold->keys.count;
}

/* Adds key i of the samples. */
static void add_key(struct fold *fold, const struct keys *keys, uint32_t i, size_t *end)
{
	size_t len;
	const uint8_t *key = keys_bytes(keys, i, &len);
	if (keys->type != KEY_U64) {
		fold->at[fold->keys.count] = (uint32_t)*end;
		fold->packed[(*end)++] = (uint8_t)len;
	}
	memcpy(fold->packed + *end, key, len);
	*end += len;
	fold->keys.count++;
}

static void add_keys(struct fold *fold, struct once *once, const struct keys *keys)
{
	uint64_t hashes[FIND_BLOCK];
	size_t end = 0;
	for (uint32_t first = 0; first < keys->count; first += FIND_BLOCK) {
		const uint32_t left = keys->count - first;
		const uint32_t count = left < FIND_BLOCK ? left : FIND_BLOCK;
		keys_hash(keys, key_seed_of_process(), first, count, hashes);
		for (uint32_t i = 0; i < count; i++) {
			const uint32_t number = number_of(once, fold, keys, first + i, hashes[i]);
			if (number == fold->keys.count) {
				add_key(fold, keys, first + i, &end);
			}
			fold->key_of[first + i] = number;
		}
	}
}

/* Lists the samples of each key one behind the other, in the order in which they came. */
static void order_samples(struct fold *fold)
{
	uint32_t *ends = fold->ends; /* first how many there are, then where they begin */
	uint32_t before = 0;
	memset(ends, 0, fold->keys.count * sizeof *ends);
	for (uint32_t i = 0; i < fold->sample_count; i++) {
		/* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.ArraySubscript): add_keys has set it. */
		ends[fold->key_of[i]]++;
	}
	for (uint32_t number = 0; number < fold->keys.count; number++) {
		const uint32_t count = ends[number];
		ends[number] = before;
		before += count;
	}
	assert(before == fold->sample_count);
	for (uint32_t i = 0; i < fold->sample_count; i++) {
		fold->order[ends[fold->key_of[i]]++] = i;
	}
}

static enum status no_memory(const struct fold *fold, struct error *err)
{
	return error_set(err, STATUS_NO_MEMORY, "no memory for samples of table '%s'",
		fold->table->spec.name.text);
}

enum status fold_init(struct fold *fold, const struct table *table, const struct keys *keys,
	struct error *err)
{
	struct once once = {0};
	size_t key_bytes; /* that all keys take, if none comes twice */
	(void)keys_piece(keys, &key_bytes);
	assert(keys->type == table->spec.key_type);
	assert(spec_folds(&table->spec));
	*fold = (struct fold){
		.table = table,
		.sample_count = keys->count,
		.keys.type = keys->type,
	};
	fold->key_of = malloc(keys->count * sizeof *fold->key_of + 1);
	fold->order = malloc(keys->count * sizeof *fold->order + 1);
	fold->ends = malloc(keys->count * sizeof *fold->ends + 1);
	fold->packed = malloc(key_bytes + 1);
	fold->at = keys->type == KEY_U64 ? NULL : malloc(keys->count * sizeof *fold->at + 1);
	if (fold->key_of == NULL || fold->order == NULL || fold->ends == NULL ||
		fold->packed == NULL || (keys->type != KEY_U64 && fold->at == NULL) ||
		!once_init(&once, keys->count)) {
		return no_memory(fold, err);
	}
	fold->keys.packed = fold->packed;
	fold->keys.at = fold->at;
	assert(fold->keys.type == KEY_U64 || fold->keys.at != NULL);
	add_keys(fold, &once, keys);
	free(once.slots);
	order_samples(fold);
	assert(fold->keys.count <= keys->count);
	fold->batch.keys = fold->keys;
	return STATUS_OK;
}

void fold_init_like(struct fold *fold, const struct table *table, const struct fold *like)
{
	assert(like->keys.type == table->spec.key_type);
	*fold = (struct fold){
		.table = table,
		.like = like,
		.sample_count = like->sample_count,
		.key_of = like->key_of,
		.order = like->order,
		.ends = like->ends,
		.keys = like->keys,
		.batch = {.keys = like->keys},
	};
}

/* ---- what is there ---- */

/* The key's row becomes its state, if there is one that has not expired. */
static void take_state(struct fold *fold, uint32_t i, const struct row_version *version,
	const struct found_row *found, int64_t now_ms)
{
	const struct table_spec *spec = &fold->table->spec;
	const struct segment *view = found->segment == NULL ? NULL : &found->segment->view;
	const uint8_t *row = NULL;
	const uint8_t *low = NULL;
	int64_t time_ms = 0;
	uint64_t tags = 0;
	if (version != NULL) {
		row = version->deleted ? NULL : version->row;
		low = row_version_low(version, spec);
		time_ms = version->time_ms;
		tags = version->tags;
	} else if (view != NULL && !found_is_deleted(found)) {
		row = view->row_data + (size_t)found->row * view->row_bytes;
		low = segment_low(view, found->row);
		time_ms = view->times[found->row];
		tags = view->tags == NULL ? 0 : view->tags[found->row];
	}
	struct aggregate *state = &fold->rows[i].state;
	state->is_there = row != NULL && !age_is_over(time_ms, now_ms, spec->ttl_ms);
	state->last_ms = time_ms;
	if (state->is_there && low != NULL) {
		state->from = row; /* it need not be copied: its first sample makes another */
		state->from_low = low;
	} else if (state->is_there) {
		memcpy(state->state, row, spec_row_bytes(spec));
	}
	if (fold->tags != NULL) {
		fold->tags[i] = state->is_there ? tags : 0;
	}
}

/* Reads the states of a block of keys. */
static enum status read_states(struct fold *fold, uint32_t first, uint32_t count, int64_t now_ms)
{
	uint64_t hashes[FIND_BLOCK];
	const struct row_version *versions[FIND_BLOCK];
	struct found_row found[FIND_BLOCK] = {0};
	const struct memtable_question question = {
		.keys = &fold->keys,
		.hashes = hashes,
		.visible = UINT64_MAX, /* writes that were applied before count, durable or not */
		.row_bytes = spec_stored_bytes(&fold->table->spec),
		.entries = fold->entries,
	};
	const struct find find = {
		.keys = &fold->keys,
		.hashes = hashes,
		.known = versions,
		.wants = FIND_ROWS | FIND_TIMES | FIND_TAGS | FIND_LOWS,
		.may_block = true,
	};
	keys_hash(&fold->keys, &fold->table->seed, first, count, hashes);
	memtable_find(fold->table->memtable, &question, first, count, versions);
	const enum status status = table_find_rows(fold->table, &find, first, count, found);
	for (uint32_t i = 0; status == STATUS_OK && i < count; i++) {
		const bool is_damaged =
			versions[i] == NULL && found[i].row == (uint32_t)FIND_CORRUPT;
		fold->rows[first + i].is_lost = is_damaged;
		if (is_damaged && !fold->passes_damage) {
			return STATUS_CORRUPT;
		}
		if (!is_damaged) {
			take_state(fold, first + i, versions[i], &found[i], now_ms);
		}
	}
	return status;
}

/* ---- the new states ---- */

static bool reserve(struct fold *fold)
{
	const struct table_spec *spec = &fold->table->spec;
	const size_t count = fold->keys.count;
	const size_t floats = spec_stored_bytes(spec) / sizeof(float);
	fold->rows = calloc(count + 1, sizeof *fold->rows);
	fold->entries = malloc(count * sizeof *fold->entries + 1);
	fold->states = malloc(count * spec_stored_bytes(spec) + 1);
	fold->times = malloc(count * sizeof *fold->times + 1);
	fold->tags = spec->tags ? malloc(count * sizeof *fold->tags + 1) : NULL;
	if (fold->rows == NULL || fold->entries == NULL || fold->states == NULL ||
		fold->times == NULL || (spec->tags && fold->tags == NULL)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		fold->rows[i].state = (struct aggregate){.state = fold->states + i * floats};
	}
	return true;
}

/* An error about the row of a key. */
static enum status refuse_key(const struct fold *fold, uint32_t number, const char *why,
	struct error *err)
{
	char key[64];
	keys_print(&fold->keys, number, key, sizeof key);
	return error_set(err, STATUS_BAD_REQUEST, "rows: a sample of key %s in table '%s' %s", key,
		fold->table->spec.name.text, why);
}

/* Adds one sample to a sum or to a history; false: it is not finite there. */
static bool add_sample(struct aggregate *row, const struct table_spec *spec, int64_t time_ms,
	const float *sample)
{
	if (spec->history != 0) {
		return history_add(row, spec, time_ms, sample);
	}
	aggregate_add(row, spec, time_ms, sample);
	return true; /* of the sum check_state will tell */
}

/* Refuses a state that is not finite: it would stay so, and nothing could be read of the row. */
static enum status check_state(const struct fold *fold, uint32_t number, struct error *err)
{
	const struct table_spec *spec = &fold->table->spec;
	const size_t elements = spec_elements(spec);
	if (!spec_aggregates(spec) || fold->rows[number].is_lost) {
		return STATUS_OK; /* a history adds nothing up; of a lost state this is not the sum */
	}
	const size_t at =
		dtype_first_nonfinite(DTYPE_F32, fold->rows[number].state.state, elements);
	if (at == elements) {
		return STATUS_OK;
	}
	char key[64];
	keys_print(&fold->keys, number, key, sizeof key);
	return error_set(err, STATUS_BAD_REQUEST,
		"rows: the sum of key %s in table '%s' is not finite after these samples: element %zu",
		key, spec->name.text, at);
}

/* Asks for the sample of a place in the order: the samples of a batch are more than the first caches hold, and those
 * of keys are not next to each other. */
static inline __attribute__((always_inline)) void prefetch_sample(const struct fold *fold,
	const struct samples *samples, uint32_t at, size_t elements)
{
	if (at < fold->sample_count) {
		const float *sample = samples->rows + fold->order[at] * elements;
		for (size_t i = 0; i < elements && i < AHEAD_FLOATS_MAX; i += LINE_FLOATS) {
			__builtin_prefetch(sample + i);
		}
	}
}

/* Adds the samples of one key to its state. */
static enum status add_samples(struct fold *fold, uint32_t number, const struct samples *samples,
	int64_t now_ms, struct error *err)
{
	const struct table_spec *spec = &fold->table->spec;
	const size_t elements = spec_sample_elements(spec);
	struct aggregate *state = &fold->rows[number].state;
	for (uint32_t at = number == 0 ? 0 : fold->ends[number - 1]; at < fold->ends[number];
		at++) {
		const uint32_t i = fold->order[at];
		int64_t time_ms;
		prefetch_sample(fold, samples, at + SAMPLES_AHEAD, elements);
		memcpy(&time_ms, samples->times + (size_t)i * sizeof time_ms, sizeof time_ms);
		/* What a late sample began has expired already: a batch that is cut here finds nothing. */
		state->is_there =
			state->is_there && !age_is_over(state->last_ms, now_ms, spec->ttl_ms);
		if (!add_sample(state, spec, time_ms, samples->rows + i * elements)) {
			return refuse_key(fold, number, "is too large for the table's dtype", err);
		}
	}
	fold->times[number] = state->last_ms;
	return check_state(fold, number, err);
}

/* Goes through the keys block by block, so that the states of a block are in the cache while samples are added. */
static enum status add_all(struct fold *fold, const struct samples *samples, int64_t now_ms,
	struct error *err)
{
	assert(samples->count == fold->sample_count);
	for (uint32_t first = 0; first < fold->keys.count; first += FIND_BLOCK) {
		const uint32_t left = fold->keys.count - first;
		const uint32_t count = left < FIND_BLOCK ? left : FIND_BLOCK;
		enum status status = read_states(fold, first, count, now_ms);
		if (status != STATUS_OK) {
			return error_set(err, status,
				"table: a segment of '%s' that has some of the keys is damaged",
				fold->table->spec.name.text);
		}
		for (uint32_t i = first; status == STATUS_OK && i < first + count; i++) {
			status = add_samples(fold, i, samples, now_ms, err);
		}
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

enum status fold_run(struct fold *fold, const struct samples *samples, int64_t now_ms,
	struct error *err)
{
	if (!reserve(fold)) {
		return no_memory(fold, err);
	}
	enum status status;
	unsigned faults;
	do {
		/* A page that could not be read has given zeros, as in table_lookup. The second time
		 * its segment is known to be damaged. */
		faults = mapfault_count();
		status = add_all(fold, samples, now_ms, err);
	} while (status != STATUS_CORRUPT && mapfault_count() != faults);
	fold->batch.dtype = DTYPE_F32;
	fold->batch.rows = (const uint8_t *)fold->states;
	fold->batch.rows_bytes = fold->keys.count * spec_stored_bytes(&fold->table->spec);
	fold->batch.times = (const uint8_t *)fold->times;
	fold->batch.tags = (const uint8_t *)fold->tags;
	return status;
}

void fold_fini(struct fold *fold)
{
	if (fold->like == NULL) {
		free(fold->key_of);
		free(fold->order);
		free(fold->ends);
		free(fold->packed);
		free(fold->at);
	}
	free(fold->rows);
	free(fold->entries);
	free(fold->states);
	free(fold->times);
	free(fold->tags);
	*fold = (struct fold){0};
}
