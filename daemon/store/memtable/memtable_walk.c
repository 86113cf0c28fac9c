/* memtable_walk.c - the rows of a memtable: in the order of (hash, key) for scans and merges, in no
 * order for searches. */
#include "daemon/store/memtable/generation.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/system/grace.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The memory of so many slots is asked for before the first of them is read. */
enum { SLOTS_AHEAD = 16, SLOTS_FAR_AHEAD = 2 * SLOTS_AHEAD };

static enum status add(struct memtable_rows *rows, const struct memtable_entry *entry,
	const struct row_version *version)
{
	if (rows->count == rows->capacity) {
		const size_t capacity = rows->capacity * 2 + 256;
		struct memtable_row *grown = realloc(rows->rows, capacity * sizeof *grown);
		if (grown == NULL) {
			return STATUS_NO_MEMORY;
		}
		rows->rows = grown;
		rows->capacity = capacity;
	}
	assert(rows->count < rows->capacity);
	rows->rows[rows->count++] = (struct memtable_row){.entry = entry, .version = version};
	return STATUS_OK;
}

static int compare(const struct memtable_row *a, const struct memtable_row *b)
{
	const struct memtable_entry *left = a->entry;
	const struct memtable_entry *right = b->entry;
	if (left->hash != right->hash) {
		return left->hash < right->hash ? -1 : 1;
	}
	const size_t len = left->key_len < right->key_len ? left->key_len : right->key_len;
	const int order = memcmp(left->key, right->key, len);
	return order != 0 ? order
			  : (left->key_len > right->key_len) - (left->key_len < right->key_len);
}

static int compare_any(const void *a, const void *b)
{
	return compare(a, b);
}

static bool is_behind(uint64_t hash, uint64_t behind)
{
	return behind != 0 && hash >= behind;
}

/* ---- a bucket with far more rows than are wanted ---- */

enum { DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS };

/* How many hashes of the range begin as `prefix` does, by the digit that follows at `shift`. */
static void count_digits(const struct bucket *bucket, const struct memtable_range *range,
	uint64_t prefix, unsigned shift, size_t counts[DIGITS])
{
	memset(counts, 0, DIGITS * sizeof *counts);
	for (size_t slot = 0; slot <= bucket->mask; slot++) {
		uint64_t hash;
		struct memtable_entry *entry;
		if (slot_read(&bucket->slots[slot], &hash, &entry) && hash >= range->from &&
			!is_behind(hash, range->behind) &&
			(hash ^ prefix) >> shift >> DIGIT_BITS == 0) {
			counts[hash >> shift & (DIGITS - 1)]++;
		}
	}
}

/* Shortens the range so that a bucket has about `most` rows in it, or those of one hash: else each step
 * of a walk would sort a bucket that has nearly all rows of the table. The hash to end at is found
 * digit by digit, in as many passes through the slots. */
static void narrow(const struct bucket *bucket, size_t number, struct memtable_range *range)
{
	if (bucket->slots == NULL || range->most >= bucket->mask / 8) {
		return;
	}
	uint64_t prefix = (uint64_t)number << (64 - GENERATION_BUCKET_BITS);
	size_t before = 0; /* entries of the range below `prefix` */
	for (unsigned shift = 64; shift > 0;) {
		size_t counts[DIGITS];
		size_t digit = 0;
		shift -= DIGIT_BITS;
		count_digits(bucket, range, prefix, shift, counts);
		while (digit < DIGITS && before + counts[digit] <= range->most) {
			before += counts[digit++];
		}
		if (digit == DIGITS) {
			return; /* there are no more than that */
		}
		prefix = (prefix & ~((uint64_t)(DIGITS - 1) << shift)) | (uint64_t)digit << shift;
	}
	/* Below `prefix` there are at most `most`, and with it more. */
	range->behind = before > 0 ? prefix : prefix + 1;
}

/* Asks for the entry of a slot some slots ahead, or for the version that an entry leads to, which is asked for
 * before. */
static void prefetch(const struct bucket *bucket, size_t slot)
{
	uint64_t hash;
	struct memtable_entry *entry;
	if (slot + SLOTS_FAR_AHEAD <= bucket->mask &&
		slot_read(&bucket->slots[slot + SLOTS_FAR_AHEAD], &hash, &entry)) {
		__builtin_prefetch(entry);
	}
	if (slot + SLOTS_AHEAD <= bucket->mask &&
		slot_read(&bucket->slots[slot + SLOTS_AHEAD], &hash, &entry)) {
		__builtin_prefetch(entry_newest(entry));
	}
}

/* Adds the rows of a bucket that are in the range, in order. */
static enum status collect_bucket(const struct bucket *bucket, const struct memtable_range *range,
	struct memtable_rows *found)
{
	const size_t first = found->count;
	for (size_t slot = 0; bucket->slots != NULL && slot <= bucket->mask; slot++) {
		uint64_t hash;
		struct memtable_entry *entry;
		prefetch(bucket, slot);
		if (!slot_read(&bucket->slots[slot], &hash, &entry) || hash < range->from ||
			is_behind(hash, range->behind)) {
			continue;
		}
		const struct row_version *version = entry_version(entry, range->visible);
		const enum status status = version == NULL ? STATUS_OK : add(found, entry, version);
		if (status != STATUS_OK) {
			return status;
		}
	}
	if (found->count > first + 1) {
		qsort(found->rows + first, found->count - first, sizeof *found->rows, compare_any);
	}
	return STATUS_OK;
}

/* If there are more than `most` rows, leaves that many, and those that share the hash of the
 * last. */
static void shorten(struct memtable_range *range, struct memtable_rows *found)
{
	size_t count = range->most > 0 ? range->most : 1;
	while (count < found->count &&
		found->rows[count].entry->hash == found->rows[count - 1].entry->hash) {
		count++;
	}
	if (count < found->count) {
		assert(!is_behind(found->rows[count].entry->hash, range->behind));
		range->behind = found->rows[count].entry->hash; /* it is only lowered */
		found->count = count;
	}
}

static enum status collect(const struct generation *generation, struct memtable_range *range,
	struct memtable_rows *found)
{
	assert(range->behind == 0 || range->from < range->behind);
	const size_t last = generation_bucket_of(range->behind - 1); /* 0 - 1 is 2^64 - 1 */
	size_t number = generation_bucket_of(range->from);
	for (; number <= last && found->count <= range->most; number++) {
		const struct bucket bucket = generation_bucket(generation, number);
		const uint64_t behind = range->behind;
		narrow(&bucket, number, range);
		const enum status status = collect_bucket(&bucket, range, found);
		if (range->behind != behind) {
			shorten(range, found);
			return status;
		}
		if (status != STATUS_OK) {
			return status;
		}
	}
	if (number <= last) {
		range->behind = (uint64_t)number << (64 - GENERATION_BUCKET_BITS);
	}
	shorten(range, found);
	return STATUS_OK;
}

/* Brings the rows of both generations into one order, up to `behind`. Of a key that both have, the
 * version of the active generation is the newer one. */
static size_t interleave(const struct memtable_rows *active, const struct memtable_rows *frozen,
	uint64_t behind, struct memtable_row *out)
{
	size_t count = 0;
	size_t i = 0;
	size_t j = 0;
	while (i < active->count || j < frozen->count) {
		int order = i == active->count ? 1 : j == frozen->count ? -1 : 0;
		if (order == 0) {
			order = compare(&active->rows[i], &frozen->rows[j]);
		}
		const struct memtable_row row = order <= 0 ? active->rows[i] : frozen->rows[j];
		if (is_behind(row.entry->hash, behind)) {
			break;
		}
		i += order <= 0;
		j += order >= 0;
		out[count++] = row;
	}
	assert(count <= active->count + frozen->count);
	return count;
}

/* Adds the rows of a bucket, but not those of which `newer` has a version too. `newer` may be
 * NULL. */
static enum status gather(const struct generation *generation, const struct generation *newer,
	uint32_t number, uint64_t visible, struct memtable_rows *out)
{
	const struct bucket bucket = generation_bucket(generation, number);
	for (size_t slot = 0; bucket.slots != NULL && slot <= bucket.mask; slot++) {
		uint64_t hash;
		struct memtable_entry *entry;
		if (!slot_read(&bucket.slots[slot], &hash, &entry)) {
			continue;
		}
		const struct row_version *version = entry_version(entry, visible);
		const struct memtable_entry *other =
			version == NULL || newer == NULL
				? NULL
				: generation_find(newer, hash, entry->key, entry->key_len);
		if (version == NULL || (other != NULL && entry_version(other, visible) != NULL)) {
			continue;
		}
		const enum status status = add(out, entry, version);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

enum status memtable_gather(const struct memtable *memtable, uint32_t bucket, uint64_t visible,
	struct memtable_rows *out)
{
	assert(grace_is_inside());
	assert(bucket < MEMTABLE_BUCKETS);
	/* The order matters: see memtable_find. */
	const struct generation *active =
		atomic_load_explicit(&memtable->active, memory_order_acquire);
	const struct generation *frozen =
		atomic_load_explicit(&memtable->frozen, memory_order_acquire);
	enum status status = STATUS_OK;
	if (active != NULL) {
		status = gather(active, NULL, bucket, visible, out);
	}
	if (status == STATUS_OK && frozen != NULL && frozen != active) {
		status = gather(frozen, active, bucket, visible, out);
	}
	return status;
}

enum status memtable_collect(const struct memtable *memtable, struct memtable_range *range,
	struct memtable_row **out, size_t *count)
{
	assert(grace_is_inside());
	/* The order matters: see memtable_find. */
	const struct generation *active =
		atomic_load_explicit(&memtable->active, memory_order_acquire);
	const struct generation *frozen =
		atomic_load_explicit(&memtable->frozen, memory_order_acquire);
	struct memtable_rows of_active = {0};
	struct memtable_rows of_frozen = {0};
	enum status status = STATUS_OK;
	if (active != NULL) {
		status = collect(active, range, &of_active);
	}
	if (status == STATUS_OK && frozen != NULL && frozen != active) {
		status = collect(frozen, range, &of_frozen);
	}
	struct memtable_row *rows = NULL;
	if (status == STATUS_OK) {
		rows = malloc((of_active.count + of_frozen.count + 1) * sizeof *rows);
		status = rows == NULL ? STATUS_NO_MEMORY : STATUS_OK;
	}
	if (status == STATUS_OK) {
		*count = interleave(&of_active, &of_frozen, range->behind, rows);
		*out = rows;
	}
	free(of_active.rows);
	free(of_frozen.rows);
	return status;
}

enum status memtable_collect_frozen(const struct memtable *memtable, struct memtable_row **out,
	size_t *count)
{
	const struct generation *frozen =
		atomic_load_explicit(&memtable->frozen, memory_order_acquire);
	struct memtable_rows found = {0};
	struct memtable_range all = {.most = SIZE_MAX, .visible = UINT64_MAX};
	enum status status = STATUS_OK;
	if (frozen != NULL) {
		status = collect(frozen, &all, &found);
	}
	if (status != STATUS_OK) {
		free(found.rows);
		return status;
	}
	*out = found.rows;
	*count = found.count;
	return STATUS_OK;
}
