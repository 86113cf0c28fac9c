/* test_archive.c - dumps to one file: whole, or nothing of them is left. test_formats.c reads them
 * back. */
#include "tests/unit/alloc_fail.h"
#include "tests/unit/tools/table_fixture.h"
#include "tools/format/sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef enum status sink_open(const struct sink_options *options, struct sink **out,
	struct error *err);

/* A dump of all rows into one file. */
struct dump {
	const struct rows *rows;
	struct sink_options options;
	sink_open *open_sink;
	struct error err;
};

static bool dump_once(void *arg)
{
	struct dump *dump = arg;
	struct sink *sink = NULL;
	if (dump->open_sink(&dump->options, &sink, &dump->err) != STATUS_OK) {
		return false;
	}
	const bool whole = rows_write(dump->rows, sink, 3, &dump->err) == STATUS_OK;
	sink->close(sink);
	return whole;
}

/* The fixture finds whatever is left in its folder. */
static void a_dump_that_fails_leaves_nothing(void **state)
{
	(void)state;
	static sink_open *const open_sinks[] = {sink_open_npz, sink_open_safetensors};
	struct rep_table_spec spec = {.name = "ur",
		.entity = REP_USER,
		.kind = REP_UR,
		.dtype = REP_I8,
		.key_type = REP_KEY_BYTES,
		.dim = 3,
		.views = 2,
		.tags = true};
	for (size_t i = 0; i < 2; i++) {
		struct fixture fixture;
		struct rows rows;
		fixture_init(&fixture);
		rows_init(&rows, &spec, 5);
		struct dump dump = {.rows = &rows, .open_sink = open_sinks[i]};
		dump.options = (struct sink_options){.spec = &spec,
			.path = fixture_path(&fixture, "t"),
			.sort = SINK_BY_KEY};
		assert_true(alloc_fail_each(dump_once, &dump) >= 3);
		assert_int_equal(remove(dump.options.path), 0);
		/* A key that NumPy would cut: found out when all columns stand in files. */
		rows.keys.data[rows.keys.data[0]] = 0;
		assert_false(dump_once(&dump));
		assert_non_null(strstr(dump.err.text, "NUL"));
		assert_null(fopen(dump.options.path, "re"));
		dump.options.path = "/nonexistent/t";
		assert_false(dump_once(&dump));
		assert_non_null(strstr(dump.err.text, "/nonexistent/t"));
		dump.options.path = "-";
		assert_false(dump_once(&dump));
		assert_non_null(strstr(dump.err.text, "standard output"));
		rows_fini(&rows);
		fixture_fini(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dump_that_fails_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
