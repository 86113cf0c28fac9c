/* test_spec_history.c - what a row of a table with a history has, and that its spec makes the round trip. */
#include "schema/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void a_history_has_its_places_times_and_count_in_a_row(void **state)
{
	(void)state;
	static const struct {
		const char *dtype;
		uint64_t dim;
		uint64_t places;
		size_t bytes; /* vectors in whole words of 8 bytes, times, the count */
	} cases[] = {{"f32", 3, 3, 40 + 24 + 8}, {"f16", 3, 3, 24 + 24 + 8},
		{"bf16", 4, 1, 8 + 8 + 8}, {"f32", 1, 1024, 4096 + 8192 + 8}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct table_spec given;
		struct table_spec spec;
		struct wire_writer writer = {0};
		wire_write_map(&writer, 6);
		wire_write_str(&writer, "table");
		wire_write_str(&writer, "last@fm");
		wire_write_str(&writer, "entity");
		wire_write_str(&writer, "item");
		wire_write_str(&writer, "kind");
		wire_write_str(&writer, "cr");
		wire_write_str(&writer, "dim");
		wire_write_uint(&writer, cases[i].dim);
		wire_write_str(&writer, "dtype");
		wire_write_str(&writer, cases[i].dtype);
		wire_write_str(&writer, "history");
		wire_write_uint(&writer, cases[i].places);
		struct wire_message *message = NULL;
		assert_int_equal(wire_open(writer.data, writer.len, &message), STATUS_OK);
		assert_int_equal(spec_read(wire_root(message), SPEC_WANTED, &given, NULL),
			STATUS_OK);
		wire_close(message);
		assert_true(spec_takes_samples(&given));
		assert_false(spec_aggregates(&given));
		assert_int_equal(spec_row_bytes(&given), cases[i].bytes);
		assert_int_equal(spec_row_views(&given), cases[i].places);
		assert_int_equal(spec_elements(&given), cases[i].places * cases[i].dim);
		assert_int_equal(spec_sample_elements(&given), cases[i].dim);
		wire_writer_rewind(&writer, 0);
		wire_write_map(&writer, spec_fields(&given));
		spec_write(&writer, &given);
		assert_int_equal(wire_open(writer.data, writer.len, &message), STATUS_OK);
		assert_int_equal(spec_read(wire_root(message), SPEC_STORED, &spec, NULL),
			STATUS_OK);
		assert_memory_equal(&spec, &given, sizeof spec);
		wire_close(message);
		wire_writer_fini(&writer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_history_has_its_places_times_and_count_in_a_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
