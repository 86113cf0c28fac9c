/* test_key.c - packed keys are checked, hashed as the disk has them, and printed. */
#include "schema/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Made with libxxhash 0.8.1; its output has not changed since 0.8.0. */
static const struct {
	uint64_t key;
	uint64_t hash;
} u64_vectors[] = {
	{UINT64_C(0x0000000000000000), UINT64_C(0xc77b3abb6f87acd9)},
	{UINT64_C(0x0000000000000001), UINT64_C(0x2fbc593564db792e)},
	{UINT64_C(0x000000000000002a), UINT64_C(0xd5a6f8c838df27c8)},
	{UINT64_C(0x000000003b9aca07), UINT64_C(0xe02e907ee5346bfd)},
	{UINT64_C(0xffffffffffffffff), UINT64_C(0x5111c7e47d784413)},
	{UINT64_C(0x0123456789abcdef), UINT64_C(0xb78df414284277a6)},
};

/* Of `len` bytes, byte i being 7 i + 1. Every way in which XXH3 hashes, by length. */
static const struct {
	uint8_t len;
	uint64_t hash;
} bytes_vectors[] = {
	{1, UINT64_C(0xe12ef9d2eb86ceeb)},
	{2, UINT64_C(0xe406c97925067f24)},
	{3, UINT64_C(0x5c83885a0fb5d516)},
	{4, UINT64_C(0x244f36de481e7522)},
	{8, UINT64_C(0x96cc97a6768fd7a9)},
	{9, UINT64_C(0x4781d83b8e99d495)},
	{16, UINT64_C(0x913bd4a8038027a7)},
	{17, UINT64_C(0x2bf6f66973a6179d)},
	{128, UINT64_C(0xc4399c7829d0628f)},
	{129, UINT64_C(0x8433489056750b32)},
	{240, UINT64_C(0x3c0bb96864e543a1)},
	{241, UINT64_C(0xbff7215089202d8f)},
	{255, UINT64_C(0x1729eaa78df50a51)},
};

enum {
	U64_VECTORS = sizeof u64_vectors / sizeof *u64_vectors,
	BYTES_VECTORS = sizeof bytes_vectors / sizeof *bytes_vectors,
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

static void numbers_hash_as_the_disk_has_them(void **state)
{
	(void)state;
	uint8_t packed[1 + U64_VECTORS * 8];
	for (size_t i = 0; i < U64_VECTORS; i++) {
		assert_int_equal(key_hash_u64(u64_vectors[i].key), u64_vectors[i].hash);
		memcpy(packed + 1 + i * 8, &u64_vectors[i].key, 8);
	}
	struct keys keys = {.type = KEY_U64, .count = U64_VECTORS, .packed = packed + 1};
	for (uint32_t first = 0; first <= U64_VECTORS; first++) {
		uint64_t hashes[U64_VECTORS] = {0};
		keys_hash(&keys, first, U64_VECTORS - first, hashes);
		for (uint32_t i = first; i < U64_VECTORS; i++) {
			assert_int_equal(hashes[i - first], u64_vectors[i].hash);
			assert_int_equal(keys_u64(&keys, i), u64_vectors[i].key);
			size_t len;
			const uint8_t *bytes = keys_bytes(&keys, i, &len);
			assert_int_equal(len, 8);
			assert_memory_equal(bytes, &u64_vectors[i].key, 8);
			assert_int_equal(key_hash_bytes(bytes, len), u64_vectors[i].hash);
		}
	}
}

static void byte_strings_hash_as_the_disk_has_them(void **state)
{
	(void)state;
	uint8_t packed[BYTES_VECTORS * 256];
	size_t len = 0;
	for (size_t i = 0; i < BYTES_VECTORS; i++) {
		packed[len++] = bytes_vectors[i].len;
		for (unsigned at = 0; at < bytes_vectors[i].len; at++) {
			packed[len++] = (uint8_t)(7 * at + 1);
		}
	}
	uint32_t count = 0;
	uint32_t at[BYTES_VECTORS];
	assert_int_equal(keys_count(KEY_BYTES, packed, len, &count, NULL), STATUS_OK);
	assert_int_equal(count, BYTES_VECTORS);
	keys_find_offsets(packed, count, at);
	struct keys keys = {.type = KEY_BYTES, .count = count, .packed = packed, .at = at};
	uint64_t hashes[BYTES_VECTORS] = {0};
	keys_hash(&keys, 1, count - 1, hashes + 1);
	keys_hash(&keys, 0, 1, hashes);
	for (uint32_t i = 0; i < count; i++) {
		size_t key_len;
		const uint8_t *key = keys_bytes(&keys, i, &key_len);
		assert_int_equal(key_len, bytes_vectors[i].len);
		assert_int_equal(key_hash_bytes(key, key_len), bytes_vectors[i].hash);
		assert_int_equal(hashes[i], bytes_vectors[i].hash);
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
	keys_hash(&(struct keys){.type = KEY_U64}, 0, 0, NULL);
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
		cmocka_unit_test(numbers_hash_as_the_disk_has_them),
		cmocka_unit_test(byte_strings_hash_as_the_disk_has_them),
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
