/* key_numbers.c - a hash table with open addressing over the keys, which stand side by side. */
#include "tools/evaluation/key_numbers.h"

#include "schema/slots.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAP_FIRST = 1024 };

void key_numbers_init(struct key_numbers *numbers, size_t key_bytes)
{
	assert(key_bytes > 0);
	/* The keys are of a file that the person has, and nobody waits for the command: no secret
	 * is needed, and the same files take the same time. */
	*numbers = (struct key_numbers){.key_bytes = key_bytes};
}

void key_numbers_fini(struct key_numbers *numbers)
{
	free(numbers->keys);
	free(numbers->slots);
	*numbers = (struct key_numbers){0};
}

uint64_t key_numbers_hash(const struct key_numbers *numbers, const uint8_t *key)
{
	return siphash(&numbers->seed, key, numbers->key_bytes);
}

/* Finds the slot of a key, or the free one that it would get. */
static size_t slot_of(const struct key_numbers *numbers, const uint8_t *key, uint64_t hash)
{
	struct slots_walk walk;
	slots_begin(&walk, hash, numbers->mask);
	while (numbers->slots[walk.at] != 0) {
		const size_t number = numbers->slots[walk.at] - 1;
		if (memcmp(numbers->keys + number * numbers->key_bytes, key, numbers->key_bytes) ==
			0) {
			break;
		}
		if (!slots_next(&walk, numbers->mask)) {
			slots_jump(&walk, slots_other(hash), numbers->mask);
		}
	}
	return walk.at;
}

bool key_numbers_find(const struct key_numbers *numbers, const uint8_t *key, uint64_t hash,
	uint32_t *out)
{
	if (numbers->count == 0) {
		return false;
	}
	const uint32_t slot = numbers->slots[slot_of(numbers, key, hash)];
	if (slot == 0) {
		return false;
	}
	*out = slot - 1;
	return true;
}

/* Twice as many keys, in twice as many slots, of which half are free. */
static enum status grow(struct key_numbers *numbers)
{
	const size_t cap = numbers->cap > 0 ? 2 * numbers->cap : CAP_FIRST;
	uint8_t *keys = reallocarray(numbers->keys, cap, numbers->key_bytes);
	if (keys == NULL) {
		return STATUS_NO_MEMORY;
	}
	numbers->keys = keys;
	uint32_t *slots = calloc(2 * cap, sizeof *slots);
	if (slots == NULL) {
		return STATUS_NO_MEMORY;
	}
	free(numbers->slots);
	numbers->slots = slots;
	numbers->mask = 2 * cap - 1;
	numbers->cap = cap;
	for (size_t i = 0; i < numbers->count; i++) {
		const uint8_t *key = keys + i * numbers->key_bytes;
		slots[slot_of(numbers, key, key_numbers_hash(numbers, key))] = (uint32_t)i + 1;
	}
	return STATUS_OK;
}

enum status key_numbers_add(struct key_numbers *numbers, const uint8_t *key, uint64_t hash,
	uint32_t *out)
{
	if (numbers->count == UINT32_MAX - 1) {
		return STATUS_TOO_LARGE;
	}
	if (numbers->count == numbers->cap && grow(numbers) != STATUS_OK) {
		return STATUS_NO_MEMORY;
	}
	const size_t slot = slot_of(numbers, key, hash);
	assert(numbers->slots[slot] == 0);
	memcpy(numbers->keys + numbers->count * numbers->key_bytes, key, numbers->key_bytes);
	*out = (uint32_t)numbers->count++;
	numbers->slots[slot] = *out + 1;
	return STATUS_OK;
}

size_t key_numbers_bytes(size_t key_bytes, size_t count)
{
	size_t cap = CAP_FIRST;
	while (cap < count) {
		cap *= 2;
	}
	return cap * (key_bytes + 2 * sizeof(uint32_t));
}
