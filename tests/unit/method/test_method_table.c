/* test_method_table.c - schema/PROTOCOL.md describes the methods that there are, with the
 * names that each allows, and no others; it and daemon/OPERATING.md say which role each wants.
 *
 * The paths of both pages are the arguments. */
#include "daemon/method/methods.h"
#include "daemon/method/query/given_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *protocol_path;
static const char *operating_path;

enum { NAMES_MAX = 32, NAME_BYTES = 32 };

/* The names of one map of the page, in its order. */
struct map_names {
	size_t count;
	char text[NAMES_MAX][NAME_BYTES];
};

static char *read_page(const char *path)
{
	FILE *file = fopen(path, "r");
	if (file == NULL) {
		fail_msg("cannot read '%s'", path);
	}
	static char page[256 << 10];
	size_t len = fread(page, 1, sizeof page - 1, file);
	fclose(file);
	assert_true(len > 0 && len < sizeof page - 1);
	page[len] = '\0';
	return page;
}

/* The next "### name" at or behind `at` within "## Methods"; NULL at the end. */
static const char *next_method(const char *at, char name[NAME_BYTES])
{
	const char *heading = strstr(at, "\n### ");
	const char *chapter = strstr(at, "\n## ");
	if (heading == NULL || (chapter != NULL && chapter < heading)) {
		return NULL;
	}
	heading += strlen("\n### ");
	size_t len = strcspn(heading, "\n");
	assert_true(len > 0 && len < NAME_BYTES);
	memcpy(name, heading, len);
	name[len] = '\0';
	return heading + len;
}

static const char *first_method(const char *page, char name[NAME_BYTES])
{
	const char *methods = strstr(page, "\n## Methods\n");
	assert_non_null(methods);
	return next_method(methods + strlen("\n## Methods"), name);
}

static bool is_name_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '_';
}

static const char *take_name(const char *at, struct map_names *out)
{
	while (*at == ' ' || *at == '\n') {
		at++;
	}
	size_t len = 0;
	while (is_name_byte(at[len])) {
		len++;
	}
	if (len > 0) {
		assert_true(len < NAME_BYTES && out->count < NAMES_MAX);
		memcpy(out->text[out->count], at, len);
		out->text[out->count++][len] = '\0';
	}
	return at + len;
}

/* Reads "{a: str, b?: uint (1), c: [{d: str}]}": names of the first level, and those of the
 * second. */
static void read_map(const char *at, struct map_names *outer, struct map_names *inner)
{
	size_t depth = 0;
	size_t brackets = 0;
	do {
		char byte = *at++;
		assert_true(byte != '\0' && byte != '`');
		brackets += byte == '(' ? 1 : 0;
		brackets -= byte == ')' ? 1 : 0;
		depth += byte == '{' ? 1 : 0;
		depth -= byte == '}' ? 1 : 0;
		assert_true(depth <= 2);
		if (brackets == 0 && depth > 0 && (byte == '{' || byte == ',')) {
			at = take_name(at, depth == 1 ? outer : inner);
		}
	} while (depth > 0);
}

/* `text` is behind the heading: the description's first map are the params. */
static void read_params(const char *text, struct map_names *outer, struct map_names *inner)
{
	outer->count = 0;
	inner->count = 0;
	assert_int_equal(strncmp(text, "\n`{", 3), 0);
	read_map(text + 2, outer, inner);
}

static void assert_names(const char *method, const struct map_names *page, const char *const *code)
{
	size_t count = 0;
	for (; code[count] != NULL; count++) {
		if (count >= page->count || strcmp(code[count], page->text[count]) != 0) {
			fail_msg("%s: the code has '%s' where the page has '%s'", method,
				code[count], count < page->count ? page->text[count] : "nothing");
		}
	}
	if (count < page->count) {
		fail_msg("%s: the page has '%s', the code has not", method, page->text[count]);
	}
}

/* Of the map within a method's params. */
static const char *const *inner_names(const char *method)
{
	const struct {
		const char *method;
		const char *const *names;
	} known[] = {
		{"fetch", fetch_part_names},
		{"put", put_part_names},
		{"retrieve", query_names},
		{"score", query_names},
		{"tensor.put", tensor_put_part_names},
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(method, known[i].method) == 0) {
			return known[i].names;
		}
	}
	return no_names;
}

static void each_method_of_the_page_is_there_with_its_names(void **state)
{
	(void)state;
	char name[NAME_BYTES] = "";
	size_t count = 0;
	for (const char *at = first_method(read_page(protocol_path), name); at != NULL;
		at = next_method(at, name)) {
		const struct method *method = method_find(name, strlen(name));
		if (method == NULL) {
			fail_msg("%s: no such method", name);
			return;
		}
		struct map_names outer;
		struct map_names inner;
		read_params(at, &outer, &inner);
		assert_names(name, &outer, method->names);
		assert_names(name, &inner, inner_names(name));
		count++;
	}
	assert_int_equal(count, method_count);
}

static void each_method_is_on_the_page(void **state)
{
	(void)state;
	const char *page = read_page(protocol_path);
	for (size_t i = 0; i < method_count; i++) {
		char heading[NAME_BYTES + 8];
		snprintf(heading, sizeof heading, "\n### %s\n", method_table[i].name);
		if (strstr(page, heading) == NULL) {
			fail_msg("%s: not on the page", method_table[i].name);
		}
	}
}

static void methods_are_found_by_their_whole_name_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < method_count; i++) {
		const char *name = method_table[i].name;
		size_t len = strlen(name);
		char longer[NAME_BYTES + 1];
		snprintf(longer, sizeof longer, "%sx", name);
		assert_ptr_equal(method_find(name, len), &method_table[i]);
		assert_null(method_find(longer, len + 1));
		assert_null(method_find(name, len + 1)); /* with the NUL */
		const struct method *cut = method_find(name, len - 1);
		assert_true(cut == NULL || strlen(cut->name) == len - 1);
		if (i > 0) {
			assert_true(strcmp(method_table[i - 1].name, name) < 0);
		}
	}
	assert_null(method_find("", 0));
	assert_null(method_find(NULL, 0));
	assert_null(method_find("\0", 1));
	assert_null(method_find("zzz", 3));
	assert_null(method_find("\xff\xfe", 2));
}

/* The row of a role in the table below a heading: "| read | ..." or "| `read` | ...". */
static void find_row(const char *page, const char *heading, const char *role, char *row,
	size_t size)
{
	char plain[NAME_BYTES];
	char quoted[NAME_BYTES];
	snprintf(plain, sizeof plain, "\n| %s |", role);
	snprintf(quoted, sizeof quoted, "\n| `%s` |", role);
	const char *table = strstr(page, heading);
	assert_non_null(table);
	const char *at =
		strstr(table, plain) != NULL ? strstr(table, plain) : strstr(table, quoted);
	if (at == NULL) {
		fail_msg("no row of the role '%s' below '%s'", role, heading);
		return;
	}
	const size_t len = strcspn(at + 1, "\n");
	assert_true(len < size);
	memcpy(row, at + 1, len);
	row[len] = '\0';
}

static void assert_roles(const char *page, const char *heading)
{
	for (unsigned i = 0; i < ROLE_COUNT; i++) {
		char row[2048];
		find_row(page, heading, role_name(role_at(i)), row, sizeof row);
		for (size_t j = 0; j < method_count; j++) {
			char name[NAME_BYTES + 4];
			snprintf(name, sizeof name, "`%s`", method_table[j].name);
			if ((strstr(row, name) != NULL) != (method_table[j].role == role_at(i))) {
				fail_msg("%s wants the role '%s', the row below '%s' is: %s",
					method_table[j].name, role_name(method_table[j].role),
					heading, row);
			}
		}
	}
}

static void each_method_wants_one_role_as_the_pages_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < method_count; i++) {
		bool is_role = false;
		for (unsigned j = 0; j < ROLE_COUNT; j++) {
			is_role = is_role || method_table[i].role == role_at(j);
		}
		if (!is_role) {
			fail_msg("%s wants no role", method_table[i].name);
		}
	}
	assert_roles(read_page(protocol_path), "\n## Roles\n");
	assert_roles(read_page(operating_path), "\n## Who may do what\n");
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: test_method_table PROTOCOL.md OPERATING.md\n");
		return 2;
	}
	protocol_path = argv[1];
	operating_path = argv[2];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_method_of_the_page_is_there_with_its_names),
		cmocka_unit_test(each_method_is_on_the_page),
		cmocka_unit_test(methods_are_found_by_their_whole_name_only),
		cmocka_unit_test(each_method_wants_one_role_as_the_pages_say),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
