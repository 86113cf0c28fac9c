/* test_given_keys.c - packed bins and arrays give the same batch, and what is no key is named. */
#include "daemon/method/call/given_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/wire.h"
#include "tests/unit/alloc_fail.h"

struct message {
	struct wire_writer writer;
	struct wire_message *read;
	struct wire_value root;
	struct given_keys keys;
	struct error err;
};

static void message_init(struct message *message)
{
	memset(message, 0, sizeof *message);
}

/* Reads what was written as keys: both steps. */
static enum status message_keys(struct message *message, enum key_type type, const char *where)
{
	struct wire_writer *writer = &message->writer;
	assert_int_equal(writer->status, STATUS_OK);
	assert_int_equal(wire_open(writer->data, writer->len, &message->read), STATUS_OK);
	message->root = wire_root(message->read);
	enum status status =
		given_keys_begin(&message->keys, message->root, type, where, &message->err);
	return status == STATUS_OK ? given_keys_pack(&message->keys, &message->err) : status;
}

static void message_fini(struct message *message)
{
	given_keys_fini(&message->keys);
	wire_close(message->read);
	wire_writer_fini(&message->writer);
}

static void assert_key(const struct keys *keys, uint32_t i, const char *text)
{
	size_t len;
	const uint8_t *bytes = keys_bytes(keys, i, &len);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(bytes, text, len);
}

static void packed_u64_are_used_where_they_stand(void **state)
{
	(void)state;
	const uint64_t numbers[3] = {7, 0, UINT64_MAX};
	struct message message;
	message_init(&message);
	wire_write_bin(&message.writer, numbers, sizeof numbers);
	assert_int_equal(message_keys(&message, KEY_U64, ""), STATUS_OK);
	const struct keys *keys = &message.keys.batch;
	assert_int_equal(keys->type, KEY_U64);
	assert_int_equal(keys->count, 3);
	assert_null(message.keys.memory);
	assert_ptr_equal(keys->packed, message.writer.data + message.writer.len - sizeof numbers);
	assert_true(keys_u64(keys, 2) == UINT64_MAX);
	message_fini(&message);
}

static void an_array_of_integers_is_packed(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	wire_write_array(&message.writer, 3);
	wire_write_uint(&message.writer, 7);
	wire_write_uint(&message.writer, UINT64_MAX);
	wire_write_uint(&message.writer, 7);
	assert_int_equal(message_keys(&message, KEY_U64, ""), STATUS_OK);
	const struct keys *keys = &message.keys.batch;
	assert_int_equal(keys->count, 3);
	assert_int_equal(keys_u64(keys, 0), 7);
	assert_true(keys_u64(keys, 1) == UINT64_MAX);
	assert_int_equal(keys_u64(keys, 2), 7);
	message_fini(&message);
}

static void packed_strings_are_indexed(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	wire_write_bin(&message.writer, "\1a\3bcd\2ef", 9);
	assert_int_equal(message_keys(&message, KEY_BYTES, ""), STATUS_OK);
	const struct keys *keys = &message.keys.batch;
	assert_int_equal(keys->type, KEY_BYTES);
	assert_int_equal(keys->count, 3);
	assert_key(keys, 0, "a");
	assert_key(keys, 1, "bcd");
	assert_key(keys, 2, "ef");
	message_fini(&message);
}

static void an_array_of_strings_is_packed(void **state)
{
	(void)state;
	char longest[LIMIT_KEY_BYTES + 1];
	memset(longest, 'x', LIMIT_KEY_BYTES);
	longest[LIMIT_KEY_BYTES] = '\0';
	struct message message;
	message_init(&message);
	wire_write_array(&message.writer, 3);
	wire_write_str(&message.writer, "a");
	wire_write_bin(&message.writer, "bcd", 3);
	wire_write_str(&message.writer, longest);
	assert_int_equal(message_keys(&message, KEY_BYTES, ""), STATUS_OK);
	const struct keys *keys = &message.keys.batch;
	assert_int_equal(keys->count, 3);
	assert_key(keys, 0, "a");
	assert_key(keys, 1, "bcd");
	assert_key(keys, 2, longest);
	message_fini(&message);
}

static void no_keys_are_keys(void **state)
{
	(void)state;
	static const enum key_type types[] = {KEY_U64, KEY_BYTES};
	for (size_t i = 0; i < 2; i++) {
		struct message message;
		message_init(&message);
		wire_write_array(&message.writer, 0);
		assert_int_equal(message_keys(&message, types[i], ""), STATUS_OK);
		assert_int_equal(message.keys.batch.count, 0);
		message_fini(&message);
		message_init(&message);
		wire_write_bin(&message.writer, "", 0);
		assert_int_equal(message_keys(&message, types[i], ""), STATUS_OK);
		assert_int_equal(message.keys.batch.count, 0);
		message_fini(&message);
	}
}

static void write_str_in_array(struct wire_writer *writer)
{
	wire_write_array(writer, 2);
	wire_write_uint(writer, 1);
	wire_write_str(writer, "1");
}

static void write_negative(struct wire_writer *writer)
{
	wire_write_array(writer, 1);
	wire_write_int(writer, -1);
}

static void write_uint_in_array(struct wire_writer *writer)
{
	wire_write_array(writer, 2);
	wire_write_str(writer, "1");
	wire_write_uint(writer, 1);
}

static void write_empty(struct wire_writer *writer)
{
	wire_write_array(writer, 2);
	wire_write_str(writer, "1");
	wire_write_str(writer, "");
}

static void write_too_long(struct wire_writer *writer)
{
	char key[LIMIT_KEY_BYTES + 1] = "";
	wire_write_array(writer, 1);
	wire_write_bin(writer, key, sizeof key);
}

static void write_seven_bytes(struct wire_writer *writer)
{
	wire_write_bin(writer, "1234567", 7);
}

static void write_cut_string(struct wire_writer *writer)
{
	wire_write_bin(writer, "\1a\2b", 4);
}

static void write_str(struct wire_writer *writer)
{
	wire_write_str(writer, "1234567");
}

static void write_half(struct wire_writer *writer)
{
	wire_write_array(writer, 1);
	wire_write_float(writer, 1.5);
}

static void write_wide(struct wire_writer *writer)
{
	wire_write_array(writer, 1);
	wire_write_float(writer, 9007199254740992);
}

static void write_number(struct wire_writer *writer)
{
	wire_write_float(writer, 1);
}

static void write_map(struct wire_writer *writer)
{
	wire_write_map(writer, 0);
}

static const struct wrong_case {
	void (*write)(struct wire_writer *writer);
	enum key_type type;
	const char *text; /* what the error begins with */
	const char *end;  /* and ends with */
} wrong_cases[] = {
	{write_str_in_array, KEY_U64, "parts[2].keys[1]: str given, uint expected",
		"the table's keys are u64"},
	{write_negative, KEY_U64, "parts[2].keys[0]: int given, uint expected",
		"the table's keys are u64"},
	{write_uint_in_array, KEY_BYTES, "parts[2].keys[1]: uint given, str or bin expected",
		"the table's keys are bytes"},
	{write_empty, KEY_BYTES, "parts[2].keys[1]: 0 bytes given", "1..255 allowed"},
	{write_too_long, KEY_BYTES, "parts[2].keys[0]: 256 bytes given", "1..255 allowed"},
	{write_seven_bytes, KEY_U64, "parts[2].keys: 7 bytes given", "the table's keys are u64"},
	{write_cut_string, KEY_BYTES, "parts[2].keys: key 1", "the table's keys are bytes"},
	{write_str, KEY_U64, "parts[2].keys: 7 bytes given", "the table's keys are u64"},
	{write_half, KEY_U64, "parts[2].keys[0]: float given, uint expected",
		"the table's keys are u64"},
	{write_wide, KEY_U64, "parts[2].keys[0]: float given, uint expected",
		"the table's keys are u64"},
	{write_number, KEY_U64, "parts[2].keys: float given, bin or array expected", "expected"},
	{write_map, KEY_BYTES, "parts[2].keys: map given, bin or array expected", "expected"},
};

static void what_is_no_key_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrong_cases / sizeof wrong_cases[0]; i++) {
		const struct wrong_case *wrong = &wrong_cases[i];
		struct message message;
		message_init(&message);
		wrong->write(&message.writer);
		enum status status = message_keys(&message, wrong->type, "parts[2].");
		assert_int_equal(status, STATUS_BAD_REQUEST);
		assert_int_equal(message.err.status, STATUS_BAD_REQUEST);
		const char *text = message.err.text;
		if (strncmp(text, wrong->text, strlen(wrong->text)) != 0) {
			fail_msg("'%s' given, '%s...' expected", text, wrong->text);
		}
		assert_true(strlen(text) >= strlen(wrong->end));
		assert_string_equal(text + strlen(text) - strlen(wrong->end), wrong->end);
		message_fini(&message);
	}
}

static void keys_come_in_the_types_of_other_encoders(void **state)
{
	(void)state;
	const uint64_t numbers[2] = {298080447363, 7};
	struct message message;
	message_init(&message);
	wire_write_str_len(&message.writer, numbers, sizeof numbers);
	assert_int_equal(message_keys(&message, KEY_U64, ""), STATUS_OK);
	assert_int_equal(message.keys.batch.count, 2);
	assert_int_equal(keys_u64(&message.keys.batch, 0), 298080447363);
	message_fini(&message);

	message_init(&message);
	wire_write_array(&message.writer, 2);
	wire_write_float(&message.writer, 298080447363);
	wire_write_uint(&message.writer, 7);
	assert_int_equal(message_keys(&message, KEY_U64, ""), STATUS_OK);
	assert_int_equal(keys_u64(&message.keys.batch, 0), 298080447363);
	assert_int_equal(keys_u64(&message.keys.batch, 1), 7);
	message_fini(&message);

	message_init(&message);
	wire_write_str(&message.writer, "\1a\2bc");
	assert_int_equal(message_keys(&message, KEY_BYTES, ""), STATUS_OK);
	assert_int_equal(message.keys.batch.count, 2);
	assert_key(&message.keys.batch, 0, "a");
	assert_key(&message.keys.batch, 1, "bc");
	message_fini(&message);
}

static void too_many_keys_are_refused(void **state)
{
	(void)state;
	size_t len = ((size_t)LIMIT_KEYS + 1) * 8;
	uint8_t *packed = calloc(1, len);
	assert_non_null(packed);
	struct message message;
	message_init(&message);
	wire_write_bin(&message.writer, packed, len);
	assert_int_equal(message_keys(&message, KEY_U64, ""), STATUS_TOO_LARGE);
	message_fini(&message);
	message_init(&message);
	wire_write_bin(&message.writer, packed, len - 8);
	assert_int_equal(message_keys(&message, KEY_U64, ""), STATUS_OK);
	assert_int_equal(message.keys.batch.count, LIMIT_KEYS);
	message_fini(&message);
	free(packed);
}

static bool take_keys(void *arg)
{
	struct message *message = arg;
	struct given_keys keys;
	struct error err;
	enum status status =
		given_keys_begin(&keys, message->root, message->keys.batch.type, "", &err);
	if (status == STATUS_OK) {
		status = given_keys_pack(&keys, &err);
	}
	given_keys_fini(&keys);
	return status == STATUS_OK;
}

static void refused_memory_is_an_error(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	wire_write_bin(&message.writer, "\1a\1b", 4);
	assert_int_equal(message_keys(&message, KEY_BYTES, ""), STATUS_OK);
	assert_int_equal(alloc_fail_each(take_keys, &message), 1);
	message_fini(&message);

	message_init(&message);
	wire_write_array(&message.writer, 1);
	wire_write_str(&message.writer, "a");
	assert_int_equal(message_keys(&message, KEY_BYTES, ""), STATUS_OK);
	assert_int_equal(alloc_fail_each(take_keys, &message), 1);
	message_fini(&message);

	message_init(&message);
	wire_write_array(&message.writer, 1);
	wire_write_uint(&message.writer, 1);
	assert_int_equal(message_keys(&message, KEY_U64, ""), STATUS_OK);
	assert_int_equal(alloc_fail_each(take_keys, &message), 1);
	message_fini(&message);
}

static void zeroed_keys_may_end(void **state)
{
	(void)state;
	struct given_keys keys = {0};
	given_keys_fini(&keys);
	assert_null(keys.memory);
	given_keys_fini(NULL);
}

static void keys_may_end_twice(void **state)
{
	(void)state;
	struct message message;
	message_init(&message);
	wire_write_array(&message.writer, 1);
	wire_write_uint(&message.writer, 1);
	assert_int_equal(message_keys(&message, KEY_U64, ""), STATUS_OK);
	assert_non_null(message.keys.memory);
	given_keys_fini(&message.keys);
	assert_null(message.keys.memory); /* so that the second end frees nothing */
	message_fini(&message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packed_u64_are_used_where_they_stand),
		cmocka_unit_test(an_array_of_integers_is_packed),
		cmocka_unit_test(packed_strings_are_indexed),
		cmocka_unit_test(an_array_of_strings_is_packed),
		cmocka_unit_test(no_keys_are_keys),
		cmocka_unit_test(what_is_no_key_is_named),
		cmocka_unit_test(keys_come_in_the_types_of_other_encoders),
		cmocka_unit_test(too_many_keys_are_refused),
		cmocka_unit_test(refused_memory_is_an_error),
		cmocka_unit_test(zeroed_keys_may_end),
		cmocka_unit_test(keys_may_end_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
