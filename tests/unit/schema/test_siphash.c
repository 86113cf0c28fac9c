/* test_siphash.c - one message, and many side by side, on every instruction set. */
#include "schema/siphash.h"
#include "schema/siphash_kernels.h"
#include "schema/siphash_round.h"
#include "tests/unit/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Made with CPython 3.11, whose hash of bytes is SipHash-1-3, started with PYTHONHASHSEED=42; and
 * again with OpenSSL's SIPHASH of c-rounds 1 and d-rounds 3. */
static const struct key_seed python_seed = {
	{UINT64_C(0xdc504fd368cd90af), UINT64_C(0xb920bb9ffe99e9c1)}};

/* Of `len` bytes, byte i being 7 i + 1. */
static const struct {
	uint8_t len;
	uint64_t hash;
} vectors[] = {
	{0, UINT64_C(0x368659063128bff6)},
	{1, UINT64_C(0x89404b342d44cd29)},
	{2, UINT64_C(0x4fc344472a3a2094)},
	{7, UINT64_C(0x974342723b427029)},
	{8, UINT64_C(0x5403d4956c011be0)},
	{9, UINT64_C(0xc6a346713cc4d6df)},
	{15, UINT64_C(0x18fb9e5793f74ebf)},
	{16, UINT64_C(0x6ec5ccfda2701062)},
	{17, UINT64_C(0x9885b3ffe755510a)},
	{31, UINT64_C(0x4e9ed244350b06ca)},
	{32, UINT64_C(0xc2227b88ba2380ed)},
	{63, UINT64_C(0xd3248c9de1f634b8)},
	{64, UINT64_C(0x99d084a154428838)},
	{128, UINT64_C(0xf9e420a433528695)},
	{254, UINT64_C(0x334d26096d87e3b4)},
	{255, UINT64_C(0x1f8a861f6b48a60c)},
};

static const struct {
	uint64_t number;
	uint64_t hash;
} number_vectors[] = {
	{UINT64_C(0x0), UINT64_C(0xff8022ca61836881)},
	{UINT64_C(0x1), UINT64_C(0x4dfec0acd507c5a4)},
	{UINT64_C(0xffffffffffffffff), UINT64_C(0x190c62aba242974e)},
	{UINT64_C(0x8000000000003039), UINT64_C(0xb8b3060e41db533f)},
	{UINT64_C(0x3ade68b1), UINT64_C(0x4c3604b587653144)},
	{UINT64_C(0x0102030405060708), UINT64_C(0x488bf4be742d368c)},
};

enum { VECTORS = sizeof vectors / sizeof *vectors, BYTES_MAX = 255 };
enum { NUMBER_VECTORS = sizeof number_vectors / sizeof *number_vectors };

static uint64_t next(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state ^ *state >> 29;
}

static void hashes_are_those_of_two_other_makers(void **state)
{
	(void)state;
	uint8_t bytes[BYTES_MAX];
	for (size_t i = 0; i < sizeof bytes; i++) {
		bytes[i] = (uint8_t)(7 * i + 1);
	}
	for (size_t i = 0; i < VECTORS; i++) {
		assert_int_equal(siphash(&python_seed, bytes, vectors[i].len), vectors[i].hash);
	}
	for (size_t i = 0; i < NUMBER_VECTORS; i++) {
		const uint64_t number = number_vectors[i].number;
		assert_int_equal(siphash_u64(&python_seed, number), number_vectors[i].hash);
		assert_int_equal(siphash(&python_seed, &number, 8), number_vectors[i].hash);
	}
}

static void the_last_word_is_read_from_the_message_alone(void **state)
{
	(void)state;
	for (size_t len = 0; len <= BYTES_MAX; len++) {
		/* The sanitizers see a byte that is read outside. */
		uint8_t *message = test_malloc(len + 1);
		uint8_t expected[8] = {0};
		for (size_t i = 0; i < len; i++) {
			message[i] = (uint8_t)(len + i * 31);
		}
		memcpy(expected, message + len / 8 * 8, len % 8);
		expected[7] = (uint8_t)len;
		const uint64_t word = siphash_last_word(message, len);
		assert_memory_equal(&word, expected, 8);
		test_free(message);
	}
}

static void numbers_side_by_side_hash_as_one_does(void **state)
{
	(void)state;
	enum { MOST = 70, GUARD = 0x5a };
	uint64_t random = seed_from(11);
	uint8_t packed[MOST * 8 + 1];
	for (size_t i = 0; i < sizeof packed; i++) {
		packed[i] = (uint8_t)(next(&random) >> 40);
	}
	const struct siphash_kernels *kernels;
	for (size_t set = 0; (kernels = siphash_kernels_at(set)) != NULL; set++) {
		const struct key_seed seed = {{next(&random), next(&random)}};
		for (size_t count = 0; count < MOST; count++) {
			uint64_t hashes[MOST + 1];
			memset(hashes, GUARD, sizeof hashes);
			kernels->of_u64(&seed, packed + 1, count, hashes);
			for (size_t i = 0; i < count; i++) {
				uint64_t number;
				memcpy(&number, packed + 1 + i * 8, 8);
				assert_int_equal(hashes[i], siphash_u64(&seed, number));
			}
			assert_int_equal(hashes[count], UINT64_C(0x5a5a5a5a5a5a5a5a));
		}
	}
}

static void strings_side_by_side_hash_as_one_does(void **state)
{
	(void)state;
	uint64_t random = seed_from(12);
	const struct siphash_kernels *kernels;
	for (size_t set = 0; (kernels = siphash_kernels_at(set)) != NULL; set++) {
		for (unsigned round = 0; round < 600 && kernels->of_strings != NULL; round++) {
			const struct key_seed seed = {{next(&random), next(&random)}};
			/* Of one length, of about one, of any. */
			const size_t spreads[] = {1, 10, BYTES_MAX + 1};
			const size_t spread = spreads[round % 3];
			const size_t least = next(&random) % (BYTES_MAX + 2 - spread);
			uint32_t at[SIPHASH_LANES];
			uint8_t bytes[SIPHASH_LANES * (BYTES_MAX + 1)];
			size_t end = 0;
			for (size_t lane = 0; lane < SIPHASH_LANES; lane++) {
				const size_t len = least + next(&random) % spread;
				at[lane] = (uint32_t)end;
				bytes[end++] = (uint8_t)len;
				for (size_t i = 0; i < len; i++) {
					bytes[end++] = (uint8_t)(next(&random) >> 40);
				}
			}
			/* The sanitizers see a byte that is read outside. */
			uint8_t *packed = test_malloc(end);
			memcpy(packed, bytes, end);
			uint64_t hashes[SIPHASH_LANES];
			kernels->of_strings(&seed, packed, at, hashes);
			for (size_t lane = 0; lane < SIPHASH_LANES; lane++) {
				const uint8_t *string = packed + at[lane];
				assert_int_equal(hashes[lane],
					siphash(&seed, string + 1, string[0]));
			}
			test_free(packed);
		}
	}
}

static void each_bit_of_the_seed_counts(void **state)
{
	(void)state;
	const uint64_t hash = siphash_u64(&python_seed, 7);
	for (unsigned bit = 0; bit < 128; bit++) {
		struct key_seed other = python_seed;
		other.words[bit / 64] ^= UINT64_C(1) << bit % 64;
		assert_int_not_equal(siphash_u64(&other, 7), hash);
	}
}

static void no_seed_is_drawn_twice(void **state)
{
	(void)state;
	struct key_seed a;
	struct key_seed b;
	assert_true(key_seed_draw(&a));
	assert_true(key_seed_draw(&b));
	assert_memory_not_equal(&a, &b, sizeof a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_are_those_of_two_other_makers),
		cmocka_unit_test(the_last_word_is_read_from_the_message_alone),
		cmocka_unit_test(numbers_side_by_side_hash_as_one_does),
		cmocka_unit_test(strings_side_by_side_hash_as_one_does),
		cmocka_unit_test(each_bit_of_the_seed_counts),
		cmocka_unit_test(no_seed_is_drawn_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
