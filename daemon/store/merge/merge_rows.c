/* merge_rows.c - gathers the rows of each prefix and writes their segments. */
#include "daemon/store/merge/merge_rows.h"

#include "daemon/store/read/merged.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct merge {
	const struct merge_input *input;
	struct base_files *files;
	struct merged_row *rows; /* owned: of the segment at hand */
	uint64_t *hashes;        /* owned: of the same */
	size_t capacity;         /* of both */
	size_t at;               /* of the news: the first that was not used */
	uint64_t kept;           /* rows that were gathered, and so are to be written */
};

static enum status reserve(struct merge *merge, size_t count, struct error *err)
{
	if (count <= merge->capacity) {
		return STATUS_OK;
	}
	free(merge->rows);
	free(merge->hashes);
	merge->capacity = 0;
	merge->rows = malloc(count * sizeof *merge->rows);
	merge->hashes = malloc(count * sizeof *merge->hashes);
	if (merge->rows == NULL || merge->hashes == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "merge: order of %zu rows", count);
	}
	merge->capacity = count;
	return STATUS_OK;
}

/* About how many bytes rows take in a segment: a slot and a half, key, time, tags, scale, row. */
static uint64_t cost_of(const struct merge *merge, size_t first, size_t count)
{
	const struct table_spec *spec = merge->input->spec;
	uint64_t bytes = count * (spec_stored_bytes(spec) + 8 + 8 + 4 + 12);
	for (size_t i = first; i < first + count; i++) {
		bytes += merge->rows[i].key_len + (spec->key_type == KEY_BYTES ? 4 : 0);
	}
	return bytes;
}

static uint64_t blob_bytes(const struct merge *merge, size_t first, size_t count)
{
	uint64_t bytes = 0;
	for (size_t i = first; merge->input->spec->key_type == KEY_BYTES && i < first + count;
		i++) {
		bytes += merge->rows[i].key_len;
	}
	return bytes;
}

static void fill(const struct merge *merge, const struct segment_plan *plan, size_t first,
	const struct segment_space *space)
{
	const struct table_spec *spec = merge->input->spec;
	const size_t row_bytes = spec_row_bytes(spec);
	const size_t low_bytes = spec_low_bytes(spec);
	uint32_t end = 0;
	for (uint32_t i = 0; i < plan->identity.rows; i++) {
		struct frame_row row;
		merged_get(&merge->rows[first + i], spec, &row);
		if (space->keys != NULL) {
			memcpy(&space->keys[i], row.key, 8);
		} else {
			space->key_offsets[i] = end;
			memcpy(space->key_blob + end, row.key, row.key_len);
			end += (uint32_t)row.key_len;
		}
		memcpy(space->row_data + i * row_bytes, row.data, row_bytes);
		space->times[i] = row.time_ms;
		if (space->tags != NULL) {
			space->tags[i] = row.tags;
		}
		if (space->scales != NULL) {
			space->scales[i] = row.scale;
		}
		if (space->lows != NULL) {
			memcpy(space->lows + i * low_bytes, row.low, low_bytes);
		}
	}
	if (space->key_offsets != NULL) {
		space->key_offsets[plan->identity.rows] = end;
	}
	assert(end == plan->blob_bytes);
}

static enum status write_segment(struct merge *merge, uint64_t prefix, uint32_t bits, size_t first,
	size_t count, struct error *err)
{
	const struct merge_input *input = merge->input;
	const struct segment_identity identity = {
		.release = input->release,
		.table = input->table,
		.seed = input->seed,
		.prefix = prefix,
		.prefix_bits = bits,
		.rows = (uint32_t)count,
	};
	struct segment_plan plan;
	assert(bits <= SEGMENT_PREFIX_BITS_MAX);
	assert(prefix << bits == 0);
	assert(first + count <= merge->capacity);
	for (size_t i = 0; i < count; i++) {
		merge->hashes[i] = merge->rows[first + i].hash;
	}
	if (!segment_hashes_fit(&identity, merge->hashes)) {
		return error_set(err, STATUS_CORRUPT,
			"merge: rows of a base file could not be read");
	}
	const uint64_t blob = blob_bytes(merge, first, count);
	/* A segment that cannot be split gets a file of its own, however large: rows that were
	 * acknowledged must not keep a merge from its end. Key offsets are its bound. */
	if (blob > UINT32_MAX) {
		return error_set(err, STATUS_TOO_LARGE,
			"merge: %zu keys share the first %" PRIu32
			" bits of their hash and have %" PRIu64 " bytes",
			count, bits, blob);
	}
	segment_plan(&plan, input->spec, &identity, merge->hashes, blob);
	uint8_t *data = NULL;
	enum status status = base_files_begin(merge->files, &plan, &data, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct segment_space space;
	segment_begin(&plan, merge->hashes, data, &space);
	fill(merge, &plan, first, &space);
	segment_end(&plan, data);
	status = base_files_commit(merge->files, &plan, err);
	return status == STATUS_OK ? input->pace(input->pace_arg, plan.bytes, err) : status;
}

/* Writes gathered rows of a prefix, in as many segments as they need. The depth is bounded by
 * SEGMENT_PREFIX_BITS_MAX. */
static enum status write_prefix(struct merge *merge, uint64_t prefix, uint32_t bits, size_t first,
	size_t count, struct error *err)
{
	if (count <= 1 || bits == SEGMENT_PREFIX_BITS_MAX ||
		cost_of(merge, first, count) <= merge->files->sizes.segment_bytes) {
		return write_segment(merge, prefix, bits, first, count, err);
	}
	const uint64_t middle = prefix + (UINT64_C(1) << (63 - bits));
	size_t low = 0;
	size_t high = count;
	while (low < high) {
		const size_t at = low + (high - low) / 2;
		if (merge->rows[first + at].hash < middle) {
			low = at + 1;
		} else {
			high = at;
		}
	}
	assert(low <= count);
	const enum status status = write_prefix(merge, prefix, bits + 1, first, low, err);
	return status != STATUS_OK
		       ? status
		       : write_prefix(merge, middle, bits + 1, first + low, count - low, err);
}

/* The news with hashes before `behind` (0: 2^64). */
static size_t count_news(const struct merge *merge, uint64_t behind)
{
	size_t low = merge->at;
	size_t high = merge->input->count;
	while (behind != 0 && low < high) {
		const size_t at = low + (high - low) / 2;
		if (merge->input->news[at].entry->hash < behind) {
			low = at + 1;
		} else {
			high = at;
		}
	}
	return high - merge->at;
}

/* Gathers the rows of a segment (NULL: none) and so many of the news, without tombstones and rows that
 * have expired. */
static enum status gather(struct merge *merge, const struct segment *view, size_t news,
	size_t *count, struct error *err)
{
	struct merged_walk walk = {.view = view,
		.news = news == 0 ? NULL : merge->input->news + merge->at,
		.count = news};
	enum status status = reserve(merge, (view == NULL ? 0 : view->rows) + news + 1, err);
	bool more = status == STATUS_OK;
	*count = 0;
	while (more) {
		assert(merge->rows != NULL); /* there is room */
		struct merged_row *row = &merge->rows[*count];
		status = merged_next(&walk, row, &more);
		if (status != STATUS_OK) {
			return error_set(err, status, "merge: a segment's keys are damaged");
		}
		const bool kept = more && (row->version == NULL || !row->version->deleted) &&
				  merged_time(row) > merge->input->expired_ms;
		*count += kept;
	}
	assert(status != STATUS_OK || walk.at == news);
	assert(*count <= merge->capacity);
	merge->at += news;
	merge->kept += *count;
	return status;
}

static enum status merge_range(struct merge *merge, uint64_t prefix, uint32_t bits,
	const struct segment *view, struct error *err)
{
	const uint64_t behind = bits == 0 ? 0 : prefix + (UINT64_C(1) << (64 - bits));
	size_t count;
	const enum status status = gather(merge, view, count_news(merge, behind), &count, err);
	return status == STATUS_OK ? write_prefix(merge, prefix, bits, 0, count, err) : status;
}

static enum status fail_damaged(const struct base_set *set, size_t number, struct error *err)
{
	return error_set(err, STATUS_CORRUPT, "merge: segment %zu of %zu is damaged", number,
		set->segment_count);
}

/* A table with a segment that is known to be damaged fails at once: otherwise files would be written
 * only to be removed again. */
static enum status check_known(const struct base_set *set, struct error *err)
{
	for (size_t i = 0; i < set->segment_count; i++) {
		if (base_segment_state(&set->segments[i]) == BASE_DAMAGED) {
			return fail_damaged(set, i, err);
		}
	}
	return STATUS_OK;
}

static enum status merge_all(struct merge *merge, struct error *err)
{
	struct base_set *set = merge->input->set;
	if (set == NULL) {
		return merge_range(merge, 0, 0, NULL, err);
	}
	uint64_t cursor = 0;
	do {
		const uint32_t number = base_set_find(set, cursor);
		const struct base_segment_info *info = set->segments[number].info;
		if (base_segment_wait(set, number) != BASE_READY) {
			return fail_damaged(set, number, err);
		}
		const enum status status = merge_range(merge, info->prefix, info->prefix_bits,
			&set->segments[number].view, err);
		if (status != STATUS_OK) {
			return status;
		}
		/* A page that could not be read has given zeros, and its segment is marked since. */
		if (base_segment_state(&set->segments[number]) == BASE_DAMAGED) {
			return error_set(err, STATUS_CORRUPT,
				"merge: segment %" PRIu32 " of %zu could not be read", number,
				set->segment_count);
		}
		cursor = info->prefix_bits == 0
				 ? 0
				 : info->prefix + (UINT64_C(1) << (64 - info->prefix_bits));
		assert(cursor == 0 || cursor > info->prefix); /* it moves on */
	} while (cursor != 0);
	return STATUS_OK;
}

enum status merge_rows(const struct merge_input *input, struct base_files *files, struct error *err)
{
	struct merge merge = {.input = input, .files = files};
	enum status status = input->set == NULL ? STATUS_OK : check_known(input->set, err);
	if (status == STATUS_OK) {
		status = merge_all(&merge, err);
	}
	if (status == STATUS_OK) {
		status = base_files_finish(files, err);
	}
	assert(status != STATUS_OK || merge.at == input->count);
	assert(status != STATUS_OK || files->rows == merge.kept);
	free(merge.rows);
	free(merge.hashes);
	return status;
}
