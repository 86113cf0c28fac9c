/* test_disk.c - schema/DISK.md names the constants that the code has, with their values, and its
 * tables of offsets and fields are those of bytes that the code writes.
 *
 * The arguments are the path of DISK.md, and those of the headers all of whose constants it must
 * name. */
#include "daemon/retrieval/balls/balls_image.h"
#include "daemon/retrieval/balls/balls_recall.h"
#include "daemon/store/backup/manifest.h"
#include "daemon/store/base/base.h"
#include "daemon/store/base/base_files.h"
#include "daemon/store/base/base_lmdb.h"
#include "daemon/store/base/segment.h"
#include "daemon/store/catalog/catalog.h"
#include "daemon/store/catalog/catalog_add.h"
#include "daemon/store/catalog/current.h"
#include "daemon/store/index/index_file.h"
#include "daemon/store/log/frame.h"
#include "daemon/store/log/redo.h"
#include "daemon/store/spill/spill.h"
#include "daemon/store/state/options.h"
#include "daemon/store/visible/visible.h"
#include "schema/served.h"
#include "tests/unit/schema/disk_fixture.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *page;
static const char *const *headers;
static size_t header_count;

/* ---- constants ---- */

#define NAMED(constant)                                                                            \
	{                                                                                          \
#constant, (uint64_t)(constant)                                                    \
	}

static const struct {
	const char *name;
	uint64_t value;
} constants[] = {
	/* catalog.h, current.h, and what records hold */
	NAMED(CATALOG_VERSION),
	NAMED(CATALOG_VERSION_0_1),
	NAMED(CATALOG_LETTERS),
	NAMED(RELEASE_OPEN),
	NAMED(RELEASE_SEALED),
	NAMED(SNAPSHOT_HISTORY_MAX),
	NAMED(TABLE_LEVELS_MAX),
	NAMED(CURRENT_VERSION),
	NAMED(CURRENT_READABLE_FROM),
	NAMED(CURRENT_OLDEST),
	/* visible.h */
	NAMED(VISIBLE_VERSION),
	NAMED(VISIBLE_READABLE_FROM),
	NAMED(VISIBLE_BYTES),
	NAMED(VISIBLE_COPY_EVEN),
	NAMED(VISIBLE_COPY_ODD),
	NAMED(VISIBLE_COPY_BYTES),
	/* redo.h, frame.h */
	NAMED(REDO_VERSION),
	NAMED(REDO_HEAD_BYTES),
	NAMED(FRAME_VERSION),
	NAMED(FRAME_HEAD_BYTES),
	NAMED(FRAME_PART_BYTES),
	NAMED(FRAME_ALIGN),
	NAMED(FRAME_BYTES_MIN),
	NAMED(FRAME_PARTS_MAX),
	NAMED(FRAME_POSITION_BYTES_MAX),
	NAMED(FRAME_PUT),
	NAMED(FRAME_DELETE),
	NAMED(FRAME_POSITION),
	NAMED(FRAME_FORGET),
	NAMED(FRAME_SAMPLES),
	/* served.h */
	NAMED(SERVED_VERSION),
	NAMED(SERVED_HEAD_BYTES),
	NAMED(SERVED_FRAME_BYTES),
	/* base_lmdb.h, base.h, segment.h */
	NAMED(BASE_VALUE_PADDING),
	NAMED(STORE_FILE_BYTES),
	NAMED(STORE_SEGMENT_BYTES),
	NAMED(STORE_RANGE_BYTES),
	NAMED(BASE_RANGES),
	NAMED(SEGMENT_VERSION),
	NAMED(SEGMENT_ALIGN),
	NAMED(SEGMENT_PAGE_BYTES),
	NAMED(SEGMENT_LEAD_BYTES),
	NAMED(SEGMENT_HEADER_BYTES),
	NAMED(SEGMENT_COLUMN_BYTES),
	NAMED(SEGMENT_COLUMNS_MAX),
	NAMED(SEGMENT_PREFIX_BITS_MAX),
	NAMED(SEGMENT_PROBE_SLOTS),
	NAMED(COLUMN_SLOTS),
	NAMED(COLUMN_KEYS),
	NAMED(COLUMN_KEY_OFFSETS),
	NAMED(COLUMN_KEY_BLOB),
	NAMED(COLUMN_ROWS),
	NAMED(COLUMN_TIMES),
	NAMED(COLUMN_WEIGHTS),
	NAMED(COLUMN_TAGS),
	NAMED(COLUMN_SCALES),
	NAMED(COLUMN_LOWS),
	NAMED(COLUMN_PAGES),
	NAMED(COLUMN_DELETED),
	NAMED(COLUMN_OPTIONAL),
	/* dtype.h, key.h */
	NAMED(DTYPE_NONE),
	NAMED(DTYPE_F32),
	NAMED(DTYPE_F16),
	NAMED(DTYPE_BF16),
	NAMED(DTYPE_I8),
	NAMED(DTYPE_BIT),
	NAMED(DTYPE_F64),
	NAMED(KEY_NONE),
	NAMED(KEY_U64),
	NAMED(KEY_BYTES),
	/* index_file.h, balls_image.h, and what else an image depends on */
	NAMED(INDEX_VERSION),
	NAMED(INDEX_HEAD_BYTES),
	NAMED(INDEX_IMAGE_OFFSET),
	NAMED(INDEX_NONE),
	NAMED(INDEX_BALLS),
	NAMED(BALLS_VERSION),
	NAMED(BALLS_HEADER_BYTES),
	NAMED(BALLS_ALIGN),
	NAMED(BALLS_BLOCK_ROWS),
	NAMED(BALLS_PREFIX_MAX),
	NAMED(BALLS_ROWS_MAX),
	NAMED(BALLS_CODE_ZERO),
	NAMED(BALLS_QUERIES_OFFSET),
	NAMED(BALLS_METRICS),
	NAMED(BALLS_KS),
	NAMED(BALLS_FACTORS),
	NAMED(BALLS_RECALLS),
	NAMED(BALLS_BASIS),
	NAMED(BALLS_AXES),
	NAMED(BALLS_AXIS_CODES),
	NAMED(BALLS_AXIS_HEADS),
	NAMED(BALLS_PREFIX_AXES),
	NAMED(BALLS_FIRST_BLOCKS),
	NAMED(BALLS_OF_BALLS),
	NAMED(BALLS_OF_BLOCKS),
	NAMED(BALLS_BLOCKS),
	NAMED(BALLS_LOOSE),
	NAMED(BALLS_COLUMNS),
	NAMED(BALLS_HEAD_SCALE),
	NAMED(BALLS_HEAD_CODE_ERROR),
	NAMED(BALLS_HEAD_REST),
	NAMED(BALLS_HEAD_NORM),
	NAMED(BALLS_HEAD_OFF),
	NAMED(BALLS_HEAD_FIRST_REST),
	NAMED(BALLS_INNER_PRODUCT),
	NAMED(BALLS_COSINE),
	NAMED(BALLS_L2),
	/* spill.h */
	NAMED(SPILL_VERSION),
	NAMED(SPILL_HEAD_BYTES),
	NAMED(SPILL_FRAME_MAGIC),
	NAMED(SPILL_FRAME_RUN),
	NAMED(SPILL_FRAME_END),
	/* manifest.h */
	NAMED(MANIFEST_VERSION),
	NAMED(MANIFEST_BACKUP),
	NAMED(MANIFEST_RELEASE),
	/* limits.h */
	NAMED(LIMIT_RELEASES),
	NAMED(LIMIT_TABLES),
	NAMED(LIMIT_TENSORS),
	NAMED(LIMIT_TENSOR_DIMS),
	NAMED(LIMIT_TENSOR_BYTES),
	NAMED(LIMIT_LOADS),
	NAMED(LIMIT_SOURCES),
	NAMED(LIMIT_DIM),
	NAMED(LIMIT_VIEWS),
	NAMED(LIMIT_HISTORY),
	NAMED(LIMIT_ROW_BYTES),
	NAMED(LIMIT_DEFAULT_BYTES),
	NAMED(LIMIT_DEFAULTS_BYTES),
	NAMED(LIMIT_KEY_BYTES),
	NAMED(LIMIT_NAME_BYTES),
	NAMED(LIMIT_TABLE_NAME_BYTES),
	NAMED(LIMIT_LABEL_BYTES),
	NAMED(LIMIT_PARTS),
	NAMED(LIMIT_WRITE_BYTES),
	NAMED(LIMIT_WRITE_ROWS),
};

enum { CONSTANTS = sizeof constants / sizeof constants[0] };

static bool is_constant_byte(char byte)
{
	return isupper((unsigned char)byte) || isdigit((unsigned char)byte) || byte == '_';
}

/* The number of a constant of this name; CONSTANTS: there is none. */
static size_t find_constant(const char *name, size_t len)
{
	size_t i = 0;
	while (i < CONSTANTS &&
		(strncmp(constants[i].name, name, len) != 0 || constants[i].name[len] != '\0')) {
		i++;
	}
	return i;
}

/* "NAME` | value | ...": counts the constant; false when it is a field's name. */
static bool check_constant(const char *row, unsigned seen[CONSTANTS])
{
	size_t len = 0;
	while (is_constant_byte(row[len])) {
		len++;
	}
	if (row[len] != '`') {
		return false;
	}
	const size_t i = find_constant(row, len);
	if (i == CONSTANTS) {
		disk_fail("%.*s: the code has none of that name", (int)len, row);
	}
	seen[i]++;
	char *end;
	const char *value = row + len + strlen("` | ");
	const uint64_t given = strtoull(value, &end, 0);
	if (end == value || strncmp(end, " | ", 3) != 0 || given != constants[i].value) {
		disk_fail("%s: %.12s on the page, %llu in the code", constants[i].name, value,
			(unsigned long long)constants[i].value);
	}
	return true;
}

static void the_page_has_each_constant_once_with_its_value(void **state)
{
	(void)state;
	unsigned seen[CONSTANTS] = {0};
	size_t rows = 0;
	for (const char *row = strstr(page, "\n| `"); row != NULL; row = strstr(row + 1, "\n| `")) {
		rows += check_constant(row + strlen("\n| `"), seen);
	}
	for (size_t i = 0; i < CONSTANTS; i++) {
		if (seen[i] != 1) {
			disk_fail("%s: %u times on the page", constants[i].name, seen[i]);
		}
	}
	assert_int_equal(rows, CONSTANTS);
}

/* ---- headers ---- */

/* Comments become spaces. */
static void blank_comments(char *text)
{
	for (char *at = strstr(text, "/*"); at != NULL; at = strstr(at, "/*")) {
		const char *end = strstr(at, "*/");
		assert_non_null(end);
		while (at < end + 2) {
			*at++ = ' ';
		}
	}
}

/* Reads "NAME = value, NAME, ..." up to the closing brace; returns how many there are. */
static size_t check_enumerators(const char *header, const char *at)
{
	size_t count = 0;
	while (*at != '}') {
		at += strspn(at, " \t\n");
		size_t len = 0;
		while (is_constant_byte(at[len])) {
			len++;
		}
		if (len > 0 && find_constant(at, len) == CONSTANTS) {
			disk_fail("%s: %.*s is missing in this test, and perhaps on the page",
				header, (int)len, at);
		}
		count += len > 0;
		at += strcspn(at, ",}");
		at += *at == ',';
	}
	return count;
}

static void each_constant_of_the_headers_is_known(void **state)
{
	(void)state;
	assert_true(header_count > 0);
	for (size_t i = 0; i < header_count; i++) {
		char *text = disk_read_text(headers[i]);
		size_t count = 0;
		blank_comments(text);
		for (const char *at = strstr(text, "enum "); at != NULL;
			at = strstr(at + 1, "enum ")) {
			const char *body = at + strlen("enum ");
			body += strspn(body, "abcdefghijklmnopqrstuvwxyz_");
			body += strspn(body, " \n");
			if (*body == '{') { /* else the type is only used */
				count += check_enumerators(headers[i], body + 1);
			}
		}
		if (count == 0) {
			disk_fail("%s: no constants were found in it", headers[i]);
		}
		free(text);
	}
}

/* ---- tables of offsets, and of fields ---- */

static void each_table_of_offsets_is_that_of_written_bytes(void **state)
{
	(void)state;
	size_t tables = 0;
	for (const char *at = strstr(page, "\n| offset |"); at != NULL;
		at = strstr(at + 1, "\n| offset |")) {
		tables++;
	}
	assert_int_equal(tables, disk_layout_count);
	for (size_t i = 0; i < disk_layout_count; i++) {
		disk_check_layout(page, disk_layouts[i]);
	}
}

static void each_table_of_fields_is_that_of_a_written_record(void **state)
{
	(void)state;
	disk_check_records(page);
}

static void the_catalog_has_the_letters_of_the_page(void **state)
{
	(void)state;
	static const struct {
		const char *row;
		size_t number_count;
	} letters[CATALOG_LETTERS] = {
		{"\n| `r` | release | ", 1},
		{"\n| `t` | release, table | ", 2},
		{"\n| `f` | release, table, file | ", 3},
		{"\n| `n` | release, tensor | ", 2},
	};
	for (size_t i = 0; i < CATALOG_LETTERS; i++) {
		assert_int_equal(letters[i].row[strlen("\n| `")], catalog_letters[i].letter);
		assert_int_equal(letters[i].number_count, catalog_letters[i].number_count);
		if (strstr(page, letters[i].row) == NULL) {
			disk_fail("the page has not '%s'", letters[i].row + 1);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: test_disk DISK.md HEADER...\n");
		return 2;
	}
	char *text = disk_read_text(argv[1]);
	page = text;
	headers = (const char *const *)argv + 2;
	header_count = (size_t)argc - 2;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_has_each_constant_once_with_its_value),
		cmocka_unit_test(each_constant_of_the_headers_is_known),
		cmocka_unit_test(each_table_of_offsets_is_that_of_written_bytes),
		cmocka_unit_test(each_table_of_fields_is_that_of_a_written_record),
		cmocka_unit_test(the_catalog_has_the_letters_of_the_page),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(text);
	return failed;
}
