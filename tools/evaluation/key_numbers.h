/* key_numbers.h - numbers keys in the order in which they come: 0, 1, 2 and so on.
 *
 * All keys have the same width; shorter ones are padded with NULs.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_EVALUATION_KEY_NUMBERS_H
#define TOOLS_EVALUATION_KEY_NUMBERS_H

#include "schema/siphash.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed one is empty, and has no width yet. */
struct key_numbers {
	size_t key_bytes;
	size_t count;
	size_t cap;      /* keys that there is memory for */
	size_t mask;     /* slots less one */
	uint8_t *keys;   /* owned; [cap][key_bytes] */
	uint32_t *slots; /* owned; number + 1; 0: free */
	struct key_seed seed;
};

void key_numbers_init(struct key_numbers *numbers, size_t key_bytes);
/* Fine for one that is zeroed. */
void key_numbers_fini(struct key_numbers *numbers);

/* The hash of a key; the same in each run. */
uint64_t key_numbers_hash(const struct key_numbers *numbers, const uint8_t *key);

/* Finds the number of a key. False: it has none. hash: of this key */
bool key_numbers_find(const struct key_numbers *numbers, const uint8_t *key, uint64_t hash,
	uint32_t *out);
/* Gives the next number to a key that has none.
 * Errors: NO_MEMORY; TOO_LARGE  there are 2^32 - 1 keys. */
enum status key_numbers_add(struct key_numbers *numbers, const uint8_t *key, uint64_t hash,
	uint32_t *out);

/* Bytes that `count` keys of a width take at most. */
size_t key_numbers_bytes(size_t key_bytes, size_t count);

#endif
