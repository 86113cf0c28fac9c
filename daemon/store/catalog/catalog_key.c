/* catalog_key.c - keys of records, and their checksums. */
#include "daemon/store/catalog/catalog_key.h"

#include "schema/wire.h"

#include <assert.h>
#include <endian.h>
#include <string.h>
#include <xxhash.h>

struct record_key record_key(char letter, const uint64_t *numbers, size_t count)
{
	struct record_key key = {.bytes = {(uint8_t)letter}, .len = 1 + count * 8};
	assert(key.len <= sizeof key.bytes);
	for (size_t i = 0; i < count; i++) {
		const uint64_t number = htobe64(numbers[i]);
		memcpy(key.bytes + 1 + i * 8, &number, 8);
	}
	return key;
}

uint64_t record_hash(const void *key, size_t key_len, const void *data, size_t len)
{
	return XXH3_64bits_withSeed(data, len, XXH3_64bits(key, key_len));
}

enum status record_open(const void *key, size_t key_len, const void *value, size_t len,
	struct wire_message **out)
{
	const uint8_t *data = value;
	uint64_t hash;
	if (len < RECORD_HASH_BYTES) {
		return STATUS_CORRUPT;
	}
	len -= RECORD_HASH_BYTES;
	memcpy(&hash, data + len, RECORD_HASH_BYTES);
	struct wire_skim skim = {0};
	if (record_hash(key, key_len, data, len) != hash ||
		wire_skim(&skim, data, len) != STATUS_OK || skim.at != len) {
		return STATUS_CORRUPT;
	}
	return wire_open(data, len, out);
}
