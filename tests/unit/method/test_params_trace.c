/* test_params_trace.c - the trace, which every method takes. */
#include "daemon/method/call/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 and more";

/* Begins params with timeout_ms and a trace of so many bytes; 0: one that is a number. Returns the error's
 * text, "" for none. */
static const char *begin(const char *where, size_t len, unsigned times, struct error *err)
{
	static const char *const nothing[] = {NULL};
	struct wire_writer writer = {0};
	struct wire_message *message = NULL;
	struct params params;
	wire_write_map(&writer, 1 + times);
	wire_write_str(&writer, "timeout_ms");
	wire_write_uint(&writer, 5);
	for (unsigned i = 0; i < times; i++) {
		wire_write_str(&writer, "trace");
		if (len > 0) {
			wire_write_str_len(&writer, trace, len);
		} else {
			wire_write_uint(&writer, 7);
		}
	}
	assert_int_equal(wire_open(writer.data, writer.len, &message), STATUS_OK);
	err->text[0] = '\0';
	params_begin(&params, wire_root(message), where, nothing, err);
	wire_close(message);
	wire_writer_fini(&writer);
	assert_int_equal(params.status, err->text[0] == '\0' ? STATUS_OK : STATUS_BAD_REQUEST);
	return err->text;
}

static void every_method_takes_one(void **state)
{
	(void)state;
	struct error err;
	assert_string_equal(begin("", 55, 1, &err), "");
	assert_string_equal(begin("", 56, 1, &err), "trace: 56 bytes given, at most 55 allowed");
	assert_string_equal(begin("", 0, 1, &err), "trace: uint given, str expected");
	assert_string_equal(begin("", 55, 2, &err), "trace: given twice");
	/* No part of its params does. */
	assert_string_equal(begin("parts[1].", 55, 1, &err),
		"parts[1].timeout_ms: no such parameter, allowed: timeout_ms, trace");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_method_takes_one)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
