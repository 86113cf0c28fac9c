/* key_set.h - is a key one of a batch?
 *
 * Threads: one fills it, then any may ask.
 */
#ifndef DAEMON_SEARCH_KEY_SET_H
#define DAEMON_SEARCH_KEY_SET_H

#include "schema/key.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed, it is empty. */
struct key_set {
	struct keys keys; /* borrowed */
	size_t mask;      /* slots - 1 */
	const struct key_seed *seed;
	uint32_t *slots; /* owned; open addressing: the number of a key + 1; 0: empty */
};

/* Errors: NO_MEMORY. */
enum status key_set_init(struct key_set *set, const struct keys *keys);
void key_set_fini(struct key_set *set);

static inline bool key_set_is_empty(const struct key_set *set)
{
	return set->slots == NULL;
}

/* Is the key in the set? It has the type of the batch; a u64 is given as its 8 bytes. */
bool key_set_has(const struct key_set *set, const uint8_t *key, size_t len);

/* Is key i the first of its value in the batch? A key that is given twice counts once. */
bool key_set_is_first(const struct key_set *set, uint32_t i);

#endif
