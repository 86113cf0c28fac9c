/* cursor.c - a keyed permutation of 64 bits. */
#include "daemon/method/call/cursor.h"

enum { ROUNDS = 4 };

static struct key_seed derive(const struct key_seed *seed, uint64_t table)
{
	struct key_seed key;
	for (uint64_t i = 0; i < 2; i++) {
		/* No key of a table is so long and begins so. */
		const uint64_t message[33] = {UINT64_C(0x726f73727563), table, i};
		key.words[i] = siphash(seed, message, sizeof message);
	}
	return key;
}

static uint32_t mix(const struct key_seed *key, uint64_t round, uint32_t half)
{
	return (uint32_t)siphash_u64(key, round << 32 | half);
}

static uint64_t encrypt(const struct key_seed *key, uint64_t value)
{
	uint32_t left = (uint32_t)(value >> 32);
	uint32_t right = (uint32_t)value;
	for (uint64_t round = 0; round < ROUNDS; round++) {
		const uint32_t next = left ^ mix(key, round, right);
		left = right;
		right = next;
	}
	return (uint64_t)left << 32 | right;
}

static uint64_t decrypt(const struct key_seed *key, uint64_t value)
{
	uint32_t left = (uint32_t)(value >> 32);
	uint32_t right = (uint32_t)value;
	for (uint64_t round = ROUNDS; round-- > 0;) {
		const uint32_t before = right ^ mix(key, round, left);
		right = left;
		left = before;
	}
	return (uint64_t)left << 32 | right;
}

/* The one number that becomes 0 goes on to what 0 becomes. */

uint64_t cursor_of_hash(const struct key_seed *seed, uint64_t table, uint64_t hash)
{
	const struct key_seed key = derive(seed, table);
	const uint64_t cursor = hash == 0 ? 0 : encrypt(&key, hash);
	return hash != 0 && cursor == 0 ? encrypt(&key, 0) : cursor;
}

uint64_t cursor_to_hash(const struct key_seed *seed, uint64_t table, uint64_t cursor)
{
	const struct key_seed key = derive(seed, table);
	const uint64_t hash = cursor == 0 ? 0 : decrypt(&key, cursor);
	return cursor != 0 && hash == 0 ? decrypt(&key, 0) : hash;
}
