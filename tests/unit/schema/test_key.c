/* test_key.c - packed keys are checked, hashed as the disk has them, and printed. */
#include "schema/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct key_seed seed = {{UINT64_C(0x0706050403020100), UINT64_C(0xf0e0d0c0b0a09080)}};

static const uint64_t numbers[] = {0, 1, 42, 1000000007, UINT64_MAX, UINT64_C(0x0123456789abcdef)};
static const uint8_t lens[] = {1, 2, 3, 4, 8, 9, 16, 16, 16, 16, 17, 16, 16, 17, 17, 128, 129, 240,
	241, 255};

enum {
	NUMBERS = sizeof numbers / sizeof *numbers,
	STRINGS = sizeof lens / sizeof *lens,
};

static void types_have_names(void **state)
{
	(void)state;
	assert_string_equal(key_type_name(KEY_U64), "u64");
	assert_string_equal(key_type_name(KEY_BYTES), "bytes");
	assert_string_equal(key_type_name(KEY_NONE), "none");
	assert_int_equal(key_type_of_name("u64", 3), KEY_U64);
	assert_int_equal(key_type_of_name("bytes", 5), KEY_BYTES);
	assert_int_equal(key_type_of_name("bytes", 4), KEY_NONE);
	assert_int_equal(key_type_of_name("none", 4), KEY_NONE);
	assert_int_equal(key_type_of_name("", 0), KEY_NONE);
}

static void numbers_hash_as_their_bytes_do(void **state)
{
	(void)state;
	uint8_t packed[1 + NUMBERS * 8];
	memcpy(packed + 1, numbers, sizeof numbers);
	struct keys keys = {.type = KEY_U64, .count = NUMBERS, .packed = packed + 1};
	for (uint32_t first = 0; first <= NUMBERS; first++) {
		uint64_t hashes[NUMBERS] = {0};
		keys_hash(&keys, &seed, first, NUMBERS - first, hashes);
		for (uint32_t i = first; i < NUMBERS; i++) {
			assert_int_equal(hashes[i - first], siphash_u64(&seed, numbers[i]));
			assert_int_equal(keys_u64(&keys, i), numbers[i]);
			size_t len;
			const uint8_t *bytes = keys_bytes(&keys, i, &len);
			assert_int_equal(len, 8);
			assert_memory_equal(bytes, &numbers[i], 8);
			assert_int_equal(siphash(&seed, bytes, len), hashes[i - first]);
		}
	}
}

static void byte_strings_hash_as_each_does_alone(void **state)
{
	(void)state;
	uint8_t packed[STRINGS * 256];
	size_t len = 0;
	for (size_t i = 0; i < STRINGS; i++) {
		packed[len++] = lens[i];
		for (unsigned at = 0; at < lens[i]; at++) {
			packed[len++] = (uint8_t)(7 * (size_t)at + i);
		}
	}
	uint32_t count = 0;
	uint32_t at[STRINGS];
	assert_int_equal(keys_count(KEY_BYTES, packed, len, &count, NULL), STATUS_OK);
	assert_int_equal(count, STRINGS);
	keys_find_offsets(packed, count, at);
	struct keys keys = {.type = KEY_BYTES, .count = count, .packed = packed, .at = at};
	for (uint32_t first = 0; first <= count; first++) {
		uint64_t hashes[STRINGS] = {0};
		keys_hash(&keys, &seed, first, count - first, hashes);
		for (uint32_t i = first; i < count; i++) {
			size_t key_len;
			const uint8_t *key = keys_bytes(&keys, i, &key_len);
			assert_int_equal(key_len, lens[i]);
			assert_int_equal(hashes[i - first], siphash(&seed, key, key_len));
		}
	}
}

static void an_empty_batch_has_no_keys(void **state)
{
	(void)state;
	uint32_t count = 9;
	assert_int_equal(keys_count(KEY_U64, NULL, 0, &count, NULL), STATUS_OK);
	assert_int_equal(count, 0);
	count = 9;
	assert_int_equal(keys_count(KEY_BYTES, NULL, 0, &count, NULL), STATUS_OK);
	assert_int_equal(count, 0);
	keys_find_offsets(NULL, 0, NULL);
	keys_hash(&(struct keys){.type = KEY_U64}, &seed, 0, 0, NULL);
}

static void numbers_take_eight_bytes_each(void **state)
{
	(void)state;
	uint8_t packed[24] = {0};
	for (size_t len = 0; len <= sizeof packed; len++) {
		uint32_t count = 99;
		struct error err = {0};
		enum status status = keys_count(KEY_U64, packed, len, &count, &err);
		assert_int_equal(status, len % 8 == 0 ? STATUS_OK : STATUS_BAD_REQUEST);
		assert_int_equal(count, len % 8 == 0 ? len / 8 : 99);
	}
	struct error err;
	keys_count(KEY_U64, packed, 13, &(uint32_t){0}, &err);
	assert_string_equal(err.text, "keys: 13 bytes given, a multiple of 8 allowed (u64 keys)");
}

static void an_empty_key_is_refused_by_place(void **state)
{
	(void)state;
	static const uint8_t packed[] = {2, 'a', 'b', 1, 'c', 0, 1, 'd'};
	uint32_t count = 99;
	struct error err;
	assert_int_equal(keys_count(KEY_BYTES, packed, sizeof packed, &count, &err),
		STATUS_BAD_REQUEST);
	assert_int_equal(count, 99);
	assert_string_equal(err.text, "keys: key 2, at byte 5, has 0 bytes, 1..255 allowed");
}

static void a_cut_key_is_refused_by_place(void **state)
{
	(void)state;
	static const uint8_t packed[] = {2, 'a', 'b', 4, 'c', 'd', 'e'};
	for (size_t len = 4; len <= sizeof packed; len++) {
		/* Of its own, so that a read past the end is seen. */
		uint8_t *cut = malloc(len);
		assert_non_null(cut);
		memcpy(cut, packed, len);
		struct error err;
		assert_int_equal(keys_count(KEY_BYTES, cut, len, &(uint32_t){0}, &err),
			STATUS_BAD_REQUEST);
		assert_non_null(strstr(err.text, "keys: key 1, at byte 3, has 4 bytes, but "));
		free(cut);
	}
}

static void more_keys_than_allowed_are_too_large(void **state)
{
	(void)state;
	size_t len = ((size_t)LIMIT_KEYS + 1) * 8;
	uint8_t *packed = calloc(1, len);
	assert_non_null(packed);
	uint32_t count = 0;
	struct error err;
	assert_int_equal(keys_count(KEY_U64, packed, len - 8, &count, &err), STATUS_OK);
	assert_int_equal(count, LIMIT_KEYS);
	assert_int_equal(keys_count(KEY_U64, packed, len, &count, &err), STATUS_TOO_LARGE);
	assert_string_equal(err.text, "keys: 1048577 given, up to 1048576 allowed");

	memset(packed, 1, len);
	size_t most = (size_t)LIMIT_KEYS * 2;
	assert_int_equal(keys_count(KEY_BYTES, packed, most, &count, &err), STATUS_OK);
	assert_int_equal(count, LIMIT_KEYS);
	assert_int_equal(keys_count(KEY_BYTES, packed, most + 2, &count, &err), STATUS_TOO_LARGE);
	free(packed);
}

static void a_type_that_is_none_is_our_mistake(void **state)
{
	(void)state;
	assert_int_equal(keys_count(KEY_NONE, NULL, 0, &(uint32_t){0}, NULL), STATUS_INTERNAL);
}

static void numbers_print_as_decimals(void **state)
{
	(void)state;
	uint64_t packed[] = {0, UINT64_MAX};
	struct keys keys = {.type = KEY_U64, .count = 2, .packed = (const uint8_t *)packed};
	char text[32];
	keys_print(&keys, 0, text, sizeof text);
	assert_string_equal(text, "0");
	keys_print(&keys, 1, text, sizeof text);
	assert_string_equal(text, "18446744073709551615");
	keys_print(&keys, 1, text, 5);
	assert_string_equal(text, "1844");
}

static void byte_strings_print_readably(void **state)
{
	(void)state;
	static const uint8_t packed[] = {6, 'a', '\n', '\\', 0, 0xff, 'z'};
	static const uint32_t at[] = {0};
	struct keys keys = {.type = KEY_BYTES, .count = 1, .packed = packed, .at = at};
	static const char whole[] = "a\\x0a\\x5c\\x00\\xffz";
	char text[sizeof whole + 2];
	/* An escape is whole or not there. */
	for (size_t size = 1; size <= sizeof text; size++) {
		memset(text, '#', sizeof text);
		keys_print(&keys, 0, text, size);
		size_t len = strlen(text);
		assert_true(len < size);
		assert_memory_equal(text, whole, len);
		size_t escapes = (size < sizeof whole ? size : sizeof whole) - 1;
		if (size >= sizeof whole) {
			assert_int_equal(len, sizeof whole - 1);
		} else {
			assert_int_equal(len, escapes == 0 ? 0 : (escapes - 1) / 4 * 4 + 1);
		}
	}
	keys_print(&keys, 0, text, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_have_names),
		cmocka_unit_test(numbers_hash_as_their_bytes_do),
		cmocka_unit_test(byte_strings_hash_as_each_does_alone),
		cmocka_unit_test(an_empty_batch_has_no_keys),
		cmocka_unit_test(numbers_take_eight_bytes_each),
		cmocka_unit_test(an_empty_key_is_refused_by_place),
		cmocka_unit_test(a_cut_key_is_refused_by_place),
		cmocka_unit_test(more_keys_than_allowed_are_too_large),
		cmocka_unit_test(a_type_that_is_none_is_our_mistake),
		cmocka_unit_test(numbers_print_as_decimals),
		cmocka_unit_test(byte_strings_print_readably),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
