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
	KEYS_AHEAD = 4,
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
	};
}

/* ---- what is there ---- */

/* A block of keys, and what is known of each. */
struct block {
	uint32_t first;
	uint32_t count;
	uint64_t hashes[FIND_BLOCK];
	struct memtable_entry *entries[FIND_BLOCK];
	uint64_t tags[FIND_BLOCK];
};

/* Finds key i's row, which is its state, if there is one that has not expired. */
static void take_state(struct fold *fold, struct block *block, uint32_t i,
	const struct row_version *version, const struct found_row *found, int64_t now_ms)
{
	const struct table_spec *spec = &fold->table->spec;
	const struct segment *view = found->segment == NULL ? NULL : &found->segment->view;
	struct aggregate *state = &fold->rows[block->first + i].state;
	uint64_t tags = 0;
	state->from = NULL;
	if (version != NULL) {
		state->from = version->deleted ? NULL : version->row;
		state->from_low = row_version_low(version, spec);
		state->last_ms = version->time_ms;
		tags = version->tags;
	} else if (view != NULL && !found_is_deleted(found)) {
		state->from = view->row_data + (size_t)found->row * view->row_bytes;
		state->from_low = segment_low(view, found->row);
		state->last_ms = view->times[found->row];
		tags = view->tags == NULL ? 0 : view->tags[found->row];
	}
	state->is_there = state->from != NULL && !age_is_over(state->last_ms, now_ms, spec->ttl_ms);
	block->tags[i] = state->is_there ? tags : 0;
}

/* Finds the states of a block of keys. */
static enum status find_states(struct fold *fold, struct block *block, int64_t now_ms)
{
	const struct row_version *versions[FIND_BLOCK];
	struct found_row found[FIND_BLOCK] = {0};
	const struct memtable_question question = {
		.keys = &fold->keys,
		.hashes = block->hashes,
		.visible = UINT64_MAX, /* writes that were applied before count, durable or not */
		.row_bytes = spec_stored_bytes(&fold->table->spec),
		.entries = block->entries,
	};
	const struct find find = {
		.keys = &fold->keys,
		.hashes = block->hashes,
		.known = versions,
		.wants = FIND_ROWS | FIND_TIMES | FIND_TAGS | FIND_LOWS,
		.may_block = true,
	};
	const uint32_t first = block->first;
	keys_hash(&fold->keys, &fold->table->seed, first, block->count, block->hashes);
	memtable_find(fold->table->memtable, &question, first, block->count, versions);
	const enum status status = table_find_rows(fold->table, &find, first, block->count, found);
	for (uint32_t i = 0; status == STATUS_OK && i < block->count; i++) {
		const bool is_damaged =
			versions[i] == NULL && found[i].row == (uint32_t)FIND_CORRUPT;
		fold->rows[first + i].is_lost = is_damaged;
		fold->has_lost |= is_damaged;
		if (is_damaged && !fold->passes_damage) {
			return STATUS_CORRUPT;
		}
		if (!is_damaged) {
			take_state(fold, block, i, versions[i], &found[i], now_ms);
		} else {
			fold->rows[first + i].state = (struct aggregate){0};
			block->tags[i] = 0;
		}
	}
	return status;
}

/* ---- the new states ---- */

/* Gets memory for the new state of key i of a block. The old one of two f32 a sum need not be copied: its first
 * sample makes another. */
static enum status get_room(struct fold *fold, const struct block *block, uint32_t i)
{
	const struct table_spec *spec = &fold->table->spec;
	const uint32_t number = block->first + i;
	struct aggregate *state = &fold->rows[number].state;
	size_t key_len;
	const uint8_t *key = keys_bytes(&fold->keys, number, &key_len);
	struct row_version *version = memtable_room_get(&fold->room, number, block->entries[i],
		block->hashes[i], key, key_len);
	if (version == NULL) {
		return STATUS_NO_MEMORY;
	}
	version->tags = block->tags[i];
	state->state = (float *)(void *)version->row;
	if (state->is_there && state->from_low == NULL) {
		memcpy(state->state, state->from, spec_row_bytes(spec));
		state->from = NULL;
	}
	return STATUS_OK;
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
	fold->room.made[number].version->time_ms = state->last_ms;
	return check_state(fold, number, err);
}

/* Adds the samples of a block of keys. Memory is got some keys ahead, since what is written over is asked for then. */
static enum status add_block(struct fold *fold, const struct block *block,
	const struct samples *samples, int64_t now_ms, struct error *err)
{
	enum status status = STATUS_OK;
	for (uint32_t i = 0; status == STATUS_OK && i < block->count + KEYS_AHEAD; i++) {
		if (i < block->count && get_room(fold, block, i) != STATUS_OK) {
			return no_memory(fold, err);
		}
		if (i >= KEYS_AHEAD) {
			status = add_samples(fold, block->first + i - KEYS_AHEAD, samples, now_ms,
				err);
		}
	}
	return status;
}

/* Goes through the keys block by block, so that the states of a block are in the cache while samples are added. */
static enum status add_all(struct fold *fold, const struct samples *samples, int64_t now_ms,
	struct error *err)
{
	assert(samples->count == fold->sample_count);
	for (uint32_t first = 0; first < fold->keys.count; first += FIND_BLOCK) {
		const uint32_t left = fold->keys.count - first;
		struct block block;
		block.first = first;
		block.count = left < FIND_BLOCK ? left : FIND_BLOCK;
		enum status status = find_states(fold, &block, now_ms);
		if (status != STATUS_OK) {
			return error_set(err, status,
				"table: a segment of '%s' that has some of the keys is damaged",
				fold->table->spec.name.text);
		}
		status = add_block(fold, &block, samples, now_ms, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

/* Leaves out what is lost. */
static void skip_lost(struct fold *fold)
{
	for (uint32_t i = 0; fold->has_lost && i < fold->keys.count; i++) {
		if (fold->rows[i].is_lost) {
			memtable_room_skip(&fold->room, i);
		}
	}
}

enum status fold_run(struct fold *fold, const struct memtable_change *change,
	const struct samples *samples, int64_t now_ms, struct error *err)
{
	fold->rows = calloc((size_t)fold->keys.count + 1, sizeof *fold->rows);
	if (fold->rows == NULL) {
		return no_memory(fold, err);
	}
	enum status status;
	unsigned faults;
	do {
		/* A page that could not be read has given zeros, as in table_lookup. The second time
		 * its segment is known to be damaged. */
		faults = mapfault_count();
		fold_end(fold);
		fold->has_lost = false;
		status = memtable_room_begin(&fold->room, fold->table->memtable, change,
			fold->keys.count);
		if (status != STATUS_OK) {
			return no_memory(fold, err);
		}
		status = add_all(fold, samples, now_ms, err);
	} while (status != STATUS_CORRUPT && mapfault_count() != faults);
	if (status == STATUS_OK) {
		skip_lost(fold);
	}
	return status;
}

void fold_end(struct fold *fold)
{
	memtable_room_end(&fold->room);
}

void fold_fini(struct fold *fold)
{
	assert(fold->room.generation == NULL); /* fold_end, where it had any */
	if (fold->like == NULL) {
		free(fold->key_of);
		free(fold->order);
		free(fold->ends);
		free(fold->packed);
		free(fold->at);
	}
	free(fold->rows);
	*fold = (struct fold){0};
}
