/* test_params.c - an argument is what its method expects, or the error says what it is. */
#include "daemon/method/call/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/limits.h"
#include "schema/wire.h"

static const char *const names[] = {"release", "table", "n", "flag", "rows", "parts", "dtype",
	"any", "times", "any_time", NULL};

/* One map as a message: what a test writes, it reads. */
struct message {
	struct wire_writer writer;
	struct wire_message *read;
	struct params params;
	struct error err;
};

static void message_init(struct message *message)
{
	memset(message, 0, sizeof *message);
}

static void message_read(struct message *message, const char *where)
{
	struct wire_writer *writer = &message->writer;
	assert_int_equal(writer->status, STATUS_OK);
	assert_int_equal(wire_open(writer->data, writer->len, &message->read), STATUS_OK);
	params_begin(&message->params, wire_root(message->read), where, names, &message->err);
}

static void message_fini(struct message *message)
{
	wire_close(message->read);
	wire_writer_fini(&message->writer);
}

static void assert_failed(const struct message *message, const char *text)
{
	assert_int_equal(message->params.status, STATUS_BAD_REQUEST);
	assert_int_equal(message->err.status, STATUS_BAD_REQUEST);
	assert_string_equal(message->err.text, text);
}

static void absent_params_are_an_empty_map(void **state)
{
	(void)state;
	struct params params;
	struct error err;
	const struct wire_value absent = {0};
	params_begin(&params, absent, "", names, &err);
	assert_int_equal(params.status, STATUS_OK);
	assert_int_equal(params_uint_or(&params, "n", 7), 7);
	assert_null(params_str(&params, "table", PARAM_OPTIONAL).data);
	assert_null(params_bin(&params, "rows", PARAM_OPTIONAL).data);
	assert_false(params_flag(&params, "flag"));
	assert_int_equal(params_dtype(&params, DTYPE_BF16), DTYPE_BF16);
	assert_int_equal(params.status, STATUS_OK);
	params_uint(&params, "n");
	assert_int_equal(params.status, STATUS_BAD_REQUEST);
	assert_string_equal(err.text, "n: missing");
}

static void what_is_no_map_is_named(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	wire_write_array(&message.writer, 1);
	wire_write_nil(&message.writer);
	message_read(&message, "");
	assert_failed(&message, "params: array given, map expected");
	message_fini(&message);

	message_init(&message);
	wire_write_nil(&message.writer);
	message_read(&message, "parts[3].");
	assert_failed(&message, "parts[3]: nil given, map expected");
	message_fini(&message);
}

static void a_name_that_is_no_string_is_named(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	wire_write_map(&message.writer, 1);
	wire_write_uint(&message.writer, 1);
	wire_write_uint(&message.writer, 1);
	message_read(&message, "");
	assert_failed(&message, "params: a name is uint given, str expected");
	message_fini(&message);
}

static void an_unknown_name_is_told_what_is_allowed(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	wire_write_map(&message.writer, 2);
	wire_write_str(&message.writer, "table");
	wire_write_str(&message.writer, "ur");
	wire_write_str(&message.writer, "tabel\n");
	wire_write_str(&message.writer, "ur");
	message_read(&message, "parts[0].");
	assert_failed(&message,
		"parts[0].tabel?: no such parameter, allowed: "
		"release, table, n, flag, rows, parts, dtype, any, times, any_time");
	message_fini(&message);
}

static void a_name_given_twice_is_refused(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	wire_write_map(&message.writer, 3);
	wire_write_str(&message.writer, "any");
	wire_write_nil(&message.writer);
	wire_write_str(&message.writer, "table");
	wire_write_str(&message.writer, "ur");
	wire_write_bin(&message.writer, "any", 3);
	wire_write_uint(&message.writer, 1);
	message_read(&message, "parts[0].");
	assert_failed(&message, "parts[0].any: given twice");
	message_fini(&message);
}

static void an_empty_array_is_an_empty_map(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	wire_write_array(&message.writer, 0);
	message_read(&message, "");
	assert_int_equal(message.params.status, STATUS_OK);
	assert_int_equal(params_uint_or(&message.params, "n", 7), 7);
	params_uint(&message.params, "n");
	assert_failed(&message, "n: missing");
	message_fini(&message);
}

static void nil_is_not_given(void **state)
{
	(void)state;
	for (size_t i = 0; names[i] != NULL; i++) {
		struct message message;
		message_init(&message);
		wire_write_map(&message.writer, 1);
		wire_write_str(&message.writer, names[i]);
		wire_write_nil(&message.writer);
		message_read(&message, "");
		struct params *params = &message.params;
		assert_null(params_value(params, names[i], PARAM_OPTIONAL).object);
		assert_null(params_str(params, names[i], PARAM_OPTIONAL).data);
		assert_null(params_column(params, names[i], 8));
		assert_false(params_flag(params, names[i]));
		assert_int_equal(params_uint_or(params, names[i], 3), 3);
		assert_true(params_float_or(params, names[i], 0.25) == 0.25);
		assert_int_equal(params_dtype(params, DTYPE_F16), DTYPE_F16);
		assert_int_equal(params->status, STATUS_OK);
		params_bin(params, names[i], PARAM_REQUIRED);
		assert_non_null(strstr(message.err.text, ": missing"));
		message_fini(&message);
	}
}

static void values_come_in_the_types_of_other_encoders(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	wire_write_map(&message.writer, 2);
	wire_write_str(&message.writer, "n");
	wire_write_float(&message.writer, 4294967296.0);
	wire_write_str(&message.writer, "rows");
	wire_write_str_len(&message.writer, "\xff\0\xfe", 3);
	message_read(&message, "");
	assert_int_equal(params_uint(&message.params, "n"), 4294967296);
	assert_memory_equal(params_column(&message.params, "rows", 3), "\xff\0\xfe", 3);
	assert_int_equal(message.params.status, STATUS_OK);
	message_fini(&message);
}

static void times_are_of_now_unless_they_are_meant(void **state)
{
	(void)state;
	const int64_t times[2] = {7, LIMIT_TIME_MS};
	for (unsigned meant = 0; meant < 2; meant++) {
		struct message message;
		message_init(&message);
		wire_write_map(&message.writer, 2);
		wire_write_str(&message.writer, "times");
		wire_write_bin(&message.writer, times, sizeof times);
		wire_write_str(&message.writer, "any_time");
		wire_write_bool(&message.writer, meant == 1);
		message_read(&message, "parts[1].");
		struct params *params = &message.params;
		const uint8_t *column = params_column(params, "times", sizeof times);
		params_times(params, NULL, 2, "row", 1000);
		params_times(params, column, 1, "row", 1000);
		assert_int_equal(params->status, STATUS_OK);
		params_times(params, column, 2, "row", 1000);
		if (meant == 1) {
			assert_int_equal(params->status, STATUS_OK);
		} else {
			assert_failed(&message,
				"parts[1].times: row 1 has 16725225600000, 0..3601000 allowed "
				"(Unix milliseconds, up to an hour ahead of the clock; any_time "
				"takes later ones)");
		}
		message_fini(&message);
	}
}

static void a_method_without_params_allows_nothing(void **state)
{
	(void)state;
	static const char *const nothing[] = {NULL};
	struct message message;
	message_init(&message);
	wire_write_map(&message.writer, 1);
	wire_write_str(&message.writer, "table");
	wire_write_nil(&message.writer);
	message_read(&message, "");
	assert_int_equal(message.params.status, STATUS_OK);
	params_begin(&message.params, wire_root(message.read), "", nothing, &message.err);
	assert_failed(&message, "table: no such parameter, allowed: timeout_ms, trace");
	message_fini(&message);
}

static void values_come_as_they_were_given(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	struct wire_writer *writer = &message.writer;
	wire_write_map(writer, 8);
	wire_write_str(writer, "release");
	wire_write_str(writer, "r1");
	wire_write_str(writer, "table");
	wire_write_bin(writer, "cr@mlp2", 7);
	wire_write_str(writer, "n");
	wire_write_uint(writer, UINT64_MAX);
	wire_write_str(writer, "flag");
	wire_write_bool(writer, true);
	wire_write_str(writer, "rows");
	wire_write_bin(writer, "\0\1\2\3", 4);
	wire_write_bin(writer, "parts", 5); /* a name may be a bin, too */
	wire_write_array(writer, 2);
	wire_write_nil(writer);
	wire_write_nil(writer);
	wire_write_str(writer, "dtype");
	wire_write_str(writer, "f16");
	wire_write_str(writer, "any");
	wire_write_float(writer, 0.5);
	message_read(&message, "");

	struct params *params = &message.params;
	struct name release;
	struct table_name table;
	params_name(params, "release", PARAM_REQUIRED, &release);
	params_table(params, &table);
	assert_string_equal(release.text, "r1");
	assert_string_equal(table.text, "cr@mlp2");
	assert_true(params_uint(params, "n") == UINT64_MAX);
	assert_true(params_uint_or(params, "n", 1) == UINT64_MAX);
	assert_true(params_flag(params, "flag"));
	assert_int_equal(params_bin(params, "rows", PARAM_REQUIRED).len, 4);
	assert_memory_equal(params_column(params, "rows", 4), "\0\1\2\3", 4);
	assert_int_equal(wire_size(params_array(params, "parts")), 2);
	assert_int_equal(params_dtype(params, DTYPE_F32), DTYPE_F16);
	assert_int_equal(wire_type(params_value(params, "any", PARAM_REQUIRED)), WIRE_FLOAT);
	assert_int_equal(params->status, STATUS_OK);

	params_column(params, "rows", 8);
	assert_failed(&message, "rows: 4 bytes given, 8 expected");
	message_fini(&message);
}

static void empty_is_not_missing(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	wire_write_map(&message.writer, 2);
	wire_write_str(&message.writer, "rows");
	wire_write_bin(&message.writer, "", 0);
	wire_write_str(&message.writer, "table");
	wire_write_str(&message.writer, "");
	message_read(&message, "");
	assert_non_null(params_bin(&message.params, "rows", PARAM_REQUIRED).data);
	assert_non_null(params_column(&message.params, "rows", 0));
	assert_non_null(params_str(&message.params, "table", PARAM_REQUIRED).data);
	assert_int_equal(message.params.status, STATUS_OK);
	struct table_name table;
	params_table(&message.params, &table);
	assert_int_equal(message.params.status, STATUS_BAD_REQUEST);
	message_fini(&message);
}

static void read_release(struct params *params)
{
	struct name release;
	params_name(params, "release", PARAM_OPTIONAL, &release);
	assert_string_equal(release.text, "");
}

static void read_table(struct params *params)
{
	struct table_name table;
	params_table(params, &table);
	assert_string_equal(table.text, "");
}

static void read_n(struct params *params)
{
	assert_int_equal(params_uint(params, "n"), 0);
}

static void read_n_or(struct params *params)
{
	params_uint_or(params, "n", 3);
}

static void read_flag(struct params *params)
{
	assert_false(params_flag(params, "flag"));
}

static void read_rows(struct params *params)
{
	assert_null(params_bin(params, "rows", PARAM_REQUIRED).data);
}

static void read_column(struct params *params)
{
	assert_null(params_column(params, "rows", 0));
}

static void read_parts(struct params *params)
{
	params_array(params, "parts");
}

static void read_dtype(struct params *params)
{
	params_dtype(params, DTYPE_F32);
}

static const struct wrong_case {
	const char *name;
	void (*read)(struct params *params);
	const char *expected;
} wrong_cases[] = {
	{"release", read_release, "str"},
	{"table", read_table, "str"},
	{"n", read_n, "uint"},
	{"n", read_n_or, "uint"},
	{"flag", read_flag, "bool"},
	{"rows", read_rows, "bin"},
	{"rows", read_column, "bin"},
	{"parts", read_parts, "array"},
	{"dtype", read_dtype, "str"},
};

/* Writes a value that is of none of the expected types, in turn. */
static const char *write_wrong(struct wire_writer *writer, unsigned which)
{
	switch (which) {
	case 0:
		wire_write_raw(writer, "\xd4\x05\x01", 3);
		return "ext";
	case 1:
		wire_write_int(writer, -1);
		return "int";
	case 2:
		wire_write_float(writer, 1.5);
		return "float";
	default:
		wire_write_map(writer, 0);
		return "map";
	}
}

static void each_wrong_type_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrong_cases / sizeof wrong_cases[0]; i++) {
		const struct wrong_case *wrong = &wrong_cases[i];
		for (unsigned which = 0; which < 4; which++) {
			struct message message;
			message_init(&message);
			wire_write_map(&message.writer, 1);
			wire_write_str(&message.writer, wrong->name);
			const char *given = write_wrong(&message.writer, which);
			message_read(&message, "");
			wrong->read(&message.params);
			char text[100];
			snprintf(text, sizeof text, "%s: %s given, %s expected", wrong->name, given,
				wrong->expected);
			assert_failed(&message, text);
			message_fini(&message);
		}
	}
}

static void the_first_failure_stays(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	wire_write_map(&message.writer, 2);
	wire_write_str(&message.writer, "n");
	wire_write_uint(&message.writer, 5);
	wire_write_str(&message.writer, "table");
	wire_write_str(&message.writer, "a/b");
	message_read(&message, "parts[1].");
	struct table_name table;
	params_table(&message.params, &table);
	assert_int_equal(message.params.status, STATUS_BAD_REQUEST);
	assert_non_null(strstr(message.err.text, "parts[1].table: 'a/b' given"));
	assert_int_equal(params_uint(&message.params, "n"), 0);
	params_array(&message.params, "parts");
	params_fail(&message.params, STATUS_TOO_LARGE, "n", "later");
	assert_int_equal(message.params.status, STATUS_BAD_REQUEST);
	assert_non_null(strstr(message.err.text, "parts[1].table: 'a/b' given"));
	message_fini(&message);
}

static void names_of_people_are_checked(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", ".r1", "-r", "a/b", "a b", "../r", "r\xc3\xa9",
		"0123456789012345678901234567890123456789012345678901234567890123x"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct message message;
		message_init(&message);
		wire_write_map(&message.writer, 1);
		wire_write_str(&message.writer, "release");
		wire_write_str(&message.writer, wrong[i]);
		message_read(&message, "");
		read_release(&message.params);
		assert_int_equal(message.params.status, STATUS_BAD_REQUEST);
		assert_int_equal(strncmp(message.err.text, "release: ", 9), 0);
		message_fini(&message);
	}
}

static void an_unknown_dtype_is_told_which_there_are(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	wire_write_map(&message.writer, 1);
	wire_write_str(&message.writer, "dtype");
	wire_write_str(&message.writer, "f64");
	message_read(&message, "");
	params_dtype(&message.params, DTYPE_F32);
	assert_failed(&message, "dtype: 'f64' given, f32, f16, bf16, i8 or bit expected");
	message_fini(&message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absent_params_are_an_empty_map),
		cmocka_unit_test(what_is_no_map_is_named),
		cmocka_unit_test(a_name_that_is_no_string_is_named),
		cmocka_unit_test(an_unknown_name_is_told_what_is_allowed),
		cmocka_unit_test(a_name_given_twice_is_refused),
		cmocka_unit_test(an_empty_array_is_an_empty_map),
		cmocka_unit_test(nil_is_not_given),
		cmocka_unit_test(values_come_in_the_types_of_other_encoders),
		cmocka_unit_test(times_are_of_now_unless_they_are_meant),
		cmocka_unit_test(a_method_without_params_allows_nothing),
		cmocka_unit_test(values_come_as_they_were_given),
		cmocka_unit_test(empty_is_not_missing),
		cmocka_unit_test(each_wrong_type_is_named),
		cmocka_unit_test(the_first_failure_stays),
		cmocka_unit_test(names_of_people_are_checked),
		cmocka_unit_test(an_unknown_dtype_is_told_which_there_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
