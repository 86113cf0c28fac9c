/* test_wire_write.c - a writer keeps its limit, and says once when it cannot go on. */
#include "schema/wire.h"

#include "schema/limits.h"
#include "tests/unit/alloc_fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Opens what a writer holds; skims it on the way. */
static struct wire_message *open_written(const struct wire_writer *writer)
{
	assert_int_equal(writer->status, STATUS_OK);
	struct wire_skim skim = {0};
	assert_int_equal(wire_skim(&skim, writer->data, writer->len), STATUS_OK);
	assert_int_equal(skim.at, writer->len);
	struct wire_message *message = NULL;
	assert_int_equal(wire_open(writer->data, writer->len, &message), STATUS_OK);
	return message;
}

static void a_limit_is_kept_to_the_byte(void **state)
{
	(void)state;
	/* 1000 bytes in all: an array of one bin of 996. */
	for (size_t limit = 990; limit < 1010; limit++) {
		struct wire_writer writer = {.limit = limit};
		wire_write_array(&writer, 1);
		uint8_t *space = wire_write_bin_space(&writer, 996);
		assert_int_equal(space != NULL, limit >= 1000);
		assert_int_equal(writer.status, limit >= 1000 ? STATUS_OK : STATUS_TOO_LARGE);
		assert_true(writer.len <= limit && writer.cap <= limit);
		wire_writer_fini(&writer);
	}
	struct wire_writer writer = {0};
	wire_writer_reserve(&writer, (size_t)LIMIT_MESSAGE_BYTES + 1);
	assert_int_equal(writer.status, STATUS_TOO_LARGE);
	wire_writer_fini(&writer);
}

static void counts_that_no_head_can_hold_are_too_large(void **state)
{
	(void)state;
	static void (*const begin[])(struct wire_writer *, size_t) = {wire_write_array,
		wire_write_map};
	for (size_t i = 0; i < 2; i++) {
		struct wire_writer writer = {.limit = SIZE_MAX};
		begin[i](&writer, UINT32_MAX);
		assert_int_equal(writer.status, STATUS_OK);
		begin[i](&writer, (size_t)UINT32_MAX + 1);
		assert_int_equal(writer.status, STATUS_TOO_LARGE);
		wire_writer_fini(&writer);
	}
	struct wire_writer writer = {.limit = SIZE_MAX};
	assert_null(wire_write_bin_space(&writer, (size_t)UINT32_MAX + 1));
	assert_int_equal(writer.status, STATUS_TOO_LARGE);
	wire_writer_fini(&writer);
}

static void after_a_failure_nothing_is_written(void **state)
{
	(void)state;
	struct wire_writer writer = {.limit = 4};
	wire_write_str(&writer, "abc");
	size_t whole = writer.len;
	wire_write_str(&writer, "abc");
	assert_int_equal(writer.status, STATUS_TOO_LARGE);
	size_t len = writer.len;
	wire_write_nil(&writer);
	wire_write_bool(&writer, true);
	wire_write_uint(&writer, 1);
	wire_write_int(&writer, -1);
	wire_write_float(&writer, 1);
	wire_write_str(&writer, "");
	wire_write_bin(&writer, "", 0);
	wire_write_array(&writer, 0);
	wire_write_map(&writer, 0);
	wire_write_raw(&writer, "\xc0", 1);
	wire_writer_reserve(&writer, 1);
	assert_null(wire_write_bin_space(&writer, 0));
	assert_int_equal(writer.len, len);
	assert_int_equal(writer.status, STATUS_TOO_LARGE);
	wire_writer_rewind(&writer, whole);
	assert_int_equal(writer.status, STATUS_OK);
	struct wire_message *message = open_written(&writer);
	wire_close(message);
	wire_writer_clear(&writer);
	assert_int_equal(writer.len, 0);
	assert_non_null(writer.data);
	wire_writer_fini(&writer);
	assert_null(writer.data);
	wire_writer_fini(&writer);
}

static void what_is_reserved_does_not_move(void **state)
{
	(void)state;
	struct wire_writer writer = {0};
	wire_writer_reserve(&writer, 100000);
	const uint8_t *data = writer.data;
	for (size_t i = 0; i < 100000; i++) {
		wire_write_nil(&writer);
	}
	assert_ptr_equal(writer.data, data);
	wire_writer_fini(&writer);
}

static void raw_messages_are_copied_into_place(void **state)
{
	(void)state;
	struct wire_writer writer = {0};
	wire_write_array(&writer, 2);
	wire_write_raw(&writer, "\x91\x05", 2);
	wire_write_raw(&writer, "\xc0", 1);
	wire_write_raw(&writer, NULL, 0);
	struct wire_message *message = open_written(&writer);
	uint64_t number = 0;
	assert_true(wire_uint(wire_item(wire_item(wire_root(message), 0), 0), &number));
	assert_int_equal(number, 5);
	wire_close(message);
	wire_writer_fini(&writer);
}

static bool write_much(void *arg)
{
	(void)arg;
	struct wire_writer writer = {0};
	for (unsigned i = 0; i < 2000; i++) {
		wire_write_uint(&writer, i);
	}
	bool written = writer.status == STATUS_OK;
	assert_true(written || writer.status == STATUS_NO_MEMORY);
	wire_writer_fini(&writer);
	return written;
}

static void refused_memory_is_reported(void **state)
{
	(void)state;
	assert_true(alloc_fail_each(write_much, NULL) > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_limit_is_kept_to_the_byte),
		cmocka_unit_test(counts_that_no_head_can_hold_are_too_large),
		cmocka_unit_test(after_a_failure_nothing_is_written),
		cmocka_unit_test(what_is_reserved_does_not_move),
		cmocka_unit_test(raw_messages_are_copied_into_place),
		cmocka_unit_test(refused_memory_is_reported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
