/* key.c - checks, hashes and prints packed keys. */
#include "schema/key.h"

#include "schema/siphash_kernels.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "packed keys are read as they stand");

const char *key_type_name(enum key_type type)
{
	switch (type) {
	case KEY_U64:
		return "u64";
	case KEY_BYTES:
		return "bytes";
	case KEY_NONE:
		break;
	}
	return "none";
}

enum key_type key_type_of_name(const char *name, size_t len)
{
	if (len == 3 && memcmp(name, "u64", 3) == 0) {
		return KEY_U64;
	}
	if (len == 5 && memcmp(name, "bytes", 5) == 0) {
		return KEY_BYTES;
	}
	return KEY_NONE;
}

static enum status too_many(size_t count, struct error *err)
{
	return error_set(err, STATUS_TOO_LARGE, "keys: %zu given, up to %u allowed", count,
		LIMIT_KEYS);
}

static enum status count_u64(size_t len, uint32_t *count, struct error *err)
{
	if (len % 8 != 0) {
		return error_set(err, STATUS_BAD_REQUEST,
			"keys: %zu bytes given, a multiple of 8 allowed (u64 keys)", len);
	}
	if (len / 8 > LIMIT_KEYS) {
		return too_many(len / 8, err);
	}
	*count = (uint32_t)(len / 8);
	return STATUS_OK;
}

static enum status count_bytes(const uint8_t *packed, size_t len, uint32_t *count,
	struct error *err)
{
	size_t found = 0;
	for (size_t at = 0; at < len; found++) {
		size_t key_len = packed[at];
		if (key_len == 0) {
			return error_set(err, STATUS_BAD_REQUEST,
				"keys: key %zu, at byte %zu, has 0 bytes, 1..%u allowed", found, at,
				LIMIT_KEY_BYTES);
		}
		if (key_len > len - at - 1) {
			return error_set(err, STATUS_BAD_REQUEST,
				"keys: key %zu, at byte %zu, has %zu bytes, but %zu are left",
				found, at, key_len, len - at - 1);
		}
		if (found == LIMIT_KEYS) {
			return too_many(found + 1, err);
		}
		at += 1 + key_len;
		assert(at <= len);
	}
	assert(found <= LIMIT_KEYS);
	*count = (uint32_t)found;
	return STATUS_OK;
}

enum status keys_count(enum key_type type, const uint8_t *packed, size_t len, uint32_t *count,
	struct error *err)
{
	switch (type) {
	case KEY_U64:
		return count_u64(len, count, err);
	case KEY_BYTES:
		return count_bytes(packed, len, count, err);
	case KEY_NONE:
		break;
	}
	return error_set(err, STATUS_INTERNAL, "keys: of no type");
}

void keys_find_offsets(const uint8_t *packed, uint32_t count, uint32_t *at)
{
	uint32_t next = 0;
	for (uint32_t i = 0; i < count; i++) {
		at[i] = next;
		next += 1u + packed[next];
	}
}

void keys_hash(const struct keys *keys, const struct key_seed *seed, uint32_t first, uint32_t count,
	uint64_t *hashes)
{
	const struct siphash_kernels *kernels = siphash_kernels_at(0);
	assert(keys->type != KEY_NONE);
	assert(first <= keys->count);
	assert(count <= keys->count - first);
	if (keys->type == KEY_U64) {
		if (count > 0) {
			kernels->of_u64(seed, keys->packed + (size_t)first * 8, count, hashes);
		}
		return;
	}
	uint32_t done = 0;
	for (; kernels->of_strings != NULL && count - done >= SIPHASH_LANES;
		done += SIPHASH_LANES) {
		kernels->of_strings(seed, keys->packed, keys->at + first + done, hashes + done);
	}
	for (; done < count; done++) {
		size_t len;
		const uint8_t *key = keys_bytes(keys, first + done, &len);
		hashes[done] = siphash(seed, key, len);
	}
}

static void print_bytes(const uint8_t *key, size_t len, char *text, size_t size)
{
	size_t used = 0;
	for (size_t i = 0; i < len; i++) {
		bool plain = key[i] >= ' ' && key[i] <= '~' && key[i] != '\\';
		size_t need = plain ? 1 : 4;
		if (need >= size - used) {
			break;
		}
		if (plain) {
			text[used] = (char)key[i];
		} else {
			snprintf(text + used, size - used, "\\x%02x", key[i]);
		}
		used += need;
	}
	assert(used < size);
	text[used] = '\0';
}

void keys_print(const struct keys *keys, uint32_t i, char *text, size_t size)
{
	assert(i < keys->count);
	if (size == 0) {
		return;
	}
	if (keys->type == KEY_U64) {
		snprintf(text, size, "%" PRIu64, keys_u64(keys, i));
		return;
	}
	size_t len;
	const uint8_t *key = keys_bytes(keys, i, &len);
	print_bytes(key, len, text, size);
}
