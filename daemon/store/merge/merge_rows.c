/* merge_rows.c - goes through hashes piece by piece, gathers the rows of each and writes their segments. */
#include "daemon/store/merge/merge_rows.h"

#include "daemon/store/base/segment_build.h"
#include "daemon/store/merge/merge_hides.h"
#include "daemon/store/merge/salvage.h"
#include "daemon/store/read/merged.h"
#include "daemon/store/snapshot/level.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* So many rows ahead memory is asked for; of a longer row the processor itself fetches the rest. */
enum { AHEAD = 8, LINE_BYTES = 64, AHEAD_BYTES_MAX = 1024 };

struct merge {
	const struct merge_input *input;
	struct base_files *files;
	struct merged_walk walk;
	struct merged_row *rows; /* owned: of the piece at hand */
	uint64_t *hashes;        /* owned: of the same */
	size_t capacity;         /* of both */
	uint64_t kept;           /* rows that were gathered, and so are to be written */
};

/* Whether tombstones stay. */
static bool is_delta(const struct merge *merge)
{
	return merge->input->first > 0;
}

/* Makes room for one row more than `count`. */
static enum status reserve(struct merge *merge, size_t count, struct error *err)
{
	if (count < merge->capacity) {
		return STATUS_OK;
	}
	const size_t capacity = count * 2 + 1024;
	struct merged_row *rows = realloc(merge->rows, capacity * sizeof *rows);
	merge->rows = rows == NULL ? merge->rows : rows;
	uint64_t *hashes = realloc(merge->hashes, capacity * sizeof *hashes);
	merge->hashes = hashes == NULL ? merge->hashes : hashes;
	if (rows == NULL || hashes == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "merge: order of %zu rows", capacity);
	}
	merge->capacity = capacity;
	return STATUS_OK;
}

/* About how many bytes rows take in a segment: a slot and a half, key, time, tags, scale, row. */
static uint64_t cost_of(const struct merge *merge, size_t first, size_t count)
{
	const struct table_spec *spec = &merge->input->table->spec;
	uint64_t bytes = count * (spec_stored_bytes(spec) + 8 + 8 + 4 + 12 + is_delta(merge));
	for (size_t i = first; i < first + count; i++) {
		bytes += merge->rows[i].key_len + (spec->key_type == KEY_BYTES ? 4 : 0);
	}
	return bytes;
}

static uint64_t blob_bytes(const struct merge *merge, size_t first, size_t count)
{
	uint64_t bytes = 0;
	for (size_t i = first; merge->input->table->spec.key_type == KEY_BYTES && i < first + count;
		i++) {
		bytes += merge->rows[i].key_len;
	}
	return bytes;
}

static uint32_t count_deleted(const struct merge *merge, size_t first, size_t count)
{
	uint32_t deleted = 0;
	for (size_t i = first; i < first + count; i++) {
		deleted += merge->rows[i].deleted;
	}
	return deleted;
}

/* All columns of a row but its key; those of a tombstone are zero. */
static void fill_row(const struct table_spec *spec, const struct merged_row *from, uint32_t i,
	const struct segment_space *space)
{
	const size_t row_bytes = spec_row_bytes(spec);
	const size_t low_bytes = spec_low_bytes(spec);
	struct frame_row row = {0};
	if (from->deleted) {
		memset(space->row_data + i * row_bytes, 0, row_bytes);
	} else {
		merged_get(from, spec, &row);
		memcpy(space->row_data + i * row_bytes, row.data, row_bytes);
	}
	space->times[i] = row.time_ms;
	if (space->deleted != NULL) {
		space->deleted[i] = from->deleted;
	}
	if (space->tags != NULL) {
		space->tags[i] = row.tags;
	}
	if (space->scales != NULL) {
		space->scales[i] = row.scale;
	}
	if (space->lows != NULL && row.low != NULL) {
		memcpy(space->lows + i * low_bytes, row.low, low_bytes);
	} else if (space->lows != NULL) {
		memset(space->lows + i * low_bytes, 0, low_bytes);
	}
}

/* Asks for a version: those of a memtable stand in the order in which they were written. */
static void prefetch(const struct row_version *version, size_t row_bytes)
{
	const uint8_t *end = version == NULL ? NULL : version->row + row_bytes;
	for (const uint8_t *line = (const uint8_t *)version; line < end; line += LINE_BYTES) {
		__builtin_prefetch(line, 0, 2);
	}
}

static void fill(const struct merge *merge, const struct segment_plan *plan, size_t first,
	const struct segment_space *space)
{
	const struct table_spec *spec = &merge->input->table->spec;
	const size_t row_bytes = spec_stored_bytes(spec);
	const size_t ahead_bytes = row_bytes < AHEAD_BYTES_MAX ? row_bytes : AHEAD_BYTES_MAX;
	uint32_t end = 0;
	for (uint32_t i = 0; i < plan->identity.rows; i++) {
		const struct merged_row *row = &merge->rows[first + i];
		if (i + AHEAD < plan->identity.rows) {
			prefetch(row[AHEAD].version, ahead_bytes);
		}
		if (space->keys != NULL) {
			memcpy(&space->keys[i], row->key, 8);
		} else {
			space->key_offsets[i] = end;
			memcpy(space->key_blob + end, row->key, row->key_len);
			end += (uint32_t)row->key_len;
		}
		fill_row(spec, row, i, space);
	}
	if (space->key_offsets != NULL) {
		space->key_offsets[plan->identity.rows] = end;
	}
	assert(end == plan->blob_bytes);
}

/* Tells of the segment that was written, if it is a delta's, how many rows below it hides. */
static void count_hidden(struct merge *merge, size_t first, size_t count)
{
	const struct merge_input *input = merge->input;
	uint64_t hidden;
	if (is_delta(merge)) {
		const bool is_known = merge_count_hidden(input->table, input->first,
			&merge->rows[first], merge->hashes, count, &hidden);
		base_files_hide(merge->files, is_known ? hidden : BASE_HIDES_UNKNOWN);
	}
}

static enum status write_segment(struct merge *merge, uint64_t prefix, uint32_t bits, size_t first,
	size_t count, struct error *err)
{
	const struct merge_input *input = merge->input;
	const struct segment_identity identity = {
		.release = input->release,
		.table = input->table->number,
		.seed = input->table->seed,
		.prefix = prefix,
		.prefix_bits = bits,
		.rows = (uint32_t)count,
		.deleted = count_deleted(merge, first, count),
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
	segment_plan(&plan, &input->table->spec, &identity, merge->hashes, blob);
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
	if (status != STATUS_OK) {
		return status;
	}
	count_hidden(merge, first, count);
	return input->pace(input->pace_arg, plan.bytes, err);
}

/* Writes gathered rows of a prefix, in as many segments as they need. The depth is bounded by
 * SEGMENT_PREFIX_BITS_MAX. */
static enum status write_prefix(struct merge *merge, uint64_t prefix, uint32_t bits, size_t first,
	size_t count, struct error *err)
{
	if (merge->files == NULL) {
		return STATUS_OK;
	}
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

/* The number of the first of the news that has a hash of at least `behind` (0: 2^64). */
static size_t find_news(const struct merge *merge, uint64_t behind)
{
	size_t low = merge->walk.at;
	size_t high = merge->input->count;
	while (behind != 0 && low < high) {
		const size_t at = low + (high - low) / 2;
		if (merge->input->news[at].entry->hash < behind) {
			low = at + 1;
		} else {
			high = at;
		}
	}
	return high;
}

/* Whether a row is to be written; one of a delta that has expired becomes a tombstone. */
static bool is_kept(const struct merge *merge, struct merged_row *row)
{
	const bool is_gone = row->deleted || merged_time(row) <= merge->input->expired_ms;
	row->deleted = is_gone;
	return is_delta(merge) || !is_gone;
}

/* Gathers the rows up to `behind`. */
static enum status gather(struct merge *merge, uint64_t behind, size_t *count, struct error *err)
{
	bool more = true;
	*count = 0;
	merge->walk.behind = behind;
	merge->walk.count = find_news(merge, behind);
	while (more) {
		enum status status = reserve(merge, *count, err);
		if (status != STATUS_OK) {
			return status;
		}
		struct merged_row *row = &merge->rows[*count];
		status = merge->input->salvage == NULL
				 ? merged_next(&merge->walk, row, &more)
				 : salvage_next(merge->input->salvage, behind, row, &more);
		if (status != STATUS_OK) {
			return error_set(err, status, "merge: a segment is damaged");
		}
		*count += more && is_kept(merge, row);
	}
	assert(merge->walk.at == merge->walk.count);
	merge->kept += *count;
	return STATUS_OK;
}

/* Segments that are known to be damaged end a merge: at its beginning, since otherwise files would be
 * written only to be removed again, and after each piece, since a page that could not be read has given
 * zeros. */
static enum status check_known(const struct merge_input *input, struct error *err)
{
	for (size_t i = input->first; i < input->table->level_count; i++) {
		const struct base_set *set = input->table->levels[i]->set;
		for (size_t j = 0; j < set->segment_count; j++) {
			if (hash_range_has(&input->range, set->segments[j]->info->prefix) &&
				base_segment_state(set->segments[j]) == BASE_DAMAGED) {
				return error_set(err, STATUS_CORRUPT,
					"merge: segment %zu of %zu is damaged", j,
					set->segment_count);
			}
		}
	}
	return STATUS_OK;
}

/* A repair goes on with what was damaged when it began, and with no more. */
static enum status check_input(const struct merge_input *input, struct error *err)
{
	if (input->salvage == NULL) {
		return check_known(input, err);
	}
	return salvage_holds(input->salvage)
		       ? STATUS_OK
		       : error_set(err, STATUS_CORRUPT,
				 "repair: one more page was damaged meanwhile; ask for it again");
}

/* Writes a piece: the rows whose hashes share these bits. Of a delta only those that have rows. */
static enum status merge_piece(struct merge *merge, uint64_t prefix, uint32_t bits,
	struct error *err)
{
	size_t count;
	enum status status = gather(merge, segment_prefix_end(prefix, bits), &count, err);
	if (status == STATUS_OK && (count > 0 || !is_delta(merge))) {
		status = write_prefix(merge, prefix, bits, 0, count, err);
	}
	return status == STATUS_OK ? check_input(merge->input, err) : status;
}

/* How many bits the hashes share of the largest piece that begins at `from` and ends at `last` or before. */
static uint32_t widest_bits(uint64_t from, uint64_t last)
{
	uint32_t bits = 0;
	/* A file begins where a segment does, so the bits end. */
	while (bits < SEGMENT_PREFIX_BITS_MAX &&
		(from << bits != 0 || segment_prefix_end(from, bits) - 1 > last)) {
		bits++;
	}
	return bits;
}

/* The next piece is no larger than the segment of any level that goes in, so that its rows fit in memory. */
static uint32_t piece_bits(const struct merge_input *input, uint64_t from, uint64_t last)
{
	uint32_t bits = widest_bits(from, last);
	for (size_t i = input->first; i < input->table->level_count; i++) {
		const struct base_set *set = input->table->levels[i]->set;
		const uint32_t number = base_set_find(set, from);
		if (number != BASE_NO_SEGMENT && set->segments[number]->info->prefix_bits > bits) {
			bits = set->segments[number]->info->prefix_bits;
		}
	}
	return bits;
}

/* The last hash of the range that a file of the new level may hold, from a hash on. A file of a delta lies within what a
 * file of the base has, so that the base can take it in together with that one. */
static uint64_t end_of_file(const struct merge *merge, uint64_t from)
{
	const struct merge_input *input = merge->input;
	const struct level *base = is_delta(merge) ? input->table->levels[0] : NULL;
	for (size_t i = 0; base != NULL && i < base->file_count; i++) {
		const struct hash_range file = range_of_file(&base->files[i]);
		if (hash_range_has(&file, from)) {
			return file.last < input->range.last ? file.last : input->range.last;
		}
	}
	return input->range.last;
}

static enum status merge_all(struct merge *merge, struct error *err)
{
	const struct hash_range range = merge->input->range;
	enum status status = STATUS_OK;
	uint64_t from = range.first;
	do {
		const uint64_t last = end_of_file(merge, from);
		do {
			const uint32_t bits = piece_bits(merge->input, from, last);
			status = merge_piece(merge, from, bits, err);
			if (status != STATUS_OK) {
				return status;
			}
			from = segment_prefix_end(from, bits); /* it moves on */
		} while (from - 1 != last);
		status = merge->files == NULL ? STATUS_OK : base_files_finish(merge->files, err);
	} while (status == STATUS_OK && from - 1 != range.last);
	return status;
}

enum status merge_rows(const struct merge_input *input, struct base_files *files, struct error *err)
{
	struct merge merge = {.input = input, .files = files};
	enum status status = check_input(input, err);
	if (status == STATUS_OK) {
		merged_begin(&merge.walk, input->table, input->first, input->range.first);
		merge.walk.news = input->news;
		status = merge_all(&merge, err);
	}
	assert(status != STATUS_OK || merge.walk.at == input->count);
	assert(status != STATUS_OK || files == NULL || files->rows == merge.kept);
	if (input->salvage != NULL) {
		input->salvage->kept = merge.kept;
	}
	free(merge.rows);
	free(merge.hashes);
	return status;
}
