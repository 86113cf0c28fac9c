/* key_set.c - a hash table of the keys of a batch. */
#include "daemon/search/key_set.h"

#include "schema/slots.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The slot that holds the key; or the empty slot where it would stand. */
static size_t find(const struct key_set *set, const uint8_t *key, size_t len)
{
	assert(set->slots != NULL);
	const uint64_t hash = siphash(set->seed, key, len);
	struct slots_walk walk;
	slots_begin(&walk, hash, set->mask);
	while (set->slots[walk.at] != 0) {
		size_t other_len;
		const uint8_t *other = keys_bytes(&set->keys, set->slots[walk.at] - 1, &other_len);
		if (other_len == len && memcmp(other, key, len) == 0) {
			break;
		}
		if (!slots_next(&walk, set->mask)) {
			slots_jump(&walk, slots_other(hash), set->mask);
		}
	}
	return walk.at;
}

enum status key_set_init(struct key_set *set, const struct keys *keys)
{
	size_t slots = 16;
	while (slots < (size_t)keys->count * 2) {
		slots *= 2;
	}
	*set = (struct key_set){.keys = *keys, .mask = slots - 1};
	set->slots = calloc(slots, sizeof *set->slots);
	if (set->slots == NULL) {
		return STATUS_NO_MEMORY;
	}
	set->seed = key_seed_of_process();
	/* A slot stays empty, so every search for a key ends. */
	assert(slots > keys->count && (slots & set->mask) == 0);
	for (uint32_t i = 0; i < keys->count; i++) {
		size_t len;
		const uint8_t *key = keys_bytes(keys, i, &len);
		const size_t slot = find(set, key, len);
		if (set->slots[slot] == 0) {
			set->slots[slot] = i + 1;
		}
	}
	return STATUS_OK;
}

void key_set_fini(struct key_set *set)
{
	free(set->slots);
	*set = (struct key_set){0};
}

bool key_set_has(const struct key_set *set, const uint8_t *key, size_t len)
{
	return set->slots != NULL && set->slots[find(set, key, len)] != 0;
}

bool key_set_is_first(const struct key_set *set, uint32_t i)
{
	size_t len;
	assert(i < set->keys.count);
	const uint8_t *key = keys_bytes(&set->keys, i, &len);
	const uint32_t first = set->slots[find(set, key, len)];
	assert(first > 0 && first <= i + 1); /* each key of the batch is in the set */
	return first == i + 1;
}
