/* table_fixture.c - rows by rule, and a folder that must be left clean. */
#include "tests/unit/tools/table_fixture.h"

#include "schema/dtype.h"
#include "tools/format/sink.h"
#include "tools/format/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void add(struct buffer *buffer, const void *data, size_t len)
{
	assert_int_equal(buffer_add(buffer, data, len), STATUS_OK);
}

static void add_key(struct rows *rows, uint32_t i)
{
	/* An odd factor: all different, in no order. */
	const uint64_t id = (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15);
	if (rows->spec.key_type == REP_KEY_U64) {
		add(&rows->keys, &id, sizeof id);
		return;
	}
	char text[32];
	int len = snprintf(text, sizeof text, "k%u-%.*s", (unsigned)(id >> 40), (int)(i % 7),
		"xxxxxxx");
	const uint8_t packed_len = (uint8_t)len;
	add(&rows->keys, &packed_len, 1);
	add(&rows->keys, text, (size_t)len);
}

static void add_values(struct rows *rows, uint32_t i)
{
	const struct rep_table_spec *spec = &rows->spec;
	size_t elements = (size_t)spec->dim * spec->views;
	uint8_t *row = buffer_room(&rows->values, rows->row_bytes);
	assert_non_null(row);
	memset(row, 0, rows->row_bytes);
	if (spec->dtype == REP_BIT) {
		/* Only bits that stand for elements: jsonl keeps no others. */
		size_t view_bytes = (spec->dim + 7) / 8;
		for (size_t j = 0; j < elements; j++) {
			size_t in_view = j % spec->dim;
			unsigned bit = (unsigned)(i + j * j) % 3 == 0;
			row[j / spec->dim * view_bytes + in_view / 8] |=
				(uint8_t)(bit << (7 - in_view % 8));
		}
	} else if (spec->dtype == REP_I8) {
		for (size_t j = 0; j < elements; j++) {
			row[j] = (uint8_t)((size_t)i * 31 + j);
		}
	} else {
		float *values = malloc(elements * sizeof *values);
		assert_non_null(values);
		for (size_t j = 0; j < elements; j++) {
			values[j] = (float)(i + 1) / (float)(j + 3) * (j % 2 ? -1.0F : 1.0F);
		}
		const struct dtype_rows target = {(enum dtype)spec->dtype, row, NULL};
		const struct dtype_rows source = {DTYPE_F32, values, NULL};
		dtype_convert(&target, &source, 1, spec->dim, spec->views);
		free(values);
	}
	rows->values.len += rows->row_bytes;
}

void rows_init(struct rows *rows, const struct rep_table_spec *spec, uint32_t count)
{
	*rows = (struct rows){.spec = *spec, .count = count};
	rows->row_bytes = dtype_row_bytes((enum dtype)spec->dtype, spec->dim, spec->views);
	for (uint32_t i = 0; i < count; i++) {
		const float scale = 1.0F / (float)(i + 1);
		const int64_t time = INT64_C(1700000000000) + i;
		const uint64_t tags = UINT64_MAX - i;
		add_key(rows, i);
		add_values(rows, i);
		if (spec->dtype == REP_I8) {
			add(&rows->scales, &scale, sizeof scale);
		}
		add(&rows->times, &time, sizeof time);
		if (spec->tags) {
			add(&rows->tags, &tags, sizeof tags);
		}
	}
}

void rows_fini(struct rows *rows)
{
	buffer_fini(&rows->keys);
	buffer_fini(&rows->values);
	buffer_fini(&rows->scales);
	buffer_fini(&rows->times);
	buffer_fini(&rows->tags);
}

/* Where key i begins among packed ones. */
static size_t key_at(const struct rows *rows, uint32_t i)
{
	if (rows->spec.key_type == REP_KEY_U64) {
		return (size_t)i * 8;
	}
	size_t at = 0;
	for (uint32_t j = 0; j < i; j++) {
		at += 1 + (size_t)rows->keys.data[at];
	}
	return at;
}

static const void *column_at(const struct buffer *column, size_t at)
{
	return column->len > 0 ? column->data + at : NULL;
}

void rows_scan(const struct rows *rows, uint32_t first, uint32_t count, struct rep_scan *out)
{
	size_t keys_first = key_at(rows, first);
	size_t keys_end = key_at(rows, first + count);
	*out = (struct rep_scan){
		.keys = {rows->spec.key_type, count, rows->keys.data + keys_first,
			keys_end - keys_first},
		.dtype = rows->spec.dtype,
		.dim = rows->spec.dim,
		.views = rows->spec.views,
		.stride = rows->row_bytes,
		.rows = rows->values.data + first * rows->row_bytes,
		.scales = column_at(&rows->scales, first * sizeof(float)),
		.times = column_at(&rows->times, first * sizeof(int64_t)),
		.tags = column_at(&rows->tags, first * sizeof(uint64_t)),
	};
}

enum status rows_write(const struct rows *rows, struct sink *sink, uint32_t step, struct error *err)
{
	enum status status = STATUS_OK;
	for (uint32_t first = 0; first < rows->count && status == STATUS_OK; first += step) {
		struct rep_scan scan;
		uint32_t left = rows->count - first;
		rows_scan(rows, first, left < step ? left : step, &scan);
		status = sink->write(sink, &scan, err);
	}
	return status == STATUS_OK ? sink->finish(sink, err) : status;
}

enum status rows_read(struct source *source, struct rows *out, struct error *err)
{
	for (;;) {
		struct rep_rows rows;
		enum status status = source->next(source, &rows, err);
		uint32_t n = rows.keys.count;
		if (status != STATUS_OK || n == 0) {
			return status;
		}
		out->row_bytes =
			dtype_row_bytes((enum dtype)rows.dtype, out->spec.dim, out->spec.views);
		out->spec.dtype = rows.dtype;
		add(&out->keys, rows.keys.data, rows.keys.bytes);
		add(&out->values, rows.rows, n * out->row_bytes);
		if (rows.scales != NULL) {
			add(&out->scales, rows.scales, n * sizeof *rows.scales);
		}
		if (rows.times != NULL) {
			add(&out->times, rows.times, n * sizeof *rows.times);
		}
		if (rows.tags != NULL) {
			add(&out->tags, rows.tags, n * sizeof *rows.tags);
		}
		out->count += n;
	}
}

static void assert_same(const struct buffer *a, const struct buffer *b)
{
	assert_int_equal(a->len, b->len);
	if (a->len > 0) {
		assert_memory_equal(a->data, b->data, a->len);
	}
}

void rows_assert_equal(const struct rows *a, const struct rows *b)
{
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->spec.dtype, b->spec.dtype);
	assert_same(&a->keys, &b->keys);
	assert_same(&a->values, &b->values);
	assert_same(&a->scales, &b->scales);
	assert_same(&a->times, &b->times);
	assert_same(&a->tags, &b->tags);
}

void fixture_init(struct fixture *fixture)
{
	*fixture = (struct fixture){.folder = "/tmp/repstore-formats-XXXXXX"};
	assert_non_null(mkdtemp(fixture->folder));
}

void fixture_fini(struct fixture *fixture)
{
	for (size_t i = 0; i < fixture->path_count; i++) {
		unlink(fixture->paths[i]);
	}
	assert_int_equal(rmdir(fixture->folder), 0);
}

const char *fixture_path(struct fixture *fixture, const char *name)
{
	char path[96];
	snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
	for (size_t i = 0; i < fixture->path_count; i++) {
		if (strcmp(fixture->paths[i], path) == 0) {
			return fixture->paths[i];
		}
	}
	assert_true(fixture->path_count < 16);
	memcpy(fixture->paths[fixture->path_count], path, sizeof path);
	return fixture->paths[fixture->path_count++];
}

uint8_t *fixture_read(const char *path, size_t *len)
{
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	struct stat info;
	assert_int_equal(fstat(fileno(file), &info), 0);
	*len = (size_t)info.st_size;
	uint8_t *data = malloc(*len + 1);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, *len, file), *len);
	fclose(file);
	return data;
}

void fixture_write(const char *path, const void *data, size_t len)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}
