/* test_layer_evaluation.c - from files to a report: what is found, and that refused memory is
 * said. */
#include "tests/unit/alloc_fail.h"
#include "tests/unit/tools/table_fixture.h"
#include "tools/evaluation/layer_evaluation.h"
#include "tools/format/npy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 200, DIM = 2, FILE_BYTES_MAX = 4096 };

struct files {
	struct fixture fixture;
	char layers[2][128];
	const char *texts[2];
	struct evaluation_request request;
};

static const char *write_npy(struct files *files, const char *name, const char *descr,
	uint32_t dims, const void *data, size_t data_bytes)
{
	static const uint64_t shape[2] = {COUNT, DIM};
	uint8_t bytes[FILE_BYTES_MAX];
	const size_t header = npy_write_header(descr, shape, dims, bytes);
	assert_true(header + data_bytes <= sizeof bytes);
	memcpy(bytes + header, data, data_bytes);
	const char *path = fixture_path(&files->fixture, name);
	fixture_write(path, bytes, header + data_bytes);
	return path;
}

/* One user in two likes everything, and layer `good` says who; `noise` does not. */
static void files_init(struct files *files)
{
	uint32_t users[COUNT];
	uint32_t items[COUNT];
	int64_t times[COUNT];
	uint8_t labels[COUNT];
	float good[COUNT][DIM];
	float noise[COUNT][DIM];
	for (uint32_t k = 0; k < COUNT; k++) {
		users[k] = k * 7 % 20;
		items[k] = k * 3 % 11;
		times[k] = k / 2;
		labels[k] = (uint8_t)(users[k] % 2 == (k % 10 != 0));
		good[k][0] = users[k] % 2 == 1 ? 1 : -1;
		good[k][1] = (float)sin(k);
		noise[k][0] = (float)sin(3.0 * k);
		noise[k][1] = (float)cos(5.0 * k);
	}
	fixture_init(&files->fixture);
	files->request = (struct evaluation_request){
		.columns = {.users = write_npy(files, "u.npy", "<u4", 1, users, sizeof users),
			.items = write_npy(files, "i.npy", "<u4", 1, items, sizeof items),
			.times = write_npy(files, "t.npy", "<i8", 1, times, sizeof times),
			.labels = write_npy(files, "y.npy", "|u1", 1, labels, sizeof labels),
			.time = {.any = true}},
		.layers = files->texts,
		.layer_count = 2,
		.train = 0.5,
		.scores = fixture_path(&files->fixture, "z.npy"),
		.fit = {.spec = {.kind = KIND_CR,
				.dtype = DTYPE_F32,
				.views = 1,
				.decay_events = 0.99,
				.reading = READING_MEAN},
			.loss = {LOSS_BOTH, 0.5, 1},
			.batch = 16,
			.epochs = 5,
			.rate = 0.05,
			.l2 = 0.01},
		.figures = {{LOSS_BOTH, 0.5, 1}, 16, 20, 0},
	};
	snprintf(files->layers[0], sizeof files->layers[0], "noise=%s",
		write_npy(files, "n.npy", "<f4", 2, noise, sizeof noise));
	snprintf(files->layers[1], sizeof files->layers[1], "good=%s",
		write_npy(files, "g.npy", "<f4", 2, good, sizeof good));
	files->texts[0] = files->layers[0];
	files->texts[1] = files->layers[1];
}

static void layers_are_told_apart(void **state)
{
	(void)state;
	struct files files;
	struct evaluation evaluation;
	struct error err = {0};
	files_init(&files);
	if (evaluation_run(&files.request, &evaluation, &err) != STATUS_OK) {
		fail_msg("%s", err.text);
	}
	const struct layer_report *report = &evaluation.report;
	assert_int_equal(report->count, 2);
	assert_string_equal(report->layers[0].name.text, "noise");
	assert_string_equal(report->layers[1].name.text, "good");
	assert_true(report->layers[1].figures.auc > 0.85);
	assert_true(report->layers[1].figures.auc > report->layers[0].figures.auc + 0.2);
	assert_true(report->constant.auc == 0.5);
	assert_int_equal(report->fitted.samples, COUNT / 2);
	assert_int_equal(report->fitted.users, 20);
	assert_int_equal(report->scored.first_ms, COUNT / 4);

	size_t len = 0;
	struct npy npy;
	uint8_t *file = fixture_read(files.request.scores, &len);
	assert_int_equal(npy_read(file, len, "z.npy", &npy, NULL), STATUS_OK);
	assert_int_equal(npy.shape[0], COUNT / 2);
	assert_int_equal(npy.shape[1], 2);
	for (size_t k = 0; k < COUNT / 2; k++) {
		double row[2];
		memcpy(row, npy.data + k * sizeof row, sizeof row);
		assert_true(row[0] == evaluation.scores[k]);
		assert_true(row[1] == evaluation.scores[COUNT / 2 + k]);
	}
	free(file);
	evaluation_fini(&evaluation);
	fixture_fini(&files.fixture);
}

static void every_file_is_checked_first(void **state)
{
	(void)state;
	struct files files;
	struct evaluation evaluation;
	struct error err = {0};
	files_init(&files);
	files.texts[1] = "last=/nonexistent/l.npy";
	files.request.fit.epochs = UINT32_MAX; /* would not end */
	assert_int_equal(evaluation_run(&files.request, &evaluation, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, "/nonexistent/l.npy"));
	evaluation_fini(&evaluation);
	fixture_fini(&files.fixture);
}

static bool attempt(void *arg)
{
	struct evaluation evaluation;
	const struct files *files = arg;
	const bool done = evaluation_run(&files->request, &evaluation, NULL) == STATUS_OK;
	evaluation_fini(&evaluation);
	return done;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	struct files files;
	files_init(&files);
	assert_true(alloc_fail_each(attempt, &files) > 40);
	fixture_fini(&files.fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_are_told_apart),
		cmocka_unit_test(every_file_is_checked_first),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
