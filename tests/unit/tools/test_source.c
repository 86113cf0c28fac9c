/* test_source.c - what is checked of rows before any of them is sent. */
#include "tools/format/source.h"

#include "tests/unit/tools/table_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Reads a file of JSON lines to its end. */
static enum status read_all(const struct source_options *options, struct error *err)
{
	struct source *source = NULL;
	enum status status = source_open_jsonl(options, &source, err);
	for (uint32_t count = 1; status == STATUS_OK && count > 0;) {
		struct rep_rows rows;
		status = source->next(source, &rows, err);
		count = rows.keys.count;
	}
	if (source != NULL) {
		source->close(source);
	}
	return status;
}

/* One number that the table cannot hold, in the second chunk, is refused by its row. */
static void what_the_table_cannot_hold_is_refused_by_row(void **state)
{
	(void)state;
	static const struct {
		const char *element;
		const char *scale; /* or NULL */
		enum rep_dtype table;
		bool held;
	} rows[] = {
		{"3.4028234e38", NULL, REP_F32, true},
		{"65504", NULL, REP_F16, true},
		{"-65519.99", NULL, REP_F16, true},
		{"65520", NULL, REP_F16, false},
		{"-70000", NULL, REP_F16, false},
		{"3.3961773e38", NULL, REP_BF16, true},
		{"3.39617753e38", NULL, REP_BF16, false},
		{"3.4e38", NULL, REP_I8, true},
		{"127", "2.65e36", REP_F32, true},
		{"1", "2.66e36", REP_F32, false},
		{"-100", "656", REP_F16, false},
		{"-100", "655", REP_F16, true},
		{"127", "2.65e36", REP_I8, true},
		{"1", "3e38", REP_I8, false},
	};
	struct fixture fixture;
	fixture_init(&fixture);
	const char *path = fixture_path(&fixture, "held.jsonl");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct rep_table_spec spec = {.dtype = rows[i].table,
			.key_type = REP_KEY_U64,
			.dim = 2,
			.views = 1};
		struct source_options options = {.spec = &spec, .path = path, .chunk_rows = 1};
		struct error err = {0};
		char text[256];
		char scale[40] = "";
		if (rows[i].scale != NULL) {
			snprintf(scale, sizeof scale, ", \"scale\": %s", rows[i].scale);
		}
		snprintf(text, sizeof text,
			"{\"key\": 1, \"vector\": [1, 2]%s}\n{\"key\": 2, \"vector\": [1, %s]%s}\n",
			rows[i].scale != NULL ? ", \"scale\": 1" : "", rows[i].element, scale);
		fixture_write(path, text, strlen(text));
		const enum status status = read_all(&options, &err);
		if (rows[i].held != (status == STATUS_OK) ||
			(!rows[i].held && strstr(err.text, "row 1") == NULL)) {
			fail_msg("%s %s", rows[i].element, err.text);
		}
		options.allow_nonfinite = true;
		assert_int_equal(read_all(&options, NULL), STATUS_OK);
	}
	fixture_fini(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_table_cannot_hold_is_refused_by_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
