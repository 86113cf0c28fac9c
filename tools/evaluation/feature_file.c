/* feature_file.c - finds the arrays of a training set, and its samples by key and time. */
#include "tools/evaluation/feature_file.h"

#include "tools/format/npy.h"
#include "tools/format/zip.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDES = 2 };

static enum status wrong(const struct feature_file *file, const char *what, struct error *err)
{
	return error_set(err, STATUS_BAD_REQUEST,
		"'%s': %s; a file that `repstore layer features` has written is allowed",
		file->path, what);
}

/* ---- arrays ---- */

/* Finds an array by its name; out->data is NULL if there is none. */
static enum status find_array(const struct feature_file *file, const char *name, struct npy *out,
	struct error *err)
{
	struct zip zip;
	bool more = true;
	const size_t len = strlen(name);
	*out = (struct npy){0};
	enum status status = zip_open(file->mapping.data, file->mapping.len, file->path, &zip, err);
	while (status == STATUS_OK && more) {
		struct zip_member member = {0};
		status = zip_next(&zip, &member, &more, err);
		if (status == STATUS_OK && more && member.name_len == len + 4 &&
			memcmp(member.name, name, len) == 0 &&
			memcmp(member.name + len, ".npy", 4) == 0) {
			return member.method == ZIP_STORED
				       ? npy_read(member.packed, member.packed_bytes, file->path,
						 out, err)
				       : wrong(file, "its arrays are compressed", err);
		}
	}
	return status;
}

static bool is_column(const struct npy *npy, char kind, size_t item_bytes, uint64_t count)
{
	return npy->data != NULL && npy->kind == kind && npy->item_bytes == item_bytes &&
	       npy->dims == 1 && npy->shape[0] == count;
}

static enum status find_keys(struct feature_file *file, size_t side, const char *name,
	struct error *err)
{
	struct npy npy;
	const enum status status = find_array(file, name, &npy, err);
	if (status != STATUS_OK) {
		return status;
	}
	const bool strings = npy.kind == 'S';
	if (npy.data == NULL || npy.dims != 1 ||
		(!strings && (npy.kind != 'u' || npy.item_bytes != sizeof(uint64_t))) ||
		npy.item_bytes == 0 || npy.item_bytes > LIMIT_KEY_BYTES) {
		return wrong(file, "users or items are missing, or no keys", err);
	}
	file->count = side == 0 ? npy.shape[0] : file->count;
	if (npy.shape[0] != file->count) {
		return wrong(file, "there are not as many users as items", err);
	}
	file->sides[side] = (struct feature_keys){npy.data, npy.item_bytes, strings, NULL};
	return STATUS_OK;
}

static enum status find_times(struct feature_file *file, struct error *err)
{
	struct npy npy;
	const enum status status = find_array(file, "times", &npy, err);
	if (status != STATUS_OK) {
		return status;
	}
	file->times = npy.data;
	return is_column(&npy, 'i', sizeof(int64_t), file->count)
		       ? STATUS_OK
		       : wrong(file, "there are no times of its samples", err);
}

/* Finds the arrays that belong to a table. */
static enum status find_table(const struct feature_file *file, const char *name,
	struct feature_table *out, struct error *err)
{
	char other[LIMIT_TABLE_NAME_BYTES + 16];
	struct npy rows;
	struct npy ages = {0};
	struct npy entity = {0};
	enum status status = find_array(file, name, &rows, err);
	(void)snprintf(other, sizeof other, "%s.age", name);
	status = status == STATUS_OK ? find_array(file, other, &ages, err) : status;
	(void)snprintf(other, sizeof other, "%s.entity", name);
	status = status == STATUS_OK ? find_array(file, other, &entity, err) : status;
	if (status != STATUS_OK) {
		return status;
	}
	if (rows.data == NULL || rows.kind != 'f' || rows.item_bytes != sizeof(float) ||
		rows.dims != 2 || rows.shape[0] != file->count || rows.shape[1] == 0 ||
		rows.shape[1] > LIMIT_DIM || !is_column(&ages, 'i', sizeof(int64_t), file->count) ||
		!is_column(&entity, 'S', 4, 1)) {
		return wrong(file, "a table has not the arrays that it should", err);
	}
	*out = (struct feature_table){
		.of_items = memcmp(entity.data, "item", 4) == 0,
		.dim = (uint32_t)rows.shape[1],
		.rows = rows.data,
		.ages = ages.data,
	};
	(void)snprintf(out->name, sizeof out->name, "%s", name);
	return STATUS_OK;
}

/* A table is what has an entity. */
static enum status find_tables(struct feature_file *file, struct error *err)
{
	static const char ending[] = ".entity.npy";
	const size_t ending_len = sizeof ending - 1;
	struct zip zip;
	bool more = true;
	size_t cap = 0;
	enum status status = zip_open(file->mapping.data, file->mapping.len, file->path, &zip, err);
	while (status == STATUS_OK && more) {
		struct zip_member member = {0};
		char name[LIMIT_TABLE_NAME_BYTES + 1];
		status = zip_next(&zip, &member, &more, err);
		const size_t len = member.name_len - ending_len;
		if (status != STATUS_OK || !more || member.name_len <= ending_len ||
			len >= sizeof name || memcmp(member.name + len, ending, ending_len) != 0) {
			continue;
		}
		if (file->table_count == cap) {
			cap = cap > 0 ? 2 * cap : 16;
			struct feature_table *tables =
				reallocarray(file->tables, cap, sizeof *tables);
			if (tables == NULL) {
				return error_set(err, STATUS_NO_MEMORY, "no memory for tables");
			}
			file->tables = tables;
		}
		memcpy(name, member.name, len);
		name[len] = '\0';
		status = find_table(file, name, &file->tables[file->table_count], err);
		file->table_count += status == STATUS_OK;
	}
	return status;
}

enum status feature_file_open(const char *path, struct feature_file *out, struct error *err)
{
	struct feature_file file = {.path = path};
	enum status status = mapping_open(path, &file.mapping, err);
	if (status == STATUS_OK && file.mapping.data == NULL) {
		status = wrong(&file, "it is empty", err);
	}
	if (status == STATUS_OK) {
		status = find_keys(&file, 0, "users", err);
	}
	if (status == STATUS_OK) {
		status = find_keys(&file, 1, "items", err);
	}
	if (status == STATUS_OK) {
		status = find_times(&file, err);
	}
	if (status == STATUS_OK) {
		status = find_tables(&file, err);
	}
	if (status != STATUS_OK) {
		feature_file_close(&file);
		return status;
	}
	*out = file;
	return STATUS_OK;
}

void feature_file_close(struct feature_file *file)
{
	for (size_t i = 0; i < SIDES; i++) {
		free(file->sides[i].order);
	}
	free(file->tables);
	mapping_close(&file->mapping);
	*file = (struct feature_file){0};
}

const struct feature_table *feature_file_table(const struct feature_file *file, const char *name)
{
	for (size_t i = 0; i < file->table_count; i++) {
		if (strcmp(file->tables[i].name, name) == 0) {
			return &file->tables[i];
		}
	}
	return NULL;
}

/* ---- by key and time ---- */

static int64_t time_of(const struct feature_file *file, uint64_t row)
{
	int64_t time_ms;
	memcpy(&time_ms, file->times + row * sizeof time_ms, sizeof time_ms);
	return time_ms;
}

/* Compares sample `row` with a key and a time. */
static int compare(const struct feature_file *file, const struct feature_keys *side, uint64_t row,
	const uint8_t *key, int64_t time_ms)
{
	const int by_key = memcmp(side->keys + row * side->key_bytes, key, side->key_bytes);
	const int64_t time = time_of(file, row);
	return by_key != 0 ? by_key : (time > time_ms) - (time < time_ms);
}

struct sorting {
	const struct feature_file *file;
	const struct feature_keys *side;
};

static int by_key_and_time(const void *a, const void *b, void *context)
{
	const struct sorting *sorting = context;
	const uint64_t left = *(const uint64_t *)a;
	const uint64_t right = *(const uint64_t *)b;
	const int order = compare(sorting->file, sorting->side, left,
		sorting->side->keys + right * sorting->side->key_bytes,
		time_of(sorting->file, right));
	return order != 0 ? order : (left > right) - (left < right);
}

static enum status make_order(struct feature_file *file, struct feature_keys *side)
{
	struct sorting sorting = {file, side};
	uint64_t *order = calloc(file->count > 0 ? file->count : 1, sizeof *order);
	if (order == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (uint64_t i = 0; i < file->count; i++) {
		order[i] = i;
	}
	qsort_r(order, file->count, sizeof *order, by_key_and_time, &sorting);
	side->order = order;
	return STATUS_OK;
}

enum status feature_file_find(struct feature_file *file, const struct feature_table *table,
	const struct feature_key *key, uint64_t *row, bool *found)
{
	struct feature_keys *side = &file->sides[table->of_items];
	uint8_t padded[LIMIT_KEY_BYTES] = {0};
	*found = false;
	if (side->order == NULL && make_order(file, side) != STATUS_OK) {
		return STATUS_NO_MEMORY;
	}
	if (key->len > side->key_bytes) {
		return STATUS_OK;
	}
	memcpy(padded, key->key, key->len);
	uint64_t low = 0;
	uint64_t high = file->count;
	while (low < high) {
		const uint64_t middle = low + (high - low) / 2;
		if (compare(file, side, side->order[middle], padded, key->time_ms) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	if (low < file->count) {
		const uint64_t at = side->order[low];
		*found = memcmp(side->keys + at * side->key_bytes, padded, side->key_bytes) == 0;
		*row = *found ? at : *row;
	}
	return STATUS_OK;
}
