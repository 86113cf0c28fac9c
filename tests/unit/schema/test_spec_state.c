/* test_spec_state.c - how exactly an aggregating table keeps its sums. */
#include "schema/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* Reads the spec of a table of 64 elements that says this state; NULL: it says none. */
static enum status read_spec(enum spec_origin origin, const char *kind, const char *state,
	struct table_spec *out, struct error *err)
{
	const char *const words[][2] = {{"table", "t@l"}, {"entity", "user"}, {"kind", kind},
		{"state", state}};
	struct wire_writer writer = {0};
	struct wire_message *message = NULL;
	wire_write_map(&writer, state == NULL ? 4 : 5);
	for (size_t i = 0; i < (state == NULL ? 3 : 4); i++) {
		wire_write_str(&writer, words[i][0]);
		wire_write_str(&writer, words[i][1]);
	}
	wire_write_str(&writer, "dim");
	wire_write_uint(&writer, 64);
	assert_int_equal(wire_open(writer.data, writer.len, &message), STATUS_OK);
	const enum status status = spec_read(wire_root(message), origin, out, err);
	wire_close(message);
	wire_writer_fini(&writer);
	return status;
}

static void sums_are_kept_in_two_parts_unless_it_is_said(void **state)
{
	(void)state;
	struct table_spec spec;
	assert_int_equal(read_spec(SPEC_WANTED, "cr", NULL, &spec, NULL), STATUS_OK);
	assert_int_equal(spec.state, STATE_F32X2);
	assert_int_equal(spec_row_bytes(&spec), 64 * 4 + 8);
	assert_int_equal(spec_stored_bytes(&spec), 64 * 4 + 8 + 64 * 4);
	assert_int_equal(read_spec(SPEC_WANTED, "cr", "f32", &spec, NULL), STATUS_OK);
	assert_int_equal(spec.state, STATE_F32);
	assert_int_equal(spec_stored_bytes(&spec), 65 * 4);
	assert_int_equal(read_spec(SPEC_WANTED, "ur", NULL, &spec, NULL), STATUS_OK);
	assert_int_equal(spec.state, STATE_NONE);
	assert_int_equal(spec_stored_bytes(&spec), 64 * 4);
}

/* What was written before there was a choice is in f32. */
static void a_stored_spec_that_says_none_is_f32(void **state)
{
	(void)state;
	struct table_spec spec;
	assert_int_equal(read_spec(SPEC_STORED, "cr", NULL, &spec, NULL), STATUS_OK);
	assert_int_equal(spec.state, STATE_F32);
	assert_int_equal(read_spec(SPEC_STORED, "cr", "f32x2", &spec, NULL), STATUS_OK);
	assert_int_equal(spec.state, STATE_F32X2);
}

static void other_states_are_refused(void **state)
{
	(void)state;
	struct table_spec spec;
	struct error err;
	assert_int_equal(read_spec(SPEC_WANTED, "cr", "f64", &spec, &err), STATUS_BAD_REQUEST);
	assert_string_equal(err.text, "state: 'f64' given, one of f32, f32x2 allowed");
	assert_int_equal(read_spec(SPEC_WANTED, "ur", "f32", &spec, &err), STATUS_BAD_REQUEST);
	assert_string_equal(err.text, "state: given, allowed for kind cr only, not for ur");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_kept_in_two_parts_unless_it_is_said),
		cmocka_unit_test(a_stored_spec_that_says_none_is_f32),
		cmocka_unit_test(other_states_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
