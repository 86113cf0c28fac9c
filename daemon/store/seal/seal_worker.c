/* seal_worker.c - segments of one part of a table's hashes: gather, sort, write. */
#include "daemon/store/seal/seal_worker.h"

#include "daemon/store/base/segment_build.h"
#include "daemon/store/system/stop.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* So many rows are gathered at once. Only keys that share all SEGMENT_PREFIX_BITS_MAX bits of their
 * hash can be more. */
enum { GATHER_ROWS_MAX = 4 << 20, PREFETCH_ROWS = 6, INSERTED_MAX = 16 };

/* ---- rows of one prefix ---- */

static void slice(const struct run *run, uint64_t prefix, uint32_t bits, uint64_t *first,
	uint64_t *end)
{
	const uint64_t behind = segment_prefix_end(prefix, bits);
	*first = run_lower_bound(run, prefix);
	*end = behind == 0 ? run->rows : run_lower_bound(run, behind);
}

static uint64_t count_rows(const struct runs *runs, uint64_t prefix, uint32_t bits)
{
	uint64_t rows = 0;
	for (size_t i = 0; i < runs->count; i++) {
		uint64_t first;
		uint64_t end;
		slice(&runs->runs[i], prefix, bits, &first, &end);
		rows += end - first;
	}
	return rows;
}

static int compare_keys(const struct runs *runs, const struct order_entry *a,
	const struct order_entry *b)
{
	size_t a_len;
	size_t b_len;
	const uint8_t *a_key = run_key(&runs->runs[a->run], a->row, &a_len);
	const uint8_t *b_key = run_key(&runs->runs[b->run], b->row, &b_len);
	const int order = memcmp(a_key, b_key, a_len < b_len ? a_len : b_len);
	return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* Nearly always there are one or two. */
static void insert_by_key(const struct runs *runs, struct order_entry *entries, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		const struct order_entry entry = entries[i];
		size_t low = 0;
		size_t high = i;
		while (low < high) {
			const size_t middle = low + (high - low) / 2;
			if (compare_keys(runs, &entries[middle], &entry) <= 0) {
				low = middle + 1;
			} else {
				high = middle;
			}
		}
		memmove(entries + low + 1, entries + low, (i - low) * sizeof *entries);
		entries[low] = entry;
	}
}

/* Puts entries of one hash in the order of their keys; those of one key stay in their order.
 * `scratch` has room for half of them. The depth is the logarithm of the count. */
static void order_by_key(const struct runs *runs, struct order_entry *entries,
	struct order_entry *scratch, size_t count)
{
	if (count <= INSERTED_MAX) {
		insert_by_key(runs, entries, count);
		return;
	}
	const size_t half = count / 2;
	order_by_key(runs, entries, scratch, half);
	order_by_key(runs, entries + half, scratch, count - half);
	memcpy(scratch, entries, half * sizeof *entries);
	size_t left = 0;
	size_t right = half;
	for (size_t at = 0; left < half; at++) {
		const bool is_right =
			right < count && compare_keys(runs, &entries[right], &scratch[left]) < 0;
		entries[at] = is_right ? entries[right++] : scratch[left++];
	}
	assert(left == half && right <= count);
}

/* Sorts entries by (hash, key) and keeps the last of each key; returns how many are left. */
static size_t settle(struct seal_worker *worker, size_t count)
{
	struct order_entry *entries = worker->order;
	order_by_hash(entries, worker->scratch, count);
	size_t kept = 0;
	for (size_t i = 0; i < count;) {
		size_t end = i + 1;
		while (end < count && entries[end].hash == entries[i].hash) {
			end++;
		}
		if (end - i > 1) {
			order_by_key(worker->job->runs, entries + i, worker->scratch, end - i);
		}
		for (size_t j = i; j < end; j++) {
			if (j + 1 < end && compare_keys(worker->job->runs, &entries[j],
						   &entries[j + 1]) == 0) {
				continue;
			}
			entries[kept++] = entries[j];
		}
		i = end;
	}
	return kept;
}

static enum status reserve(struct seal_worker *worker, size_t count, struct error *err)
{
	if (count <= worker->capacity) {
		return STATUS_OK;
	}
	free(worker->order);
	free(worker->scratch);
	free(worker->hashes);
	worker->capacity = 0;
	worker->order = malloc(count * sizeof *worker->order);
	worker->scratch = malloc(count * sizeof *worker->scratch);
	worker->hashes = malloc(count * sizeof *worker->hashes);
	if (worker->order == NULL || worker->scratch == NULL || worker->hashes == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "seal: order of %zu rows", count);
	}
	worker->capacity = count;
	return STATUS_OK;
}

/* Drops rows that later ones replace. False when an eighth of the room is not won by that: the rows
 * that follow would ask for it again and again. */
static bool make_room(struct seal_worker *worker, size_t *kept)
{
	const size_t before = *kept;
	*kept = settle(worker, before);
	return *kept <= before - before / 8;
}

/* Fills worker->order with the rows of a prefix, in the order of (hash, key), each key once. */
static enum status gather(struct seal_worker *worker, uint64_t prefix, uint32_t bits, uint64_t rows,
	size_t *count, struct error *err)
{
	const size_t most = rows < GATHER_ROWS_MAX ? rows : GATHER_ROWS_MAX;
	enum status status = reserve(worker, most + 1, err);
	size_t kept = 0;
	for (size_t i = 0; status == STATUS_OK && i < worker->job->runs->count; i++) {
		const struct run *run = &worker->job->runs->runs[i];
		uint64_t first;
		uint64_t end;
		slice(run, prefix, bits, &first, &end);
		for (uint64_t row = first; row < end; row++) {
			if (kept == most && !make_room(worker, &kept)) {
				return error_set(err, STATUS_TOO_LARGE,
					"seal: over %zu keys share the first %" PRIu32
					" bits of their hash",
					kept, bits);
			}
			worker->order[kept++] = (struct order_entry){.hash = run->hashes[row],
				.run = (uint32_t)i,
				.row = (uint32_t)row};
		}
	}
	*count = status == STATUS_OK ? settle(worker, kept) : 0;
	assert(*count <= most);
	return status;
}

/* ---- one segment ---- */

static void fill_keys(const struct seal_worker *worker, const struct segment_plan *plan,
	const struct segment_space *space)
{
	uint32_t end = 0;
	for (uint32_t i = 0; i < plan->identity.rows; i++) {
		const struct order_entry *entry = &worker->order[i];
		const struct run *run = &worker->job->runs->runs[entry->run];
		if (space->keys != NULL) {
			space->keys[i] = run->keys[entry->row];
			continue;
		}
		size_t len;
		const uint8_t *key = run_key(run, entry->row, &len);
		/* Ends that could not be read again may give a longer key than was planned for. */
		len = len <= plan->blob_bytes - end ? len : 0;
		space->key_offsets[i] = end;
		memcpy(space->key_blob + end, key, len);
		end += (uint32_t)len;
	}
	if (space->key_offsets != NULL) {
		space->key_offsets[plan->identity.rows] = end;
	}
}

static void fill_rows(const struct seal_worker *worker, const struct segment_plan *plan,
	const struct segment_space *space)
{
	const struct table_spec *spec = &worker->job->owner->spec;
	const size_t row_bytes = spec_row_bytes(spec);
	const size_t low_bytes = spec_low_bytes(spec);
	const size_t stored_bytes = row_bytes + low_bytes;
	const uint32_t rows = plan->identity.rows;
	for (uint32_t i = 0; i < rows; i++) {
		const struct order_entry *entry = &worker->order[i];
		const struct run *run = &worker->job->runs->runs[entry->run];
		if (i + PREFETCH_ROWS < rows) {
			const struct order_entry *ahead = &worker->order[i + PREFETCH_ROWS];
			__builtin_prefetch(worker->job->runs->runs[ahead->run].row_data +
					   ahead->row * stored_bytes);
		}
		const uint8_t *row = run->row_data + entry->row * stored_bytes;
		memcpy(space->row_data + i * row_bytes, row, row_bytes);
		if (space->lows != NULL) {
			memcpy(space->lows + i * low_bytes, row + row_bytes, low_bytes);
		}
		space->times[i] = run->times[entry->row];
		if (space->tags != NULL) {
			space->tags[i] = run->tags[entry->row];
		}
		if (space->scales != NULL) {
			space->scales[i] = run->scales[entry->row];
		}
	}
}

static uint64_t key_bytes(const struct seal_worker *worker, size_t count)
{
	uint64_t bytes = 0;
	for (size_t i = 0; worker->job->owner->spec.key_type == KEY_BYTES && i < count; i++) {
		size_t len;
		(void)run_key(&worker->job->runs->runs[worker->order[i].run], worker->order[i].row,
			&len);
		bytes += len;
	}
	return bytes;
}

static enum status write_segment(struct seal_worker *worker, uint64_t prefix, uint32_t bits,
	uint64_t rows, struct error *err)
{
	enum status status = stop_check(worker->job->stop, err);
	if (status != STATUS_OK) {
		return status;
	}
	size_t count = 0;
	assert(bits >= worker->bits); /* within the worker's part */
	assert(bits <= SEGMENT_PREFIX_BITS_MAX);
	assert(prefix << bits == 0);
	status = gather(worker, prefix, bits, rows, &count, err);
	if (status != STATUS_OK) {
		return status;
	}
	assert(count <= worker->capacity);
	for (size_t i = 0; i < count; i++) {
		worker->hashes[i] = worker->order[i].hash;
	}
	const struct segment_identity identity = {
		.release = worker->job->owner->release,
		.table = worker->job->owner->table,
		.seed = worker->job->owner->seed,
		.prefix = prefix,
		.prefix_bits = bits,
		.rows = (uint32_t)count,
	};
	struct segment_plan plan;
	if (!segment_hashes_fit(&identity, worker->hashes)) {
		return error_set(err, STATUS_CORRUPT, "seal: a load's file cannot be read");
	}
	segment_plan(&plan, &worker->job->owner->spec, &identity, worker->hashes,
		key_bytes(worker, count));
	if (plan.bytes > worker->job->sizes.file_bytes) {
		return error_set(err, STATUS_TOO_LARGE,
			"seal: %zu keys share the first %" PRIu32
			" bits of their hash and take %" PRIu64 " bytes, at most %" PRIu64
			" allowed",
			count, bits, plan.bytes, worker->job->sizes.file_bytes);
	}
	uint8_t *data = NULL;
	status = base_files_begin(&worker->files, &plan, &data, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct segment_space space;
	segment_begin(&plan, worker->hashes, data, &space);
	fill_keys(worker, &plan, &space);
	fill_rows(worker, &plan, &space);
	segment_end(&plan, data);
	status = base_files_commit(&worker->files, &plan, err);
	if (status == STATUS_OK) {
		atomic_fetch_add(worker->job->done, rows);
	}
	return status;
}

/* Writes the rows of a prefix, in as many segments as they need. The depth is bounded by
 * SEGMENT_PREFIX_BITS_MAX. */
static enum status write_prefix(struct seal_worker *worker, uint64_t prefix, uint32_t bits,
	struct error *err)
{
	const uint64_t rows = count_rows(worker->job->runs, prefix, bits);
	if (rows * worker->job->row_cost <= worker->job->sizes.segment_bytes || rows <= 1 ||
		bits == SEGMENT_PREFIX_BITS_MAX) {
		return write_segment(worker, prefix, bits, rows, err);
	}
	const uint64_t half = UINT64_C(1) << (63 - bits);
	const enum status status = write_prefix(worker, prefix, bits + 1, err);
	return status != STATUS_OK ? status : write_prefix(worker, prefix + half, bits + 1, err);
}

/* ---- the whole part ---- */

void seal_worker_check(struct seal_worker *worker)
{
	const struct seal_job *job = worker->job;
	for (size_t i = worker->number; i < job->runs->count && worker->status == STATUS_OK;
		i += job->worker_count) {
		worker->status = stop_check(job->stop, &worker->err);
		if (worker->status == STATUS_OK) {
			worker->status = run_check(&job->runs->runs[i], &worker->err);
		}
	}
}

void seal_worker_write(struct seal_worker *worker)
{
	worker->status = write_prefix(worker, worker->prefix, worker->bits, &worker->err);
	if (worker->status == STATUS_OK) {
		worker->status = base_files_finish(&worker->files, &worker->err);
	}
	assert(worker->status != STATUS_OK || worker->files.writer == NULL);
	base_files_abort(&worker->files);
	free(worker->order);
	free(worker->scratch);
	free(worker->hashes);
	worker->order = NULL;
	worker->scratch = NULL;
	worker->hashes = NULL;
}
