/* test_formats.c - rows through files and back, in every format, dtype and order. */
#include "tests/unit/tools/table_fixture.h"
#include "tools/format/npy.h"
#include "tools/format/sink.h"
#include "tools/format/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 101, CHUNK = 16 };

/* Every shape of table that files must carry. */
static const struct rep_table_spec specs[] = {
	{.dtype = REP_F32, .key_type = REP_KEY_U64, .dim = 5, .views = 1},
	{.dtype = REP_F32, .key_type = REP_KEY_BYTES, .dim = 1, .views = 3, .tags = true},
	{.dtype = REP_F16, .key_type = REP_KEY_U64, .dim = 64, .views = 1, .tags = true},
	{.dtype = REP_BF16, .key_type = REP_KEY_BYTES, .dim = 7, .views = 2},
	{.dtype = REP_I8, .key_type = REP_KEY_U64, .dim = 9, .views = 1},
	{.dtype = REP_I8, .key_type = REP_KEY_BYTES, .dim = 3, .views = 2, .tags = true},
	{.dtype = REP_BIT, .key_type = REP_KEY_U64, .dim = 9, .views = 2},
	{.dtype = REP_BIT, .key_type = REP_KEY_BYTES, .dim = 64, .views = 1, .tags = true},
};

enum { SPECS = sizeof specs / sizeof specs[0] };

static struct rep_table_spec spec_at(size_t i)
{
	struct rep_table_spec spec = specs[i];
	strcpy(spec.name, "ur");
	spec.entity = REP_USER;
	spec.kind = REP_UR;
	return spec;
}

/* Columns of a dump to npy and of an import from it. */
struct columns {
	struct sink_options sink;
	struct source_options source;
};

static struct columns npy_columns(struct fixture *fixture, const struct rep_table_spec *spec)
{
	struct columns columns = {
		.sink = {.spec = spec,
			.keys = fixture_path(fixture, "keys.npy"),
			.rows = fixture_path(fixture, "rows.npy"),
			.times = fixture_path(fixture, "times.npy")},
	};
	if (spec->dtype == REP_I8) {
		columns.sink.scales = fixture_path(fixture, "scales.npy");
	}
	if (spec->tags) {
		columns.sink.tags = fixture_path(fixture, "tags.npy");
	}
	columns.source = (struct source_options){
		.spec = spec,
		.chunk_rows = CHUNK,
		.keys = columns.sink.keys,
		.rows = columns.sink.rows,
		.times = columns.sink.times,
		.scales = columns.sink.scales,
		.tags = columns.sink.tags,
	};
	return columns;
}

static void dump_npy(const struct rows *rows, const struct sink_options *options)
{
	struct sink *sink = NULL;
	struct error err = {0};
	enum status status = sink_open_npy(options, &sink, &err);
	if (status == STATUS_OK) {
		status = rows_write(rows, sink, 7, &err);
		assert_int_equal(sink->rows, rows->count);
		sink->close(sink);
	}
	if (status != STATUS_OK) {
		fail_msg("%s", err.text);
	}
}

static void import_npy(const struct source_options *options, struct rows *out)
{
	struct source *source = NULL;
	struct error err = {0};
	out->spec = *options->spec;
	enum status status = source_open_npy(options, &source, &err);
	if (status == STATUS_OK) {
		status = rows_read(source, out, &err);
		assert_int_equal(source->done, source->total);
		source->close(source);
	}
	if (status != STATUS_OK) {
		fail_msg("%s", err.text);
	}
}

static void npy_brings_back_what_was_dumped(void **state)
{
	(void)state;
	for (size_t i = 0; i < SPECS; i++) {
		struct fixture fixture;
		struct rep_table_spec spec = spec_at(i);
		struct rows rows;
		struct rows back = {0};
		fixture_init(&fixture);
		rows_init(&rows, &spec, ROWS);
		struct columns columns = npy_columns(&fixture, &spec);
		dump_npy(&rows, &columns.sink);
		import_npy(&columns.source, &back);
		rows_assert_equal(&rows, &back);
		rows_fini(&rows);
		rows_fini(&back);
		fixture_fini(&fixture);
	}
}

static void no_rows_make_empty_arrays(void **state)
{
	(void)state;
	for (size_t i = 0; i < SPECS; i++) {
		for (int sort = SINK_AS_SCANNED; sort <= SINK_BY_KEY; sort++) {
			struct fixture fixture;
			struct rep_table_spec spec = spec_at(i);
			struct rows rows;
			struct rows back = {0};
			fixture_init(&fixture);
			rows_init(&rows, &spec, 0);
			struct columns columns = npy_columns(&fixture, &spec);
			columns.sink.sort = (enum sink_order)sort;
			dump_npy(&rows, &columns.sink);
			import_npy(&columns.source, &back);
			assert_int_equal(back.count, 0);
			rows_fini(&rows);
			rows_fini(&back);
			fixture_fini(&fixture);
		}
	}
}

/* Key i of packed ones, compared with the one before. */
static int compare_with_before(const struct rows *rows, size_t *before, size_t *at)
{
	const uint8_t *a = rows->keys.data + *before;
	const uint8_t *b = rows->keys.data + *at;
	*before = *at;
	if (rows->spec.key_type == REP_KEY_U64) {
		uint64_t id_a = 0;
		uint64_t id_b = 0;
		memcpy(&id_a, a, 8);
		memcpy(&id_b, b, 8);
		*at += 8;
		return id_a < id_b ? -1 : 1;
	}
	*at += 1 + (size_t)b[0];
	size_t len = a[0] < b[0] ? a[0] : b[0];
	int order = memcmp(a + 1, b + 1, len);
	return order != 0 ? order : (int)a[0] - (int)b[0];
}

static void sorted_by_key_the_same_rows_come_ascending(void **state)
{
	(void)state;
	for (size_t i = 0; i < SPECS; i++) {
		struct fixture fixture;
		struct rep_table_spec spec = spec_at(i);
		struct rows rows;
		struct rows sorted = {0};
		struct rows again = {0};
		fixture_init(&fixture);
		rows_init(&rows, &spec, ROWS);
		struct columns columns = npy_columns(&fixture, &spec);
		columns.sink.sort = SINK_BY_KEY;
		dump_npy(&rows, &columns.sink);
		import_npy(&columns.source, &sorted);
		size_t before = 0;
		assert_int_equal(sorted.count, ROWS);
		if (sorted.keys.data == NULL) {
			fail();
			return;
		}
		size_t at = spec.key_type == REP_KEY_U64 ? 8 : 1 + (size_t)sorted.keys.data[0];
		while (at < sorted.keys.len) {
			assert_true(compare_with_before(&sorted, &before, &at) < 0);
		}
		/* Back into the order of before: each row is still with its key. */
		struct fixture other;
		fixture_init(&other);
		struct columns first = npy_columns(&other, &spec);
		dump_npy(&rows, &first.sink);
		columns.sink.sort = SINK_BY_FILE;
		columns.sink.order = first.sink.keys;
		dump_npy(&sorted, &columns.sink);
		import_npy(&columns.source, &again);
		rows_assert_equal(&rows, &again);
		rows_fini(&rows);
		rows_fini(&sorted);
		rows_fini(&again);
		fixture_fini(&other);
		fixture_fini(&fixture);
	}
}

static void an_order_needs_no_file_of_keys(void **state)
{
	(void)state;
	struct fixture fixture;
	struct rep_table_spec spec = spec_at(2);
	struct rows rows;
	fixture_init(&fixture);
	rows_init(&rows, &spec, ROWS);
	const char *order = fixture_path(&fixture, "order.npy");
	const char *target = fixture_path(&fixture, "out.npy");
	uint8_t header[NPY_HEADER_BYTES_WRITTEN];
	const uint64_t shape[1] = {2};
	uint8_t file[NPY_HEADER_BYTES_WRITTEN + 16];
	size_t len = npy_write_header("<i8", shape, 1, header);
	memcpy(file, header, len);
	/* The keys of rows 1 and 0; as signed numbers only one of them is positive. */
	uint64_t keys[2] = {0};
	memcpy(keys, rows.keys.data, 16);
	const uint64_t swapped[2] = {keys[1], keys[1]};
	assert_true((int64_t)keys[1] > 0);
	memcpy(file + len, swapped, 16);
	fixture_write(order, file, len + 16);
	const struct sink_options options = {.spec = &spec,
		.rows = target,
		.sort = SINK_BY_FILE,
		.order = order};
	struct sink *sink = NULL;
	struct error err = {0};
	assert_int_equal(sink_open_npy(&options, &sink, &err), STATUS_OK);
	assert_int_equal(rows_write(&rows, sink, 10, &err), STATUS_OK);
	assert_int_equal(sink->rows, 2);
	sink->close(sink);
	size_t out_len = 0;
	uint8_t *out = fixture_read(target, &out_len);
	assert_int_equal(out_len, 128 + 2 * rows.row_bytes);
	for (size_t i = 0; i < 2; i++) {
		assert_memory_equal(out + 128 + i * rows.row_bytes,
			rows.values.data + rows.row_bytes, rows.row_bytes);
	}
	free(out);
	/* A key that the table has not. */
	file[len] ^= 1;
	fixture_write(order, file, len + 16);
	assert_int_equal(sink_open_npy(&options, &sink, &err), STATUS_OK);
	assert_int_equal(rows_write(&rows, sink, 10, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, "key 0"));
	sink->close(sink);
	rows_fini(&rows);
	fixture_fini(&fixture);
}

/* ---- streams ---- */

typedef enum status sink_open(const struct sink_options *options, struct sink **out,
	struct error *err);
typedef enum status source_open(const struct source_options *options, struct source **out,
	struct error *err);

static void stream_round_trip(const char *name, sink_open *open_sink, source_open *open_source)
{
	for (size_t i = 0; i < SPECS; i++) {
		struct fixture fixture;
		struct rep_table_spec spec = spec_at(i);
		struct rows rows;
		struct rows back = {.spec = spec};
		struct sink *sink = NULL;
		struct source *source = NULL;
		struct error err = {0};
		fixture_init(&fixture);
		rows_init(&rows, &spec, ROWS);
		const char *path = fixture_path(&fixture, name);
		const struct sink_options sink_options = {.spec = &spec, .path = path};
		const struct source_options source_options = {.spec = &spec,
			.path = path,
			.chunk_rows = CHUNK};
		assert_int_equal(open_sink(&sink_options, &sink, &err), STATUS_OK);
		assert_int_equal(rows_write(&rows, sink, 40, &err), STATUS_OK);
		sink->close(sink);
		assert_int_equal(open_source(&source_options, &source, &err), STATUS_OK);
		if (rows_read(source, &back, &err) != STATUS_OK) {
			fail_msg("%s", err.text);
		}
		assert_int_equal(source->done, source->total);
		source->close(source);
		bool halves = spec.dtype == REP_F16 || spec.dtype == REP_BF16;
		if (strstr(name, "jsonl") != NULL && halves) {
			/* They come as f32, which the daemon turns back; test_jsonl.c has that. */
			assert_int_equal(back.count, ROWS);
		} else {
			rows_assert_equal(&rows, &back);
		}
		rows_fini(&rows);
		rows_fini(&back);
		fixture_fini(&fixture);
	}
}

static void msgpack_brings_back_what_was_dumped(void **state)
{
	(void)state;
	stream_round_trip("t.msgpack", sink_open_msgpack, source_open_msgpack);
}

static void jsonl_brings_back_what_was_dumped(void **state)
{
	(void)state;
	stream_round_trip("t.jsonl", sink_open_jsonl, source_open_jsonl);
}

static void npz_brings_back_what_was_dumped(void **state)
{
	(void)state;
	stream_round_trip("t.npz", sink_open_npz, source_open_npz);
}

static void safetensors_bring_back_what_was_dumped(void **state)
{
	(void)state;
	stream_round_trip("t.safetensors", sink_open_safetensors, source_open_safetensors);
}

/* Opens and reads to the end. */
static enum status read_all(source_open *open_source, const struct source_options *options,
	struct error *err)
{
	struct source *source = NULL;
	struct rows rows = {.spec = *options->spec};
	enum status status = open_source(options, &source, err);
	if (status == STATUS_OK) {
		status = rows_read(source, &rows, err);
		source->close(source);
	}
	rows_fini(&rows);
	return status;
}

static void a_msgpack_dump_cut_anywhere_is_refused(void **state)
{
	(void)state;
	struct fixture fixture;
	struct rep_table_spec spec = spec_at(1);
	struct rows rows;
	struct sink *sink = NULL;
	struct error err = {0};
	fixture_init(&fixture);
	rows_init(&rows, &spec, 5);
	const char *path = fixture_path(&fixture, "t.msgpack");
	const struct sink_options sink_options = {.spec = &spec, .path = path};
	assert_int_equal(sink_open_msgpack(&sink_options, &sink, &err), STATUS_OK);
	assert_int_equal(rows_write(&rows, sink, 3, &err), STATUS_OK);
	sink->close(sink);
	size_t len = 0;
	uint8_t *data = fixture_read(path, &len);
	const char *cut = fixture_path(&fixture, "cut.msgpack");
	const struct source_options options = {.spec = &spec, .path = cut, .chunk_rows = CHUNK};
	for (size_t i = 0; i < len; i++) {
		fixture_write(cut, data, i);
		assert_int_equal(read_all(source_open_msgpack, &options, &err), STATUS_BAD_REQUEST);
		assert_non_null(strstr(err.text, "cut.msgpack"));
	}
	data[len] = 0xc0; /* one byte more */
	fixture_write(cut, data, len + 1);
	assert_int_equal(read_all(source_open_msgpack, &options, &err), STATUS_BAD_REQUEST);
	/* Any byte changed: refused or not, but never a fault. */
	for (size_t i = 0; i < len; i++) {
		data[i] ^= 0x41;
		fixture_write(cut, data, len);
		read_all(source_open_msgpack, &options, &err);
		data[i] ^= 0x41;
	}
	free(data);
	rows_fini(&rows);
	fixture_fini(&fixture);
}

static void jsonl_errors_name_file_and_line(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *says;
	} rows[] = {
		{"{\"key\": 1, \"vector\": [1, 2]}\n\n{\"key\": 2}\n", "bad.jsonl:3: vector"},
		{"{\"key\": 1, \"vector\": [1, \"NaN\"]}\n", "row 0, column 1 is not finite"},
		{"{\"key\": 1, \"vector\": [1, 1e39]}\n", "bad.jsonl:1: vector: element 1"},
		{"{\"key\": 1, \"vector\": [1, 2]}\n{", "bad.jsonl:2: not JSON"},
		{"{\"key\": 1, \"vector\": [1, 2], \"time\": 1700000000}\n",
			"bad.jsonl: the time of row 0 is 1700000000"},
		{"{\"key\": 1, \"vector\": [1, 2], \"time\": -1}\n", "the time of row 0 is -1"},
	};
	struct rep_table_spec spec = {.dtype = REP_F32,
		.key_type = REP_KEY_U64,
		.dim = 2,
		.views = 1};
	struct fixture fixture;
	fixture_init(&fixture);
	const char *path = fixture_path(&fixture, "bad.jsonl");
	struct source_options options = {.spec = &spec, .path = path, .chunk_rows = CHUNK};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error err = {0};
		fixture_write(path, rows[i].text, strlen(rows[i].text));
		assert_int_equal(read_all(source_open_jsonl, &options, &err), STATUS_BAD_REQUEST);
		if (strstr(err.text, rows[i].says) == NULL) {
			fail_msg("%s", err.text);
		}
	}
	options.time = (struct row_time_rule){.unit = ROW_TIME_S};
	fixture_write(path, rows[4].text, strlen(rows[4].text));
	assert_int_equal(read_all(source_open_jsonl, &options, NULL), STATUS_OK);
	options.allow_nonfinite = true;
	fixture_write(path, rows[1].text, strlen(rows[1].text));
	assert_int_equal(read_all(source_open_jsonl, &options, NULL), STATUS_OK);
	/* Blank lines, no newline at the end, nothing at all. */
	const char *fine[] = {"", "\n\n", " \r\n{\"key\": 1, \"vector\": [1, 2]}"};
	for (size_t i = 0; i < 3; i++) {
		fixture_write(path, fine[i], strlen(fine[i]));
		assert_int_equal(read_all(source_open_jsonl, &options, NULL), STATUS_OK);
	}
	fixture_fini(&fixture);
}

static void a_dump_that_fails_leaves_nothing(void **state)
{
	(void)state;
	struct fixture fixture;
	struct rep_table_spec spec = spec_at(1);
	struct rows rows;
	fixture_init(&fixture);
	rows_init(&rows, &spec, 5);
	struct columns columns = npy_columns(&fixture, &spec);
	struct sink *sink = NULL;
	struct error err = {0};
	struct rep_scan scan;
	rows_scan(&rows, 0, 5, &scan);
	assert_int_equal(sink_open_npy(&columns.sink, &sink, &err), STATUS_OK);
	assert_int_equal(sink->write(sink, &scan, &err), STATUS_OK);
	sink->close(sink);
	/* A key that NumPy would cut. */
	rows.keys.data[rows.keys.data[0]] = 0;
	assert_int_equal(sink_open_npy(&columns.sink, &sink, &err), STATUS_OK);
	assert_int_equal(rows_write(&rows, sink, 5, &err), STATUS_UNSUPPORTED);
	assert_non_null(strstr(err.text, "NUL"));
	sink->close(sink);
	assert_null(fopen(columns.sink.rows, "re"));
	columns.sink.tags = "/nonexistent/tags.npy";
	assert_int_equal(sink_open_npy(&columns.sink, &sink, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, "/nonexistent/tags.npy"));
	rows_fini(&rows);
	fixture_fini(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(npy_brings_back_what_was_dumped),
		cmocka_unit_test(no_rows_make_empty_arrays),
		cmocka_unit_test(sorted_by_key_the_same_rows_come_ascending),
		cmocka_unit_test(an_order_needs_no_file_of_keys),
		cmocka_unit_test(msgpack_brings_back_what_was_dumped),
		cmocka_unit_test(jsonl_brings_back_what_was_dumped),
		cmocka_unit_test(npz_brings_back_what_was_dumped),
		cmocka_unit_test(safetensors_bring_back_what_was_dumped),
		cmocka_unit_test(a_msgpack_dump_cut_anywhere_is_refused),
		cmocka_unit_test(jsonl_errors_name_file_and_line),
		cmocka_unit_test(a_dump_that_fails_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
