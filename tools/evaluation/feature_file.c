/* feature_file.c - finds the arrays of training sets and dumps, and their rows by key and time. */
#include "tools/evaluation/feature_file.h"

#include "tools/evaluation/training_set.h"
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
static enum status find_array(const struct mapping *mapping, const char *path, const char *name,
	struct npy *out, struct error *err)
{
	struct zip zip;
	bool more = true;
	const size_t len = strlen(name);
	*out = (struct npy){0};
	enum status status = zip_open(mapping->data, mapping->len, path, &zip, err);
	while (status == STATUS_OK && more) {
		struct zip_member member = {0};
		status = zip_next(&zip, &member, &more, err);
		if (status == STATUS_OK && more && member.name_len == len + 4 &&
			memcmp(member.name, name, len) == 0 &&
			memcmp(member.name + len, ".npy", 4) == 0) {
			return member.method == ZIP_STORED
				       ? npy_read(member.packed, member.packed_bytes, path, out,
						 err)
				       : error_set(err, STATUS_BAD_REQUEST,
						 "'%s': its arrays are compressed, as they are "
						 "written is allowed",
						 path);
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
	const enum status status = find_array(&file->mapping, file->path, name, &npy, err);
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
	file->sides[side] = (struct feature_keys){.keys = npy.data,
		.key_bytes = npy.item_bytes,
		.strings = strings,
		.count = file->count};
	return STATUS_OK;
}

static enum status find_times(struct feature_file *file, struct error *err)
{
	struct npy npy;
	const enum status status = find_array(&file->mapping, file->path, "times", &npy, err);
	if (status != STATUS_OK) {
		return status;
	}
	file->sides[0].times = npy.data;
	file->sides[1].times = npy.data;
	return is_column(&npy, 'i', sizeof(int64_t), file->count)
		       ? STATUS_OK
		       : wrong(file, "there are no times of its samples", err);
}

/* Finds the arrays that belong to a table. */
static enum status find_table(struct feature_file *file, const char *name,
	struct feature_table *out, struct error *err)
{
	char other[LIMIT_TABLE_NAME_BYTES + 16];
	struct npy rows;
	struct npy ages = {0};
	struct npy entity = {0};
	enum status status = find_array(&file->mapping, file->path, name, &rows, err);
	(void)snprintf(other, sizeof other, "%s.age", name);
	status = status == STATUS_OK ? find_array(&file->mapping, file->path, other, &ages, err)
				     : status;
	(void)snprintf(other, sizeof other, "%s.entity", name);
	status = status == STATUS_OK ? find_array(&file->mapping, file->path, other, &entity, err)
				     : status;
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
		.keys = &file->sides[memcmp(entity.data, "item", 4) == 0],
		.dtype = DTYPE_F32,
		.views = 1,
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
	*out = (struct feature_file){.path = path};
	enum status status = mapping_open(path, &out->mapping, err);
	if (status == STATUS_OK && out->mapping.data == NULL) {
		status = wrong(out, "it is empty", err);
	}
	if (status == STATUS_OK) {
		status = find_keys(out, 0, "users", err);
	}
	if (status == STATUS_OK) {
		status = find_keys(out, 1, "items", err);
	}
	if (status == STATUS_OK) {
		status = find_times(out, err);
	}
	if (status == STATUS_OK) {
		status = find_tables(out, err);
	}
	if (status != STATUS_OK) {
		feature_file_close(out);
	}
	return status;
}

/* ---- dumps ---- */

static enum status wrong_dump(const char *path, const char *what, struct error *err)
{
	return error_set(err, STATUS_BAD_REQUEST,
		"'%s': %s; a file that `repstore dump RELEASE/TABLE FILE.npz` has written is allowed",
		path, what);
}

/* The columns of a dump that are looked at. */
struct dump_arrays {
	struct npy keys;
	struct npy rows;
	struct npy times;
	struct npy scales;
	struct npy weights;
	struct npy counts;
};

static enum status find_dump_arrays(const struct mapping *mapping, const char *path,
	struct dump_arrays *out, struct error *err)
{
	const struct {
		const char *name;
		struct npy *npy;
	} all[] = {{"keys", &out->keys}, {"rows", &out->rows}, {"times", &out->times},
		{"scales", &out->scales}, {"weights", &out->weights}, {"counts", &out->counts}};
	enum status status = STATUS_OK;
	for (size_t i = 0; i < sizeof all / sizeof *all && status == STATUS_OK; i++) {
		status = find_array(mapping, path, all[i].name, all[i].npy, err);
	}
	return status;
}

/* What the elements of a dump are; NONE: nothing that can be compared. */
static enum dtype dtype_of(const struct npy *rows)
{
	if (rows->kind == 'f') {
		return rows->item_bytes == 4   ? DTYPE_F32
		       : rows->item_bytes == 2 ? DTYPE_F16
					       : DTYPE_NONE;
	}
	if (rows->kind == 'u' && rows->item_bytes == 2) {
		return DTYPE_BF16;
	}
	return rows->kind == 'i' && rows->item_bytes == 1 ? DTYPE_I8 : DTYPE_NONE;
}

static enum status take_dump_keys(const struct dump_arrays *arrays, const char *path,
	struct feature_keys *out, struct error *err)
{
	const struct npy *keys = &arrays->keys;
	const bool strings = keys->kind == 'S';
	if (keys->data == NULL || keys->dims != 1 || keys->item_bytes == 0 ||
		keys->item_bytes > LIMIT_KEY_BYTES ||
		(!strings && (keys->kind != 'u' || keys->item_bytes != sizeof(uint64_t)))) {
		return wrong_dump(path, "its keys are missing, or no keys", err);
	}
	if (!is_column(&arrays->times, 'i', sizeof(int64_t), keys->shape[0])) {
		return wrong_dump(path, "it has no times of its rows", err);
	}
	*out = (struct feature_keys){.keys = keys->data,
		.key_bytes = keys->item_bytes,
		.strings = strings,
		.times = arrays->times.data,
		.count = keys->shape[0]};
	return STATUS_OK;
}

static enum status take_dump_rows(const struct dump_arrays *arrays, const char *path,
	struct feature_table *out, struct error *err)
{
	const struct npy *rows = &arrays->rows;
	const uint64_t count = out->keys->count;
	const uint64_t views = rows->dims == 3 ? rows->shape[1] : 1;
	const uint64_t dim = rows->dims >= 2 ? rows->shape[rows->dims - 1] : 0;
	if (arrays->weights.data != NULL || arrays->counts.data != NULL) {
		return wrong_dump(path,
			"its rows are sums (--raw) or histories, which are not compared", err);
	}
	out->dtype = dtype_of(rows);
	if (rows->data == NULL || out->dtype == DTYPE_NONE || rows->dims < 2 || rows->dims > 3 ||
		rows->shape[0] != count || dim == 0 || dim > LIMIT_DIM || views == 0 ||
		views > LIMIT_VIEWS ||
		(out->dtype == DTYPE_I8 &&
			!is_column(&arrays->scales, 'f', sizeof(float), count))) {
		return wrong_dump(path, "its rows are missing, or not ones that are compared", err);
	}
	out->views = (uint32_t)views;
	out->dim = (uint32_t)dim;
	out->rows = rows->data;
	out->scales = out->dtype == DTYPE_I8 ? arrays->scales.data : NULL;
	return STATUS_OK;
}

static enum status open_dump(const char *text, struct feature_dump *dump, struct feature_table *out,
	struct error *err)
{
	struct table_name name;
	struct dump_arrays arrays;
	const size_t len = strcspn(text, "=");
	const char *path = text + len + 1;
	if (text[len] == '\0' || *path == '\0') {
		return error_set(err, STATUS_BAD_REQUEST,
			"--dump: '%s' given, TABLE=FILE.npz allowed", text);
	}
	enum status status = table_name_check(text, len, "--dump", &name, err);
	if (status == STATUS_OK) {
		status = mapping_open(path, &dump->mapping, err);
	}
	if (status == STATUS_OK && dump->mapping.data == NULL) {
		status = wrong_dump(path, "it is empty", err);
	}
	if (status == STATUS_OK) {
		status = find_dump_arrays(&dump->mapping, path, &arrays, err);
	}
	if (status == STATUS_OK) {
		status = take_dump_keys(&arrays, path, &dump->keys, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	(void)snprintf(out->name, sizeof out->name, "%s", name.text);
	out->keys = &dump->keys;
	return take_dump_rows(&arrays, path, out, err);
}

enum status feature_file_open_dumps(const char *const *dumps, size_t count,
	struct feature_file *out, struct error *err)
{
	enum status status = STATUS_OK;
	*out = (struct feature_file){0};
	out->dumps = calloc(count, sizeof *out->dumps);
	out->tables = calloc(count, sizeof *out->tables);
	if (out->dumps == NULL || out->tables == NULL) {
		feature_file_close(out);
		return error_set(err, STATUS_NO_MEMORY, "no memory for tables");
	}
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		out->table_count++;
		status = open_dump(dumps[i], &out->dumps[i], &out->tables[i], err);
		out->count += out->dumps[i].keys.count;
		if (status == STATUS_OK &&
			feature_file_table(out, out->tables[i].name) != &out->tables[i]) {
			status = error_set(err, STATUS_BAD_REQUEST,
				"--dump: table '%s' given twice, each once allowed",
				out->tables[i].name);
		}
	}
	if (status != STATUS_OK) {
		feature_file_close(out);
	}
	return status;
}

void feature_file_close(struct feature_file *file)
{
	for (size_t i = 0; i < SIDES; i++) {
		free(file->sides[i].order);
	}
	for (size_t i = 0; file->dumps != NULL && i < file->table_count; i++) {
		free(file->dumps[i].keys.order);
		mapping_close(&file->dumps[i].mapping);
	}
	free(file->dumps);
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

static int64_t time_of(const struct feature_keys *keys, uint64_t row)
{
	int64_t time_ms;
	memcpy(&time_ms, keys->times + row * sizeof time_ms, sizeof time_ms);
	return time_ms;
}

/* Compares row `row` with a key and a time. */
static int compare(const struct feature_keys *keys, uint64_t row, const uint8_t *key,
	int64_t time_ms)
{
	const int by_key = memcmp(keys->keys + row * keys->key_bytes, key, keys->key_bytes);
	const int64_t time = time_of(keys, row);
	return by_key != 0 ? by_key : (time > time_ms) - (time < time_ms);
}

static int by_key_and_time(const void *a, const void *b, void *context)
{
	const struct feature_keys *keys = context;
	const uint64_t left = *(const uint64_t *)a;
	const uint64_t right = *(const uint64_t *)b;
	const int order =
		compare(keys, left, keys->keys + right * keys->key_bytes, time_of(keys, right));
	return order != 0 ? order : (left > right) - (left < right);
}

static enum status make_order(struct feature_keys *keys)
{
	uint64_t *order = calloc(keys->count > 0 ? keys->count : 1, sizeof *order);
	if (order == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (uint64_t i = 0; i < keys->count; i++) {
		order[i] = i;
	}
	qsort_r(order, keys->count, sizeof *order, by_key_and_time, keys);
	keys->order = order;
	return STATUS_OK;
}

/* The first row of a key at a time or later; false: there is none. */
static bool find_row(const struct feature_keys *keys, const struct feature_key *key,
	int64_t time_ms, uint64_t *row)
{
	uint8_t padded[LIMIT_KEY_BYTES] = {0};
	uint64_t low = 0;
	uint64_t high = keys->count;
	if (key->len > keys->key_bytes) {
		return false;
	}
	memcpy(padded, key->key, key->len);
	while (low < high) {
		const uint64_t middle = low + (high - low) / 2;
		if (compare(keys, keys->order[middle], padded, time_ms) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	if (low == keys->count) {
		return false;
	}
	*row = keys->order[low];
	return memcmp(keys->keys + *row * keys->key_bytes, padded, keys->key_bytes) == 0;
}

enum status feature_file_find(const struct feature_table *table, const struct feature_key *key,
	struct feature_found *out)
{
	struct feature_keys *keys = table->keys;
	*out = (struct feature_found){.answer = FEATURE_UNKNOWN};
	if (keys->order == NULL && make_order(keys) != STATUS_OK) {
		return STATUS_NO_MEMORY;
	}
	if (table->ages == NULL) {
		if (!find_row(keys, key, INT64_MIN, &out->row)) {
			out->answer = FEATURE_ABSENT;
		} else if (time_of(keys, out->row) <= key->time_ms) {
			out->answer = FEATURE_THERE;
		}
		return STATUS_OK;
	}
	int64_t age = AGE_LATE;
	if (find_row(keys, key, key->time_ms, &out->row)) {
		memcpy(&age, table->ages + out->row * sizeof age, sizeof age);
	}
	if (age != AGE_LATE) {
		out->answer = age == AGE_NONE ? FEATURE_ABSENT : FEATURE_THERE;
	}
	return STATUS_OK;
}
