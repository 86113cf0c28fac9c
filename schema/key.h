/* key.h - batches of keys, and their hash.
 *
 * A key is an unsigned 64-bit id or a byte string of 1 to 255 bytes; a table has one type of key. A
 * batch is packed: u64 keys are little-endian, and each byte string is a length byte and then the
 * bytes. The hash of a key is the SipHash-1-3 (siphash.h) of its 8 bytes little-endian, or of its
 * bytes, under the seed of the key's release. It decides the key's segment and slot, so it is part
 * of the disk format. No answer tells it.
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_KEY_H
#define SCHEMA_KEY_H

#include "schema/limits.h"
#include "schema/siphash.h"
#include "schema/status.h"

#include <stdint.h>

/* Numbers are on disk and never reused. */
enum key_type { KEY_NONE = 0, KEY_U64 = 1, KEY_BYTES = 2 };

/* A view of a packed batch; nothing is owned. */
struct keys {
	enum key_type type;
	uint32_t count;
	const uint8_t *packed; /* any alignment */
	const uint32_t *at;    /* KEY_BYTES: count offsets of the length bytes; else NULL */
};

const char *key_type_name(enum key_type type); /* "u64", "bytes" */
enum key_type key_type_of_name(const char *name, size_t len);

/* Checks `len` packed bytes, and counts their keys.
 * Errors: BAD_REQUEST  a length that is no multiple of 8, a key of 0 bytes, a last key that is cut;
 *         TOO_LARGE  more than LIMIT_KEYS. */
enum status keys_count(enum key_type type, const uint8_t *packed, size_t len, uint32_t *count,
	struct error *err);

/* Fills `at` (uint32_t[count]) with the offsets of the keys. `packed` are byte strings that
 * keys_count has checked. */
void keys_find_offsets(const uint8_t *packed, uint32_t count, uint32_t *at);

/* Hashes keys [first, first + count) of the batch into `hashes`. */
void keys_hash(const struct keys *keys, const struct key_seed *seed, uint32_t first, uint32_t count,
	uint64_t *hashes);

/* Key i as bytes: for u64 its 8 bytes. */
static inline const uint8_t *keys_bytes(const struct keys *keys, uint32_t i, size_t *len)
{
	if (keys->type == KEY_U64) {
		*len = 8;
		return keys->packed + (size_t)i * 8;
	}
	*len = keys->packed[keys->at[i]];
	return keys->packed + keys->at[i] + 1;
}

/* All keys of a batch as one piece; *bytes: its size. Of byte strings it begins with the first offset. */
static inline const uint8_t *keys_piece(const struct keys *keys, size_t *bytes)
{
	if (keys->type == KEY_U64 || keys->count == 0) {
		*bytes = (size_t)keys->count * 8;
		return keys->packed;
	}
	const uint8_t *first = keys->packed + keys->at[0];
	size_t len;
	const uint8_t *last = keys_bytes(keys, keys->count - 1, &len);
	*bytes = (size_t)(last + len - first);
	return first;
}

/* Key i of a batch of u64. */
static inline uint64_t keys_u64(const struct keys *keys, uint32_t i)
{
	uint64_t key;
	__builtin_memcpy(&key, keys->packed + (size_t)i * 8, 8);
	return key;
}

/* Writes key i for a person: a number in decimal, or the bytes. A byte that is not printable ASCII
 * is written as \xNN, and so is the backslash. The text is cut when `size` is too small, and ends
 * with a NUL in any case. */
void keys_print(const struct keys *keys, uint32_t i, char *text, size_t size);

#endif
