/* test_rpc.c - envelopes are read and written, and wrong ones are told apart. */
#include "schema/rpc_head.h"

#include "schema/limits.h"
#include "tests/unit/alloc_fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct wire_message *open_message(const void *data, size_t len)
{
	struct wire_message *message = NULL;
	assert_int_equal(wire_open(data, len, &message), STATUS_OK);
	return message;
}

static bool is_text(struct wire_bytes bytes, const char *text)
{
	return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

static void a_request_comes_back(void **state)
{
	(void)state;
	struct wire_writer writer = {0};
	rpc_write_request(&writer, UINT32_MAX, "table.show");
	wire_write_map(&writer, 1);
	wire_write_str(&writer, "table");
	wire_write_str(&writer, "ur");
	struct wire_message *message = open_message(writer.data, writer.len);
	struct rpc_envelope envelope;
	assert_int_equal(rpc_read(wire_root(message), &envelope, NULL), STATUS_OK);
	assert_int_equal(envelope.type, RPC_REQUEST);
	assert_int_equal(envelope.msgid, UINT32_MAX);
	assert_true(is_text(envelope.method, "table.show"));
	assert_int_equal(wire_size(envelope.params), 1);
	struct wire_bytes table = {0};
	assert_true(wire_str(wire_get(envelope.params, "table"), &table));
	assert_true(is_text(table, "ur"));
	wire_close(message);
	wire_writer_fini(&writer);
}

static void params_without_names_are_none(void **state)
{
	(void)state;
	/* nil, and the empty array that languages without an empty map write */
	static const char *const written[] = {"\x94\x00\x07\xa1p\x91\xc0",
		"\x94\x00\x07\xa1p\x91\x90"};
	for (size_t i = 0; i < 2; i++) {
		struct wire_message *message = open_message(written[i], 7);
		struct rpc_envelope envelope;
		assert_int_equal(rpc_read(wire_root(message), &envelope, NULL), STATUS_OK);
		assert_int_equal(wire_type(envelope.params), WIRE_ABSENT);
		wire_close(message);
	}
}

static void params_may_be_empty(void **state)
{
	(void)state;
	struct wire_message *message = open_message("\x94\x00\x07\xc4\x04ping\x90", 10);
	struct rpc_envelope envelope;
	assert_int_equal(rpc_read(wire_root(message), &envelope, NULL), STATUS_OK);
	assert_int_equal(envelope.msgid, 7);
	assert_true(is_text(envelope.method, "ping")); /* a bin, as old encoders write it */
	assert_int_equal(wire_type(envelope.params), WIRE_ABSENT);
	wire_close(message);
}

static void a_notification_has_no_msgid(void **state)
{
	(void)state;
	struct wire_message *message = open_message("\x93\x02\xa4ping\x91\x80", 9);
	struct rpc_envelope envelope;
	assert_int_equal(rpc_read(wire_root(message), &envelope, NULL), STATUS_OK);
	assert_int_equal(envelope.type, RPC_NOTIFICATION);
	assert_int_equal(envelope.msgid, 0);
	assert_true(is_text(envelope.method, "ping"));
	assert_int_equal(wire_type(envelope.params), WIRE_MAP);
	wire_close(message);
}

static void a_response_comes_back(void **state)
{
	(void)state;
	struct wire_writer writer = {0};
	rpc_write_response(&writer, 3);
	wire_write_uint(&writer, 11);
	struct wire_message *message = open_message(writer.data, writer.len);
	struct rpc_envelope envelope;
	uint64_t number = 0;
	assert_int_equal(rpc_read(wire_root(message), &envelope, NULL), STATUS_OK);
	assert_int_equal(envelope.type, RPC_RESPONSE);
	assert_int_equal(envelope.msgid, 3);
	assert_false(envelope.failed);
	assert_true(wire_uint(envelope.result, &number) && number == 11);
	wire_close(message);
	wire_writer_fini(&writer);
}

static void every_error_comes_back(void **state)
{
	(void)state;
	for (int status = STATUS_OK + 1; status < STATUS_COUNT; status++) {
		struct error err;
		error_set(&err, (enum status)status, "keys: 3 given: too many");
		struct wire_writer writer = {0};
		rpc_write_error(&writer, 5, &err);
		struct wire_message *message = open_message(writer.data, writer.len);
		struct rpc_envelope envelope;
		assert_int_equal(rpc_read(wire_root(message), &envelope, NULL), STATUS_OK);
		assert_true(envelope.failed);
		assert_int_equal(envelope.msgid, 5);
		assert_int_equal(wire_type(envelope.result), WIRE_NIL);
		struct error back;
		rpc_split_error(envelope.error, &back);
		assert_int_equal(back.status, status);
		assert_string_equal(back.text, err.text);
		wire_close(message);
		wire_writer_fini(&writer);
	}
}

static void the_longest_error_comes_back(void **state)
{
	(void)state;
	struct error err = {.status = STATUS_BAD_REQUEST};
	memset(err.text, 'x', sizeof err.text - 1);
	struct wire_writer writer = {0};
	rpc_write_error(&writer, 5, &err);
	struct wire_message *message = open_message(writer.data, writer.len);
	struct rpc_envelope envelope;
	assert_int_equal(rpc_read(wire_root(message), &envelope, NULL), STATUS_OK);
	struct error back;
	rpc_split_error(envelope.error, &back);
	assert_string_equal(back.text, err.text);
	wire_close(message);
	wire_writer_fini(&writer);
}

static void errors_of_strangers_are_internal(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum status status;
		const char *shown;
	} cases[] = {
		{"", STATUS_INTERNAL, ""},
		{"no colon", STATUS_INTERNAL, "no colon"},
		{"NOT_FOUND", STATUS_INTERNAL, "NOT_FOUND"},
		{"NOT_FOUND:", STATUS_INTERNAL, "NOT_FOUND:"},
		{"NOT_FOUND:x", STATUS_INTERNAL, "NOT_FOUND:x"},
		{"NOT_FOUND: ", STATUS_NOT_FOUND, ""},
		{"INTERNAL: oops", STATUS_INTERNAL, "oops"},
		{"OK: fine", STATUS_INTERNAL, "OK: fine"},
		{"WHO_KNOWS: a: b", STATUS_INTERNAL, "WHO_KNOWS: a: b"},
		{": x", STATUS_INTERNAL, ": x"},
		{"BUSY: a\x1b[2Jb\n", STATUS_BUSY, "a?[2Jb?"},
		{"a text that is long before it comes to NOT_FOUND: x", STATUS_INTERNAL,
			"a text that is long before it comes to NOT_FOUND: x"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error out;
		rpc_split_error((struct wire_bytes){(const uint8_t *)cases[i].text,
					strlen(cases[i].text)},
			&out);
		assert_int_equal(out.status, cases[i].status);
		assert_string_equal(out.text, cases[i].shown);
	}
	struct error out;
	rpc_split_error((struct wire_bytes){(const uint8_t *)"BUSY: a\0b", 9}, &out);
	assert_string_equal(out.text, "a?b");
	uint8_t endless[4096];
	memset(endless, 'x', sizeof endless);
	rpc_split_error((struct wire_bytes){endless, sizeof endless}, &out);
	assert_int_equal(strlen(out.text), ERROR_TEXT_BYTES - 1);
}

static void what_is_no_envelope_breaks_the_stream(void **state)
{
	(void)state;
	static const struct {
		const char *data;
		size_t len;
	} cases[] = {
		{"\xc0", 1},                                   /* nil */
		{"\x80", 1},                                   /* a map */
		{"\x90", 1},                                   /* empty */
		{"\x94\x03\x01\xa1p\x90", 6},                  /* of type 3 */
		{"\x94\xff\x01\xa1p\x90", 6},                  /* of type -1 */
		{"\x94\xa1 \x01\xa1p\x90", 7},                 /* of type " " */
		{"\x91\x00", 2},                               /* no msgid */
		{"\x94\x00\xff\xa1p\x90", 6},                  /* msgid -1 */
		{"\x94\x00\xc0\xa1p\x90", 6},                  /* msgid nil */
		{"\x94\x00\xcf\0\0\0\1\0\0\0\0\xa1p\x90", 14}, /* msgid 2^32 */
		{"\x93\x01\x05\xc0", 4},                       /* a response without its result */
		{"\x95\x01\x05\xc0\xc0\xc0", 6},               /* one with more */
		{"\x94\x01\x05\x07\xc0", 5},                   /* whose error is a number */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wire_message *message = open_message(cases[i].data, cases[i].len);
		struct rpc_envelope envelope;
		struct error err;
		assert_int_equal(rpc_read(wire_root(message), &envelope, &err), STATUS_PROTOCOL);
		assert_true(strlen(err.text) > 0);
		wire_close(message);
	}
}

static void a_wrong_request_can_be_answered(void **state)
{
	(void)state;
	static const struct {
		const char *data;
		size_t len;
		const char *text;
	} cases[] = {
		{"\x92\x00\x05", 3, "envelope: 2 items given, 4 allowed"},
		{"\x95\x00\x05\xa1p\x90\xc0", 7, "envelope: 5 items given, 4 allowed"},
		{"\x94\x00\x05\x01\x90", 5, "method: uint given, str allowed"},
		{"\x94\x00\x05\xa0\x90", 5, "method: a name of 0 bytes given, 1..64 allowed"},
		{"\x94\x00\x05\xa1p\x80", 6,
			"params: map given, an array of one map, or an empty one, allowed"},
		{"\x94\x00\x05\xa1p\x92\x80\x80", 8,
			"params: an array of 2 given, an array of one map, or an empty one, allowed"},
		{"\x94\x00\x05\xa1p\x91\xc3", 7,
			"params: an array of one bool given, an array of one map, or an empty one, "
			"allowed"},
		{"\x94\x00\x05\xa1p\x91\x91\xc0", 8,
			"params: an array of one array given, an array of one map, or an empty one, "
			"allowed"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wire_message *message = open_message(cases[i].data, cases[i].len);
		struct rpc_envelope envelope;
		struct error err;
		assert_int_equal(rpc_read(wire_root(message), &envelope, &err), STATUS_BAD_REQUEST);
		assert_int_equal(envelope.type, RPC_REQUEST);
		assert_int_equal(envelope.msgid, 5);
		assert_int_equal(envelope.method.len, 0);
		assert_int_equal(wire_type(envelope.params), WIRE_ABSENT);
		assert_string_equal(err.text, cases[i].text);
		wire_close(message);
	}
}

static void a_wrong_notification_is_known_as_one(void **state)
{
	(void)state;
	struct wire_message *message = open_message("\x93\x02\x05\x90", 4);
	struct rpc_envelope envelope;
	assert_int_equal(rpc_read(wire_root(message), &envelope, NULL), STATUS_BAD_REQUEST);
	assert_int_equal(envelope.type, RPC_NOTIFICATION);
	wire_close(message);
}

static void methods_have_a_longest_name(void **state)
{
	(void)state;
	for (unsigned len = LIMIT_METHOD_BYTES - 1; len <= LIMIT_METHOD_BYTES + 1; len++) {
		char method[LIMIT_METHOD_BYTES + 2] = {0};
		memset(method, 'm', len);
		struct wire_writer writer = {0};
		rpc_write_request(&writer, 1, method);
		wire_write_map(&writer, 0);
		struct wire_message *message = open_message(writer.data, writer.len);
		struct rpc_envelope envelope;
		assert_int_equal(rpc_read(wire_root(message), &envelope, NULL),
			len <= LIMIT_METHOD_BYTES ? STATUS_OK : STATUS_BAD_REQUEST);
		wire_close(message);
		wire_writer_fini(&writer);
	}
}

static bool write_all(void *arg)
{
	struct error err;
	error_set(&err, STATUS_BUSY, "later");
	struct wire_writer writer = {0};
	rpc_write_request(&writer, 1, "ping");
	rpc_write_response(&writer, 1);
	for (unsigned i = 0; i < 100; i++) {
		rpc_write_error(&writer, 1, &err);
	}
	*(enum status *)arg = writer.status;
	wire_writer_fini(&writer);
	return *(enum status *)arg == STATUS_OK;
}

static void refused_memory_is_reported(void **state)
{
	(void)state;
	enum status status = STATUS_OK;
	assert_true(alloc_fail_each(write_all, &status) > 1);
	alloc_fail_arm(1);
	assert_false(write_all(&status));
	assert_true(alloc_fail_disarm());
	assert_int_equal(status, STATUS_NO_MEMORY);
}

static void a_flag_is_found_without_a_parse(void **state)
{
	static const struct {
		const char *data; /* a request */
		size_t len;
		bool is_found;
		bool value;
	} cases[] = {
		{"\x94\x00\x05\xa1m\x91\x81\xa1t\xc3", 10, true, true},
		{"\x94\x00\x05\xa1m\x91\x82\xa1x\x01\xa1t\xc2", 13, true, false},
		{"\x94\x00\x05\xa1m\x91\x81\xa1t\x01", 10, false, false},
		{"\x94\x00\x05\xa1m\x91\x81\xa1t\xc0", 10, false, false},
		{"\x94\x00\x05\xa1m\x91\x81\xa1t", 9, false, false},
		{"\x94\x00\x05\xa1m\x91\x81\xa1x\xc3", 10, false, false},
		{"\x94\x00\x05\xa1m\x91\x80", 7, false, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool value = false;
		uint8_t *data = malloc(cases[i].len);
		memcpy(data, cases[i].data, cases[i].len);
		assert_int_equal(rpc_param_flag(data, cases[i].len, "t", &value),
			cases[i].is_found);
		if (cases[i].is_found) {
			assert_int_equal(value, cases[i].value);
		}
		free(data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_comes_back),
		cmocka_unit_test(params_may_be_empty),
		cmocka_unit_test(params_without_names_are_none),
		cmocka_unit_test(a_notification_has_no_msgid),
		cmocka_unit_test(a_response_comes_back),
		cmocka_unit_test(every_error_comes_back),
		cmocka_unit_test(the_longest_error_comes_back),
		cmocka_unit_test(errors_of_strangers_are_internal),
		cmocka_unit_test(what_is_no_envelope_breaks_the_stream),
		cmocka_unit_test(a_wrong_request_can_be_answered),
		cmocka_unit_test(a_wrong_notification_is_known_as_one),
		cmocka_unit_test(methods_have_a_longest_name),
		cmocka_unit_test(refused_memory_is_reported),
		cmocka_unit_test(a_flag_is_found_without_a_parse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
