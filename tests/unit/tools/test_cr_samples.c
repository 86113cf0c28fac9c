/* test_cr_samples.c - columns of samples and layers' vectors from files, and what is wrong with
 * them. */
#include "tests/unit/alloc_fail.h"
#include "tests/unit/tools/table_fixture.h"
#include "tools/evaluation/cr_layer.h"
#include "tools/evaluation/cr_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 6, FILE_BYTES_MAX = 1024 };

static const int64_t times[COUNT] = {30, 10, 20, 10, 40, 30};
static const uint64_t users[COUNT] = {7, UINT64_MAX, 7, 256, 7, 256};
static const char items[COUNT][4] = {"b", "aa", "b", "c", "aa", "b"};
static const uint8_t labels[COUNT] = {0, 1, 0, 0, 1, 1};
static const float rows[COUNT][2] = {{0, 1}, {2, 3}, {4, 5}, {6, 7}, {8, 9}, {10, 11}};

struct files {
	struct fixture fixture;
	struct sample_columns columns;
};

struct shape {
	uint32_t dims;
	uint64_t of[3];
};

static const char *write_npy(struct files *files, const char *name, const char *descr,
	const struct shape *shape, const void *data, size_t data_bytes)
{
	uint8_t bytes[FILE_BYTES_MAX];
	const size_t header = npy_write_header(descr, shape->of, shape->dims, bytes);
	assert_true(header + data_bytes <= sizeof bytes);
	memcpy(bytes + header, data, data_bytes);
	const char *path = fixture_path(&files->fixture, name);
	fixture_write(path, bytes, header + data_bytes);
	return path;
}

static const char *write_column(struct files *files, const char *name, const char *descr,
	const void *data, size_t item_bytes)
{
	const struct shape shape = {1, {COUNT}};
	return write_npy(files, name, descr, &shape, data, COUNT * item_bytes);
}

static void files_init(struct files *files)
{
	fixture_init(&files->fixture);
	files->columns = (struct sample_columns){
		.users = write_column(files, "u.npy", "<u8", users, 8),
		.items = write_column(files, "i.npy", "|S4", items, 4),
		.times = write_column(files, "t.npy", "<i8", times, 8),
		.labels = write_column(files, "y.npy", "|u1", labels, 1),
		.time = {.unit = ROW_TIME_S, .any = true},
	};
}

static void samples_come_in_the_order_of_time(void **state)
{
	(void)state;
	static const uint32_t order[COUNT] = {1, 3, 2, 0, 5, 4};
	struct files files;
	struct cr_samples samples;
	struct error err = {0};
	files_init(&files);
	if (cr_samples_read(&files.columns, &samples, &err) != STATUS_OK) {
		fail_msg("%s", err.text);
	}
	assert_int_equal(samples.count, COUNT);
	assert_int_equal(samples.user_count, 3);
	assert_int_equal(samples.item_count, 3);
	for (size_t k = 0; k < COUNT; k++) {
		assert_int_equal(samples.order[k], order[k]);
		assert_int_equal(samples.times_ms[k], times[order[k]] * 1000);
		assert_int_equal(samples.labels[k], labels[order[k]]);
		for (size_t j = 0; j < COUNT; j++) {
			assert_int_equal(samples.users[k] == samples.users[j],
				users[order[k]] == users[order[j]]);
			assert_int_equal(samples.items[k] == samples.items[j],
				strcmp(items[order[k]], items[order[j]]) == 0);
		}
		assert_true(samples.users[k] < 3 && samples.items[k] < 3);
	}
	/* Times 10, 10, 20, 30, 30, 40. */
	assert_int_equal(cr_samples_cut(&samples, 0.5), 3);
	assert_int_equal(cr_samples_cut(&samples, 0.67), 3);
	assert_int_equal(cr_samples_cut(&samples, 0.9), 5);
	assert_int_equal(cr_samples_cut(&samples, 0.2), 0);
	assert_int_equal(cr_samples_cut(&samples, 0.01), 0);
	cr_samples_fini(&samples);
	fixture_fini(&files.fixture);
}

static void keys_are_found_again(void **state)
{
	(void)state;
	static const uint64_t others[] = {0, 8, 255, 257, UINT64_MAX - 1};
	struct files files;
	struct cr_samples samples;
	uint32_t number = 99;
	files_init(&files);
	assert_int_equal(cr_samples_read(&files.columns, &samples, NULL), STATUS_OK);
	for (size_t k = 0; k < COUNT; k++) {
		const char *item = items[samples.order[k]];
		assert_true(cr_keys_find(&samples.user_keys,
			(const uint8_t *)&users[samples.order[k]], 8, &number));
		assert_int_equal(number, samples.users[k]);
		assert_true(cr_keys_find(&samples.item_keys, (const uint8_t *)item, strlen(item),
			&number));
		assert_int_equal(number, samples.items[k]);
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		assert_false(
			cr_keys_find(&samples.user_keys, (const uint8_t *)&others[i], 8, &number));
	}
	assert_false(cr_keys_find(&samples.item_keys, (const uint8_t *)"a", 1, &number));
	assert_false(cr_keys_find(&samples.item_keys, (const uint8_t *)"b", 2, &number));
	assert_false(cr_keys_find(&samples.item_keys, (const uint8_t *)"aa\1\1\1", 5, &number));
	assert_false(cr_keys_find(&samples.item_keys, (const uint8_t *)"", 0, &number));
	cr_samples_fini(&samples);
	fixture_fini(&files.fixture);
}

static void wrong_columns_are_named(void **state)
{
	(void)state;
	static const int64_t late[COUNT] = {0, 0, INT64_C(16725225601), 0, 0, 0};
	static const int64_t early[COUNT] = {0, 0, 0, -1, 0, 0};
	static const uint8_t two[COUNT] = {0, 1, 0, 1, 2, 0};
	static const uint64_t beyond[COUNT] = {0, 0, UINT64_MAX, 0, 0, 0};
	static const char empty[COUNT][4] = {"a", "b", "", "c", "d", "e"};
	static const double fractions[COUNT] = {0};
	static const uint8_t long_keys[COUNT * 256] = {1};
	static const struct {
		size_t column; /* users, items, times, labels */
		const char *descr;
		const void *data;
		size_t item_bytes;
		const char *says;
	} cases[] = {
		{0, "<f8", fractions, 8, "--users: "},
		{0, "<i8", early, 8, "sample 3 is negative"},
		{0, "|b1", labels, 1, "b1 [6] given, keys are integers"},
		{1, "|S4", empty, 4, "sample 2 is empty"},
		{1, "|S256", long_keys, 0, "255 bytes at most"},
		{2, "<i8", late, 8,
			"the time of row 2 is 16725225601, not Unix seconds between 0 and 2500"},
		{2, "<i8", early, 8, "the time of row 3 is -1"},
		{2, "<u8", beyond, 8, "the time of row 2 is"},
		{2, "<f8", fractions, 8, "f8 [6] given, times are integers"},
		{2, "|S4", empty, 4, "--times: "},
		{3, "|u1", two, 1, "sample 4 has 2, 0 or 1 allowed"},
		{3, "<i8", early, 8, "sample 3 has -1, 0 or 1 allowed"},
		{3, "<u8", beyond, 8, "--labels: "},
		{3, "<f8", fractions, 8, "labels are integers or bools"},
	};
	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
		struct files files;
		struct cr_samples samples = {0};
		struct error err = {0};
		files_init(&files);
		const char **paths[] = {&files.columns.users, &files.columns.items,
			&files.columns.times, &files.columns.labels};
		if (cases[c].item_bytes > 0) {
			*paths[cases[c].column] = write_column(&files, "wrong.npy", cases[c].descr,
				cases[c].data, cases[c].item_bytes);
		} else {
			/* A file of its own count, since the buffer is small. */
			const struct shape shape = {1, {2}};
			*paths[0] = write_npy(&files, "2.npy", "<u8", &shape, users, 16);
			*paths[1] = write_npy(&files, "wrong.npy", cases[c].descr, &shape,
				long_keys, 512);
			*paths[2] = write_npy(&files, "2t.npy", "<i8", &shape, times, 16);
			*paths[3] = write_npy(&files, "2y.npy", "|u1", &shape, labels, 2);
		}
		assert_int_equal(cr_samples_read(&files.columns, &samples, &err),
			STATUS_BAD_REQUEST);
		if (strstr(err.text, cases[c].says) == NULL ||
			strstr(err.text, "wrong.npy") == NULL) {
			fail_msg("%s: %s", cases[c].says, err.text);
		}
		assert_null(samples.order);
		fixture_fini(&files.fixture);
	}
}

static void shapes_must_agree(void **state)
{
	(void)state;
	static const struct shape fewer = {1, {5}};
	static const struct shape flat = {2, {6, 1}};
	static const struct shape one = {1, {1}};
	struct files files;
	struct cr_samples samples = {0};
	struct error err = {0};
	files_init(&files);
	const char *good = files.columns.labels;
	files.columns.labels = write_npy(&files, "5.npy", "|u1", &fewer, labels, 5);
	assert_int_equal(cr_samples_read(&files.columns, &samples, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "--labels: "));
	assert_non_null(strstr(err.text, "u1 [5] given, [6] is as many as there are users"));
	files.columns.labels = write_npy(&files, "6x1.npy", "|u1", &flat, labels, 6);
	assert_int_equal(cr_samples_read(&files.columns, &samples, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "u1 [6, 1] given, one dimension"));
	files.columns.labels = "/nonexistent/y.npy";
	assert_int_equal(cr_samples_read(&files.columns, &samples, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, "/nonexistent/y.npy"));
	files.columns.labels = good;
	files.columns.users = files.columns.items = files.columns.times = files.columns.labels =
		write_npy(&files, "1.npy", "|u1", &one, labels, 1);
	assert_int_equal(cr_samples_read(&files.columns, &samples, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "2 to 2^32 - 1 samples"));
	fixture_fini(&files.fixture);
}

/* ---- layers ---- */

static void vectors_of_every_dtype_are_read(void **state)
{
	(void)state;
	uint16_t halves[COUNT][2];
	uint16_t bf16[COUNT][2];
	static const struct shape shape = {2, {COUNT, 2}};
	struct files files;
	files_init(&files);
	for (size_t i = 0; i < COUNT; i++) {
		for (size_t j = 0; j < 2; j++) {
			halves[i][j] = dtype_f16_of_f32(rows[i][j]);
			bf16[i][j] = dtype_bf16_of_f32(rows[i][j]);
		}
	}
	const char *paths[] = {write_npy(&files, "4.npy", "<f4", &shape, rows, sizeof rows),
		write_npy(&files, "h.npy", "<f2", &shape, halves, sizeof halves),
		write_npy(&files, "b.npy", "<u2", &shape, bf16, sizeof bf16)};
	for (size_t c = 0; c < 3; c++) {
		char text[200];
		struct cr_layer layer;
		struct error err = {0};
		snprintf(text, sizeof text, "mlp2=%s", paths[c]);
		if (cr_layer_open(text, COUNT, &layer, &err) != STATUS_OK) {
			fail_msg("%s", err.text);
		}
		assert_string_equal(layer.name.text, "mlp2");
		assert_int_equal(layer.dim, 2);
		for (size_t i = 0; i < COUNT; i++) {
			float vector[2];
			cr_layer_vector(&layer, i, vector);
			assert_memory_equal(vector, rows[i], sizeof vector);
		}
		cr_layer_close(&layer);
	}
	fixture_fini(&files.fixture);
}

static void wrong_layers_are_named(void **state)
{
	(void)state;
	float damaged[COUNT][2];
	static const struct shape shape = {2, {COUNT, 2}};
	static const struct shape transposed = {2, {2, COUNT}};
	static const struct shape none = {2, {COUNT, 0}};
	static const struct shape views = {3, {COUNT, 1, 2}};
	struct files files;
	files_init(&files);
	memcpy(damaged, rows, sizeof rows);
	damaged[4][1] /= 0 * damaged[0][0];
	const char *paths[] = {write_npy(&files, "a.npy", "<f4", &transposed, rows, sizeof rows),
		write_npy(&files, "b.npy", "<f4", &none, rows, 0),
		write_npy(&files, "c.npy", "<f4", &views, rows, sizeof rows),
		write_npy(&files, "d.npy", "<i4", &shape, rows, sizeof rows),
		write_npy(&files, "e.npy", "<f4", &shape, damaged, sizeof damaged)};
	static const char *const says[] = {"f4 [2, 6] given, [6, dim]", "f4 [6, 0] given",
		"f4 [6, 1, 2] given", "i4 [6, 2] given, f4, f2 or u2 (bf16) allowed",
		"sample 4, element 1 is NaN or infinite"};
	struct cr_layer layer = {0};
	struct error err = {0};
	for (size_t c = 0; c < 5; c++) {
		char text[200];
		snprintf(text, sizeof text, "fm=%s", paths[c]);
		assert_int_equal(cr_layer_open(text, COUNT, &layer, &err), STATUS_BAD_REQUEST);
		if (strstr(err.text, says[c]) == NULL || strstr(err.text, "--layer fm: ") == NULL) {
			fail_msg("%s: %s", says[c], err.text);
		}
	}
	assert_int_equal(cr_layer_open("fm", COUNT, &layer, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "--layer: 'fm' given, NAME=FILE.npy allowed"));
	assert_int_equal(cr_layer_open("f/m=x.npy", COUNT, &layer, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "f/m"));
	assert_int_equal(cr_layer_open("=x.npy", COUNT, &layer, &err), STATUS_BAD_REQUEST);
	fixture_fini(&files.fixture);
}

static bool attempt(void *arg)
{
	struct cr_samples samples;
	const struct files *files = arg;
	const bool read = cr_samples_read(&files->columns, &samples, NULL) == STATUS_OK;
	if (read) {
		cr_samples_fini(&samples);
	}
	return read;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	struct files files;
	files_init(&files);
	assert_int_equal(alloc_fail_each(attempt, &files), 10);
	fixture_fini(&files.fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_come_in_the_order_of_time),
		cmocka_unit_test(keys_are_found_again),
		cmocka_unit_test(wrong_columns_are_named),
		cmocka_unit_test(shapes_must_agree),
		cmocka_unit_test(vectors_of_every_dtype_are_read),
		cmocka_unit_test(wrong_layers_are_named),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
