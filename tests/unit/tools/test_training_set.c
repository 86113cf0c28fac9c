/* test_training_set.c - rows of a training set are those that cr_history reads, bit for bit, in as many
 * parts as the memory asks for; refused memory is said. */
#include "tests/unit/alloc_fail.h"
#include "tests/unit/tools/table_fixture.h"
#include "tools/evaluation/cr_history.h"
#include "tools/evaluation/cr_layer.h"
#include "tools/evaluation/cr_samples.h"
#include "tools/evaluation/cr_states.h"
#include "tools/evaluation/key_numbers.h"
#include "tools/evaluation/sample_order.h"
#include "tools/evaluation/training_set.h"
#include "tools/format/npy.h"
#include "tools/format/zip.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 6000, USERS = 4000, ITEMS = 50, DIM = 5, TABLES = 2 };

struct files {
	struct fixture fixture;
	char layer[128];
	const char *layers[1];
	const char *labels;
	struct training_table tables[TABLES];
	struct training_request request;
};

static const char *write_npy(struct files *files, const char *name, const char *descr,
	uint32_t dims, const void *data, size_t data_bytes)
{
	static const uint64_t shape[2] = {COUNT, DIM};
	uint8_t *bytes = malloc(NPY_HEADER_BYTES_WRITTEN + data_bytes);
	assert_non_null(bytes);
	const size_t header = npy_write_header(descr, shape, dims, bytes);
	memcpy(bytes + header, data, data_bytes);
	const char *path = fixture_path(&files->fixture, name);
	fixture_write(path, bytes, header + data_bytes);
	free(bytes);
	return path;
}

static bool go_on(void *context, uint64_t done, uint64_t total)
{
	(void)context;
	assert_true(done <= total);
	return true;
}

/* Samples whose times come several times, and not in their order. */
static void files_init(struct files *files)
{
	static uint32_t users[COUNT];
	static uint32_t items[COUNT];
	static int64_t times[COUNT];
	static uint8_t labels[COUNT];
	static float vectors[COUNT][DIM];
	for (uint32_t k = 0; k < COUNT; k++) {
		users[k] = (uint32_t)(k * UINT64_C(2654435761) % USERS);
		items[k] = k * 3 % ITEMS;
		times[k] = (int64_t)(k / 3 * 7 % 900) * 1000;
		labels[k] = k % 2;
		for (uint32_t i = 0; i < DIM; i++) {
			vectors[k][i] = (float)sin((double)(k * DIM + i));
		}
	}
	*files = (struct files){0};
	fixture_init(&files->fixture);
	for (size_t i = 0; i < TABLES; i++) {
		files->tables[i].spec =
			(struct table_spec){.entity = i == 0 ? ENTITY_USER : ENTITY_ITEM,
				.kind = KIND_CR,
				.dtype = DTYPE_F32,
				.decay_events = 0.9,
				.half_life_ms = 300000,
				.reading = READING_LAYER_NORM};
		snprintf(files->tables[i].spec.name.text, sizeof files->tables[i].spec.name.text,
			i == 0 ? "cr_user@x" : "cr_item@x");
	}
	snprintf(files->layer, sizeof files->layer, "x=%s",
		write_npy(files, "x.npy", "<f4", 2, vectors, sizeof vectors));
	files->layers[0] = files->layer;
	files->labels = write_npy(files, "y.npy", "|u1", 1, labels, sizeof labels);
	files->request = (struct training_request){
		.samples = {.users = write_npy(files, "u.npy", "<u4", 1, users, sizeof users),
			.items = write_npy(files, "i.npy", "<u4", 1, items, sizeof items),
			.times = write_npy(files, "t.npy", "<i8", 1, times, sizeof times),
			.layers = files->layers,
			.layer_count = 1,
			.time = {.any = true}},
		.tables = files->tables,
		.table_count = TABLES,
		.out = fixture_path(&files->fixture, "f.npz"),
		.progress = go_on,
	};
}

/* Finds an array in the npz file. */
static struct npy array_of(const uint8_t *file, size_t len, const char *name)
{
	struct zip zip;
	struct zip_member member;
	struct npy npy = {0};
	bool more = true;
	assert_int_equal(zip_open(file, len, "f.npz", &zip, NULL), STATUS_OK);
	while (npy.data == NULL) {
		assert_int_equal(zip_next(&zip, &member, &more, NULL), STATUS_OK);
		assert_true(more);
		if (member.name_len == strlen(name) &&
			memcmp(member.name, name, member.name_len) == 0) {
			assert_int_equal(npy_read(member.packed, member.packed_bytes, name, &npy,
						 NULL),
				STATUS_OK);
		}
	}
	return npy;
}

static void assert_read(const struct npy *rows, const struct npy *ages, uint32_t row,
	const float *expected)
{
	static const float zeros[DIM];
	int64_t age = 0;
	memcpy(&age, ages->data + row * sizeof age, sizeof age);
	assert_int_equal(age >= 0, expected != NULL);
	assert_memory_equal(rows->data + row * sizeof zeros, expected != NULL ? expected : zeros,
		sizeof zeros);
}

/* Compares the file with what layer evaluate reads. */
static void assert_history(const struct files *files)
{
	const struct sample_paths *paths = &files->request.samples;
	const struct sample_columns columns = {paths->users, paths->items, paths->times,
		files->labels, paths->time};
	struct table_spec spec = files->tables[0].spec;
	struct cr_samples samples = {0};
	struct cr_layer layer = {0};
	struct cr_history *history = NULL;
	struct cr_read read;
	size_t len = 0;
	uint8_t *file = fixture_read(files->request.out, &len);
	const struct npy users = array_of(file, len, "cr_user@x.npy");
	const struct npy user_ages = array_of(file, len, "cr_user@x.age.npy");
	const struct npy items = array_of(file, len, "cr_item@x.npy");
	const struct npy item_ages = array_of(file, len, "cr_item@x.age.npy");
	spec.dim = DIM;
	spec.views = 1;
	assert_int_equal(cr_samples_read(&columns, &samples, NULL), STATUS_OK);
	assert_int_equal(cr_layer_open(files->layer, COUNT, &layer, NULL), STATUS_OK);
	assert_int_equal(cr_history_open(&samples, &layer, &spec, &history), STATUS_OK);
	for (size_t k = 0; cr_history_next(history, &read); k++) {
		assert_read(&users, &user_ages, samples.order[k], read.user);
		assert_read(&items, &item_ages, samples.order[k], read.item);
	}
	cr_history_close(history);
	cr_layer_close(&layer);
	cr_samples_fini(&samples);
	free(file);
}

static void rows_are_those_of_a_history(void **state)
{
	(void)state;
	struct files files;
	struct training_report report;
	struct error err = {0};
	files_init(&files);
	if (training_set_make(&files.request, &report, &err) != STATUS_OK) {
		fail_msg("%s", err.text);
	}
	assert_int_equal(report.samples, COUNT);
	assert_int_equal(report.items, ITEMS);
	assert_false(report.in_order);
	assert_int_equal(report.passes, 2);
	assert_int_equal(report.tables[1].there + report.tables[1].none, COUNT);
	assert_history(&files);
	training_report_fini(&report);
	fixture_fini(&files.fixture);
}

static void a_bound_of_memory_is_kept_in_parts(void **state)
{
	(void)state;
	struct files files;
	struct training_report report;
	struct error err = {0};
	files_init(&files);
	files.request.memory_bytes = 200000;
	if (training_set_make(&files.request, &report, &err) != STATUS_OK) {
		fail_msg("%s", err.text);
	}
	assert_true(report.passes > 2);
	assert_true(report.memory_bytes <= files.request.memory_bytes);
	assert_history(&files);
	training_report_fini(&report);

	files.request.memory_bytes = 1000;
	assert_int_equal(training_set_make(&files.request, &report, &err), STATUS_TOO_LARGE);
	assert_non_null(strstr(err.text, "--memory: 1000 bytes"));
	fixture_fini(&files.fixture);
}

/* A state that is as old as the first samples: each key begins with it. */
static enum status begin_late(void *context, size_t table, const struct training_keys *keys,
	struct cr_states *states, struct error *err)
{
	static const double sums[DIM] = {1, 2, 3, 4, 5};
	(void)context;
	(void)err;
	for (uint32_t i = 0; table == 1 && i < keys->count; i++) {
		cr_states_set(states, keys->first + i, 60000, sums, 2);
	}
	return STATUS_OK;
}

static void states_that_may_hold_the_samples_are_refused(void **state)
{
	(void)state;
	struct files files;
	struct training_report report;
	struct error err = {0};
	files_init(&files);
	files.request.begin = begin_late;
	assert_int_equal(training_set_make(&files.request, &report, &err), STATUS_CONFLICT);
	assert_non_null(strstr(err.text, "cr_item@x"));
	files.request.skip_late = true;
	assert_int_equal(training_set_make(&files.request, &report, &err), STATUS_OK);
	assert_int_equal(report.tables[0].late, 0);
	assert_true(report.tables[1].late > 0);
	assert_int_equal(report.tables[1].none, 0);
	training_report_fini(&report);
	fixture_fini(&files.fixture);
}

static bool attempt(void *arg)
{
	const struct files *files = arg;
	struct training_report report;
	const bool done = training_set_make(&files->request, &report, NULL) == STATUS_OK;
	if (done) {
		training_report_fini(&report);
	}
	return done;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	struct files files;
	files_init(&files);
	assert_true(alloc_fail_each(attempt, &files) > 15);
	fixture_fini(&files.fixture);
}

/* The same of JSON lines, whose users are strings of several lengths. */
static void refused_memory_of_lines_is_said(void **state)
{
	(void)state;
	static const char *const layers[] = {"x"};
	char lines[4096];
	size_t len = 0;
	struct files files;
	files_init(&files);
	for (unsigned i = 0; i < 40; i++) {
		len += (size_t)snprintf(lines + len, sizeof lines - len,
			"{\"user\": \"u%u\", \"item\": %u, \"time\": %u, \"x\": [1, %u]}\n", i % 13,
			i % 7, 90 - i, i);
	}
	const char *path = fixture_path(&files.fixture, "lines.jsonl");
	fixture_write(path, lines, len);
	files.request.samples = (struct sample_paths){.archive = path,
		.layers = layers,
		.layer_count = 1,
		.time = {.any = true}};
	assert_true(alloc_fail_each(attempt, &files) > 25);
	fixture_fini(&files.fixture);
}

/* Enough of them for several merges, in times that come often. */
static void many_samples_are_sorted(void **state)
{
	(void)state;
	enum { MANY = 300000 };
	struct fixture fixture;
	struct output output;
	struct sample_order order = {0};
	int64_t *times = calloc(MANY, sizeof *times);
	assert_non_null(times);
	fixture_init(&fixture);
	for (uint32_t i = 0; i < MANY; i++) {
		times[i] = (int64_t)(i * UINT64_C(2654435761) % 1009);
	}
	assert_int_equal(output_open(fixture_path(&fixture, "o"), &output, NULL), STATUS_OK);
	assert_int_equal(sample_order_make((const uint8_t *)times, MANY, &output, &order, NULL),
		STATUS_OK);
	for (uint32_t k = 1; k < MANY; k++) {
		const uint64_t before = sample_order_row(&order, k - 1);
		const uint64_t row = sample_order_row(&order, k);
		assert_true(times[before] < times[row] ||
			    (times[before] == times[row] && before < row));
	}
	sample_order_close(&order);
	output_abort(&output);
	free(times);
	fixture_fini(&fixture);
}

static void keys_keep_their_numbers(void **state)
{
	(void)state;
	struct key_numbers numbers;
	key_numbers_init(&numbers, sizeof(uint64_t));
	for (uint64_t round = 0; round < 2; round++) {
		for (uint64_t i = 0; i < 10000; i++) {
			const uint64_t key = i * i;
			const uint64_t hash = key_numbers_hash(&numbers, (const uint8_t *)&key);
			uint32_t number = 0;
			if (round == 0) {
				assert_false(key_numbers_find(&numbers, (const uint8_t *)&key, hash,
					&number));
				assert_int_equal(key_numbers_add(&numbers, (const uint8_t *)&key,
							 hash, &number),
					STATUS_OK);
			} else {
				assert_true(key_numbers_find(&numbers, (const uint8_t *)&key, hash,
					&number));
			}
			assert_int_equal(number, i);
		}
	}
	key_numbers_fini(&numbers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_those_of_a_history),
		cmocka_unit_test(a_bound_of_memory_is_kept_in_parts),
		cmocka_unit_test(states_that_may_hold_the_samples_are_refused),
		cmocka_unit_test(refused_memory_is_said),
		cmocka_unit_test(refused_memory_of_lines_is_said),
		cmocka_unit_test(many_samples_are_sorted),
		cmocka_unit_test(keys_keep_their_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
