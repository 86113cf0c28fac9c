/* key_order.c - sorts scanned keys, or looks them up in the order of a file. */
#include "tools/format/key_order.h"

#include "schema/siphash.h"
#include "schema/slots.h"
#include "tools/format/npy.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A key; borrowed. */
struct key {
	const uint8_t *data;
	size_t len;
};

/* A hash table with open addressing, from a key to its scanned row. */
struct key_index {
	uint64_t *slots; /* owned; row + 1; 0: free */
	uint64_t mask;
};

static struct key scanned_key(const struct key_order *order, uint64_t row)
{
	if (order->at == NULL) {
		return (struct key){order->packed + row * 8, 8};
	}
	const uint8_t *at = order->packed + order->at[row];
	return (struct key){at + 1, at[0]};
}

/* Finds where each key of bytes stands. */
static enum status index_strings(const struct rep_keys *keys, uint64_t rows,
	struct key_order *order, struct error *err)
{
	order->at = malloc((rows > 0 ? rows : 1) * sizeof *order->at);
	if (order->at == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for %" PRIu64 " keys", rows);
	}
	size_t at = 0;
	for (uint64_t i = 0; i < rows; i++) {
		size_t len = order->packed[at];
		order->at[i] = at;
		order->key_bytes_max = len > order->key_bytes_max ? len : order->key_bytes_max;
		at += 1 + len;
	}
	return at == keys->bytes ? STATUS_OK
				 : error_set(err, STATUS_INTERNAL, "scanned keys do not add up");
}

/* ---- by key ---- */

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct key_order *order = arg;
	uint64_t row_a = *(const uint64_t *)a;
	uint64_t row_b = *(const uint64_t *)b;
	struct key left = scanned_key(order, row_a);
	struct key right = scanned_key(order, row_b);
	if (order->at == NULL) {
		uint64_t left_id = 0;
		uint64_t right_id = 0;
		memcpy(&left_id, left.data, 8);
		memcpy(&right_id, right.data, 8);
		return (left_id > right_id) - (left_id < right_id);
	}
	size_t len = left.len < right.len ? left.len : right.len;
	int order_of_bytes = memcmp(left.data, right.data, len);
	return order_of_bytes != 0 ? order_of_bytes
				   : (left.len > right.len) - (left.len < right.len);
}

static enum status sort_rows(uint64_t rows, struct key_order *order, struct error *err)
{
	order->from = malloc((rows > 0 ? rows : 1) * sizeof *order->from);
	if (order->from == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory to sort %" PRIu64 " keys", rows);
	}
	for (uint64_t i = 0; i < rows; i++) {
		order->from[i] = i;
	}
	qsort_r(order->from, rows, sizeof *order->from, compare_rows, order);
	order->count = rows;
	return STATUS_OK;
}

/* ---- by file ---- */

static bool equal(struct key a, struct key b)
{
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* The slot of an equal key, or the free slot where the key belongs. */
static uint64_t *slot_of(const struct key_index *index, const struct key_order *order,
	struct key key)
{
	assert((index->mask & (index->mask + 1)) == 0); /* there are 2^n slots */
	const uint64_t hash = siphash(key_seed_of_process(), key.data, key.len);
	struct slots_walk walk;
	slots_begin(&walk, hash, index->mask);
	while (index->slots[walk.at] != 0 &&
		!equal(scanned_key(order, index->slots[walk.at] - 1), key)) {
		if (!slots_next(&walk, index->mask)) {
			slots_jump(&walk, slots_other(hash), index->mask);
		}
	}
	return &index->slots[walk.at];
}

static enum status build_index(uint64_t rows, const struct key_order *order, struct key_index *out,
	struct error *err)
{
	uint64_t cap = 16;
	while (cap < rows * 2) {
		cap *= 2;
	}
	assert(cap > rows); /* a probe always ends at a free slot */
	out->slots = calloc(cap, sizeof *out->slots);
	out->mask = cap - 1;
	if (out->slots == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory to index %" PRIu64 " keys",
			rows);
	}
	for (uint64_t row = 0; row < rows; row++) {
		*slot_of(out, order, scanned_key(order, row)) = row + 1;
	}
	return STATUS_OK;
}

/* Key i of the file as bytes; integers are widened into `wide`. False: it is negative, which no key
 * of a table is. */
static bool file_key(const struct npy *npy, uint64_t i, uint64_t *wide, struct key *out)
{
	const uint8_t *at = npy->data + i * npy->item_bytes;
	if (npy->kind == 'S') {
		size_t len = npy->item_bytes;
		while (len > 0 && at[len - 1] == 0) {
			len--;
		}
		*out = (struct key){at, len};
		return true;
	}
	*wide = 0;
	memcpy(wide, at, npy->item_bytes);
	*out = (struct key){(const uint8_t *)wide, sizeof *wide};
	return npy->kind == 'u' || (at[npy->item_bytes - 1] & 0x80) == 0;
}

static enum status open_file(const char *path, bool strings, struct key_order *order,
	struct npy *npy, struct error *err)
{
	enum status status = mapping_open(path, &order->mapping, err);
	if (status != STATUS_OK) {
		return status;
	}
	static const uint8_t none[1];
	order->file = order->mapping.data != NULL ? order->mapping.data : none;
	order->file_bytes = order->mapping.len;
	status = npy_read(order->file, order->file_bytes, path, npy, err);
	if (status != STATUS_OK) {
		return status;
	}
	bool right = strings ? npy->kind == 'S' : npy->kind == 'u' || npy->kind == 'i';
	if (!right || npy->dims != 1) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': not one dimension of keys of the table's type", path);
	}
	return STATUS_OK;
}

/* Looks up every key of the file. */
static enum status find_rows(const char *path, const struct npy *npy, const struct key_index *index,
	struct key_order *order, struct error *err)
{
	uint64_t *from = malloc((npy->elements > 0 ? npy->elements : 1) * sizeof *from);
	if (from == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for %" PRIu64 " keys",
			npy->elements);
	}
	order->from = from;
	order->count = npy->elements;
	for (uint64_t i = 0; i < npy->elements; i++) {
		uint64_t wide = 0;
		struct key key = {0};
		bool valid = file_key(npy, i, &wide, &key);
		uint64_t found = valid ? *slot_of(index, order, key) : 0;
		if (found == 0) {
			return error_set(err, STATUS_NOT_FOUND,
				"'%s': key %" PRIu64 " is not in the table", path, i);
		}
		from[i] = found - 1;
	}
	return STATUS_OK;
}

static enum status follow_file(const char *path, uint64_t rows, struct key_order *order,
	struct error *err)
{
	struct npy npy = {0};
	struct key_index index = {0};
	enum status status = open_file(path, order->at != NULL, order, &npy, err);
	if (status == STATUS_OK) {
		status = build_index(rows, order, &index, err);
	}
	if (status == STATUS_OK) {
		status = find_rows(path, &npy, &index, order, err);
	}
	free(index.slots);
	return status;
}

/* ---- the face ---- */

enum status key_order_make(const struct rep_keys *keys, uint64_t rows, enum sink_order sort,
	const char *path, struct key_order *out, struct error *err)
{
	*out = (struct key_order){.packed = keys->data, .count = rows};
	enum status status = STATUS_OK;
	if (keys->type == REP_KEY_BYTES && (keys->data != NULL || rows == 0)) {
		status = index_strings(keys, rows, out, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	switch (sort) {
	case SINK_AS_SCANNED:
		return STATUS_OK;
	case SINK_BY_KEY:
		return sort_rows(rows, out, err);
	case SINK_BY_FILE:
		return follow_file(path, rows, out, err);
	}
	return STATUS_OK;
}

void key_order_fini(struct key_order *order)
{
	free(order->from);
	free(order->at);
	mapping_close(&order->mapping);
	*order = (struct key_order){0};
}

enum status key_order_string(const struct key_order *order, uint64_t i, uint8_t *padded,
	struct error *err)
{
	assert(order->at != NULL && i < order->count);
	struct key key = scanned_key(order, order->from != NULL ? order->from[i] : i);
	assert(key.len >= 1 && key.len <= order->key_bytes_max);
	if (key.data[key.len - 1] == 0) {
		return error_set(err, STATUS_UNSUPPORTED,
			"row %" PRIu64
			": its key ends in NUL, which NumPy's S drops; dump to msgpack",
			i);
	}
	memcpy(padded, key.data, key.len);
	return STATUS_OK;
}
